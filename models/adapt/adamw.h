// AdamW over the tensors of a few learned parameters on the host, with a clipped gradient and the linear
// schedule.
//
// Bits do not depend on threads or instruction sets. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace orthant::models {

struct AdamWSettings {
  double lr = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  double warm_up = 0.03;  // share of the steps
  bool rounds_warm_up_up = false;
  double clip_norm = 1.0;  // of the gradient of all tensors together; 0: not clipped
};

[[nodiscard]] int64_t warm_up_steps(const AdamWSettings& settings, int64_t steps);

// The linear schedule: lr * step / warm-up steps, then lr * (steps - step) / (steps - warm-up steps); `step`
// counts from 0, warm-up steps are warm_up * steps, rounded down or up.
[[nodiscard]] double scheduled_lr(const AdamWSettings& settings, int64_t step, int64_t steps);

class AdamW {
 public:
  using Tensors = std::span<const std::span<float>>;
  AdamW(const AdamWSettings& settings, int64_t steps) : settings_(settings), steps_(steps) {}

  // Step steps_taken() of the schedule. `gradients` have the shapes of `parameters`, which are those of every
  // step; the gradient is `gradient_scale` times them, before it is clipped. They are not changed.
  void step(Tensors parameters, Tensors gradients, double gradient_scale);
  [[nodiscard]] int64_t steps_taken() const { return taken_; }

  // What a later AdamW continues with: moments [tensors][elements].
  struct State {
    std::vector<std::vector<float>> first;
    std::vector<std::vector<float>> second;
    int64_t steps_taken = 0;
  };
  [[nodiscard]] State state() const { return {first_, second_, taken_}; }
  void restore(State state);

 private:
  AdamWSettings settings_;
  int64_t steps_;
  int64_t taken_ = 0;
  std::vector<std::vector<float>> first_;
  std::vector<std::vector<float>> second_;
};

}  // namespace orthant::models
