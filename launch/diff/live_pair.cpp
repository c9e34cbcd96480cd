#include "launch/diff/live_pair.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "launch/program/refuse.h"
#include "models/tasks/token_scores.h"
#include "models/text/same_tokens.h"
#include "models/transformer/harvest.h"

namespace orthant::launch {
namespace {

// One side of a live comparison: a model, its hooks and where their rows go.
struct LiveSide {
  const models::Weights* weights;
  std::vector<models::HookPoint> hooks;
  models::RunState state;
  std::vector<Tensor<float, 2>> tapped;

  LiveSide(const models::Weights& own, std::vector<models::HookPoint> at, models::RunLimits limits,
           Memory& memory)
      : weights(&own), hooks(std::move(at)), state(memory, own, limits) {
    for (size_t i = 0; i < hooks.size(); ++i) {
      tapped.emplace_back(memory, "taps", std::array<int64_t, 2>{limits.tokens, own.config.d_model});
    }
  }

  void run(const models::TokenBatch& batch, Stream& stream) {
    std::vector<models::Tap> taps;
    for (size_t i = 0; i < hooks.size(); ++i) {
      taps.push_back({hooks[i], tapped[i].view().rows(0, batch.tokens())});
    }
    (void)models::forward(*weights, {.batch = batch, .taps = taps}, state, stream);
  }

  [[nodiscard]] std::vector<Matrix<const float>> rows(size_t first, size_t count, int64_t tokens) const {
    std::vector<Matrix<const float>> found;
    for (size_t i = first; i < first + count; ++i) found.push_back(tapped[i].view().rows(0, tokens));
    return found;
  }
};

// Two models over a text, or one at two hooks, which then runs once.
class LivePair {
 public:
  LivePair(const PairedRowFields& fields, Memory& memory, Log& log) : excluded_(fields.excluded_positions) {
    find_hooks(fields);
    const bool is_one = fields.models.other_model.empty();
    std::vector<models::HookPoint> of_first = hooks_;
    if (is_one && fields.has_other) of_first.insert(of_first.end(), other_hooks_.begin(), other_hooks_.end());
    const PairedRanges ranges{.first = models::blocks_needed(of_first),
                              .second = models::blocks_needed(other_hooks_)};
    pair_ = std::make_unique<PairedModels>(open_paired_models(fields.models, ranges, memory, stream_, log));
    blocks_ = models::row_blocks(pair_->text, fields.block_tokens);
    first_ = std::make_unique<LiveSide>(pair_->first.weights, of_first, limits(), memory);
    if (pair_->second && fields.has_other) {
      other_ = std::make_unique<LiveSide>(pair_->second->weights, other_hooks_, limits(), memory);
    }
    has_other_ = fields.has_other;
  }

  [[nodiscard]] std::vector<PairedPlace> places() const {
    std::vector<PairedPlace> found;
    for (size_t i = 0; i < hooks_.size(); ++i) {
      PairedPlace place{.name = to_string(hooks_[i]), .width = pair_->first.weights.config.d_model};
      if (has_other_) {
        place.other_name = to_string(other_hooks_[i]);
        place.other_width = pair_->other().weights.config.d_model;
      }
      found.push_back(std::move(place));
    }
    return found;
  }

  [[nodiscard]] std::vector<int64_t> offsets() const {
    std::vector<int64_t> found;
    for (const int64_t row : blocks_) found.push_back(pair_->text.first_token(row));
    return found;
  }

  [[nodiscard]] std::string identity() const {
    const std::string own = pair_->text.identity() + " " + pair_->first.identity;
    return has_other_ ? own + " " + pair_->other().identity : own;
  }

  [[nodiscard]] PairedBlock read(int64_t block) {
    models::BatchBuilder builder;
    std::vector<int32_t> positions;
    for (int64_t row = blocks_[static_cast<size_t>(block)]; row < blocks_[static_cast<size_t>(block) + 1];
         ++row) {
      builder.add(pair_->text.row(row));
      for (size_t t = 0; t < pair_->text.row(row).size(); ++t) positions.push_back(static_cast<int32_t>(t));
    }
    const models::TokenBatch batch = builder.batch();
    first_->run(batch, stream_);
    if (other_) other_->run(batch, stream_);
    PairedBlock found{.first = first_->rows(0, hooks_.size(), batch.tokens()),
                      .other = {},
                      .counted = counted_tokens(positions, excluded_)};
    if (other_) found.other = other_->rows(0, other_hooks_.size(), batch.tokens());
    if (has_other_ && !other_) found.other = first_->rows(hooks_.size(), hooks_.size(), batch.tokens());
    return found;
  }

 private:
  void find_hooks(const PairedRowFields& fields) {
    const int64_t layers = layers_of(fields.models.model);
    const bool is_one = fields.models.other_model.empty();
    const int64_t other_layers = is_one ? layers : layers_of(fields.models.other_model);
    if (is_one && fields.has_other && fields.other_hooks.empty()) {
      refuse("neither other_model nor other_hook is given",
             "a model is compared with another, or at another hook",
             "Give --other_model=FILE, or --other_hook.");
    }
    if (fields.hooks.empty() && layers != other_layers) {
      refuse(fmt::format("the models have {} and {} blocks", layers, other_layers),
             "without --hook the residual streams after blocks of the same number are compared",
             "Give --hook and --other_hook.");
    }
    for (const std::string& name : fields.hooks) hooks_.push_back(models::parse_hook(name, layers));
    if (hooks_.empty()) {
      for (int64_t layer = 0; layer < layers; ++layer)
        hooks_.push_back({layer, models::HookSite::kResidPost});
    }
    if (!fields.has_other) return;
    other_hooks_ = hooks_;
    if (!fields.other_hooks.empty()) other_hooks_.clear();
    for (const std::string& name : fields.other_hooks) {
      other_hooks_.push_back(models::parse_hook(name, other_layers));
    }
    for (const models::HookPoint& hook : other_hooks_) {
      if (hook.layer >= other_layers) (void)models::parse_hook(to_string(hook), other_layers);
    }
    if (hooks_.size() != other_hooks_.size()) {
      refuse(fmt::format("{} hooks are given and {} other hooks", hooks_.size(), other_hooks_.size()),
             "each is compared with the other of its place", "Give as many --other_hook as --hook.");
    }
  }

  [[nodiscard]] models::RunLimits limits() const {
    models::RunLimits limits{.tokens = 1, .sequences = 1, .positions = pair_->text.longest_row()};
    for (size_t b = 0; b + 1 < blocks_.size(); ++b) {
      limits.tokens = std::max(limits.tokens,
                               pair_->text.first_token(blocks_[b + 1]) - pair_->text.first_token(blocks_[b]));
      limits.sequences = std::max(limits.sequences, blocks_[b + 1] - blocks_[b]);
    }
    return limits;
  }

  std::vector<int32_t> excluded_;
  Stream stream_;
  std::vector<models::HookPoint> hooks_;
  std::vector<models::HookPoint> other_hooks_;
  bool has_other_ = true;
  std::unique_ptr<PairedModels> pair_;
  std::vector<int64_t> blocks_;  // rows of the text
  std::unique_ptr<LiveSide> first_;
  std::unique_ptr<LiveSide> other_;  // null: the first has all hooks
};

}  // namespace

PairedRows live_pair(const PairedRowFields& fields, Memory& memory, Log& log) {
  return paired_rows_of(std::make_shared<LivePair>(fields, memory, log));
}

}  // namespace orthant::launch
