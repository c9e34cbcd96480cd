// What pruning the inputs of projections costs beside the dense forward, where the products stay dense:
// bench_pruning [flags of bench.h; --batch: tokens].
//
// A model of the shapes of SmolLM2-135M with random weights and without its head, in sequences of 256 tokens.
// Each repetition runs the dense forward and then that of each method, so that all meet the same host;
// `overhead` is the median over repetitions of their ratios, less 1. --check compares N:N with the dense
// forward bit by bit.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "benchmarks/bench.h"
#include "kernels/isa/isa.h"
#include "models/sparsity/build_pruning.h"
#include "models/transformer/forward.h"
#include "runtime/core/error.h"
#include "runtime/core/rng.h"

namespace orthant::benchmarks {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kSequence = 256;
constexpr int64_t kLayers = 6;  // of 30: the ratios are those of a block

class RandomModel : public models::ModelFile {
 public:
  RandomModel() {
    config_.architecture = "llama";
    config_.d_model = 576;
    config_.layers = kLayers;
    config_.heads = 9;
    config_.kv_heads = 3;
    config_.head_dim = 64;
    config_.d_mlp = 1536;
    config_.vocabulary = 1000;
    config_.context_length = 2048;
    config_.tied_embeddings = true;
  }
  [[nodiscard]] const models::ModelConfig& config() const override { return config_; }
  [[nodiscard]] bool has(std::string_view) const override { return true; }
  [[nodiscard]] std::vector<int64_t> shape(std::string_view) const override { return {}; }
  void read(std::string_view name, std::span<float> into) const override {
    const bool is_norm = name.find("norm") != std::string_view::npos;
    for (size_t i = 0; i < into.size(); ++i)
      into[i] =
          is_norm ? 1.0f : 0.04f * random_normal(1, Purpose::kTest, static_cast<uint32_t>(name.size()), i);
  }
  [[nodiscard]] std::string description() const override { return "random"; }
  [[nodiscard]] std::string identity() const override { return "random"; }

 private:
  models::ModelConfig config_;
};

struct Method {
  const char *pattern, *criterion, *transform;
};
constexpr Method kMethods[] = {{"2:4", "magnitude", "none"},   {"8:16", "magnitude", "none"},
                               {"16:32", "magnitude", "none"}, {"50%", "magnitude", "none"},
                               {"8:16", "amber", "none"},      {"8:16", "clact", "none"},
                               {"8:16", "magnitude", "dpts"},  {"8:16", "magnitude", "var"}};

class Forwards {
 public:
  explicit Forwards(int64_t tokens)
      : weights_(models::load_weights(model_, {.head = false}, memory_, stream_)),
        limits_{tokens, (tokens + kSequence - 1) / kSequence, kSequence},
        state_(memory_, weights_, limits_),
        residual_(memory_, "bench", {tokens, model_.config().d_model}) {
    for (int64_t t = 0; t < tokens; ++t) {
      ids_.push_back(static_cast<int32_t>(random_u64(0, Purpose::kTest, 2, static_cast<uint64_t>(t)) % 1000));
      if (t % kSequence == 0) offsets_.push_back(t);
    }
    offsets_.push_back(tokens);
  }

  [[nodiscard]] models::ModelPruning pruning(const Method& method) {
    models::PruningRecipe recipe{
        .pattern = models::parse_pattern(method.pattern),
        .method = {models::parse_criterion(method.criterion), models::parse_transform(method.transform)}};
    for (int64_t layer = 0; layer < kLayers; ++layer) recipe.layers.push_back(layer);
    for (int p = 0; p < models::kProjections; ++p)
      recipe.projections.push_back(static_cast<models::Projection>(p));
    return models::build_pruning(recipe, model_, {}, memory_, stream_);
  }
  // Seconds.
  double run(const models::ModelPruning* pruning) {
    std::optional<models::PruningState> pruning_state;
    if (pruning != nullptr) pruning_state.emplace(memory_, model_.config(), limits_, *pruning);
    const models::Tap tap{{kLayers - 1, models::HookSite::kResidPost}, residual_.view()};
    const auto start = Clock::now();
    (void)models::forward(weights_,
                          {.batch = {.token_ids = ids_, .offsets = offsets_},
                           .taps = {&tap, 1},
                           .pruning = pruning,
                           .pruning_state = pruning_state ? &*pruning_state : nullptr},
                          state_, stream_);
    return std::chrono::duration<double>(Clock::now() - start).count();
  }
  [[nodiscard]] std::vector<float> residual() const {
    return {residual_.data(), residual_.data() + residual_.view().elements()};
  }

 private:
  Memory memory_;
  Stream stream_;
  RandomModel model_;
  models::Weights weights_;
  models::RunLimits limits_;
  models::RunState state_;
  Tensor<float, 2> residual_;
  std::vector<int32_t> ids_;
  std::vector<int64_t> offsets_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void check(Forwards& forwards) {
  (void)forwards.run(nullptr);
  const std::vector<float> dense = forwards.residual();
  const models::ModelPruning all = forwards.pruning({"16:16", "magnitude", "none"});
  (void)forwards.run(&all);
  const std::vector<float> kept = forwards.residual();
  if (std::memcmp(dense.data(), kept.data(), dense.size() * sizeof(float)) == 0) return;
  throw Error(ExitCode::kInternal, {.problem = "16:16 differs from the dense forward",
                                    .why = "all inputs survive",
                                    .suggestion = "look at kernels/pruning/prune_rows"});
}

void bench(const Flags& flags) {
  Forwards forwards(flags.batch);
  if (flags.check) check(forwards);
  std::vector<models::ModelPruning> prunings;
  for (const Method& method : kMethods) prunings.push_back(forwards.pruning(method));
  std::vector<double> dense;
  std::vector<std::vector<double>> times(prunings.size()), ratios(prunings.size());
  (void)forwards.run(nullptr);
  for (int repetition = 0; repetition < flags.repetitions; ++repetition) {
    dense.push_back(forwards.run(nullptr));
    for (size_t m = 0; m < prunings.size(); ++m) {
      times[m].push_back(forwards.run(&prunings[m]));
      ratios[m].push_back(times[m].back() / dense.back());
    }
  }
  const std::string kernel(kernels::name_of(kernels::active_isa()));
  const auto timing = [](std::vector<double> seconds) {
    Timing of{.ms_p50 = 1e3 * median(seconds)};
    of.ms_p95 = 1e3 * *std::max_element(seconds.begin(), seconds.end());
    return of;
  };
  std::vector<Result> results = {{"dense_forward", kernel, flags.batch, timing(dense)}};
  for (size_t m = 0; m < prunings.size(); ++m) {
    const Method& method = kMethods[m];
    results.push_back({fmt::format("{} {} {}", method.pattern, method.criterion, method.transform),
                       kernel,
                       flags.batch,
                       timing(times[m]),
                       {{"overhead", median(ratios[m]) - 1.0}}});
  }
  if (!flags.json) {
    for (size_t m = 0; m < prunings.size(); ++m)
      fmt::print("{:<24} {:6.1f} % beside the dense forward\n", results[m + 1].what,
                 100.0 * (median(ratios[m]) - 1.0));
  }
  print(flags, results);
}

}  // namespace
}  // namespace orthant::benchmarks

int main(int argc, char** argv) {
  return orthant::benchmarks::run(argc, argv, orthant::benchmarks::bench);
}
