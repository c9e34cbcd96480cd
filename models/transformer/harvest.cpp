#include "models/transformer/harvest.h"

#include <algorithm>
#include <chrono>

#include "runtime/device/host_copy.h"

namespace orthant::models {
namespace {

using Ranges = std::vector<Share>;

// Tokens that any of the stores lacks, as ranges in order that neither touch nor overlap.
Ranges joined(std::vector<Ranges> lists) {
  Ranges all;
  for (const Ranges& list : lists) all.insert(all.end(), list.begin(), list.end());
  std::sort(all.begin(), all.end(), [](Share a, Share b) { return a.first < b.first; });
  Ranges result;
  for (const Share range : all) {
    if (!result.empty() && range.first <= result.back().end()) {
      result.back().count = std::max(result.back().end(), range.end()) - result.back().first;
    } else if (range.count > 0) {
      result.push_back(range);
    }
  }
  return result;
}

// The ranges cut at row boundaries of the text: what runs through the model together or apart.
struct RowPiece {
  int64_t row;
  Share wanted;  // tokens of the row that are missing
};

std::vector<RowPiece> pieces_of(const TokenRows& text, const Ranges& ranges) {
  std::vector<RowPiece> pieces;
  for (const Share range : ranges) {
    for (int64_t token = range.first; token < range.end();) {
      const int64_t row = text.row_of(token);
      const int64_t end = std::min(range.end(), text.first_token(row + 1));
      pieces.push_back({row, {token, end - token}});
      token = end;
    }
  }
  return pieces;
}

// The pieces of one rank: a contiguous part with about an equal number of tokens.
std::vector<RowPiece> part_of(const std::vector<RowPiece>& pieces, int parts, int index) {
  int64_t total = 0;
  for (const RowPiece& piece : pieces) total += piece.wanted.count;
  const Share share = share_of(total, parts, index);
  std::vector<RowPiece> mine;
  int64_t begin = 0;
  for (const RowPiece& piece : pieces) {
    if (begin >= share.first && begin < share.end()) mine.push_back(piece);
    begin += piece.wanted.count;
  }
  return mine;
}

// One store, which takes of what it is offered only the rows that it lacks.
class Sink {
 public:
  Sink(const HarvestTarget& target, Ranges missing, Memory& memory)
      : writer(target.path, target.description, memory), missing_(std::move(missing)) {}

  void offer(int64_t first, Matrix<const float> rows, const RowLabels& labels) {
    for (const Share range : missing_) {
      const int64_t begin = std::max(first, range.first);
      const int64_t end = std::min(first + rows.shape[0], range.end());
      if (begin >= end) continue;
      if (!begun_ || writer.next_row() != begin) writer.begin(begin);
      begun_ = true;
      writer.append(rows.rows(begin - first, end - begin), slice(labels, begin - first, end - begin));
    }
  }

  StoreWriter writer;

 private:
  static RowLabels slice(const RowLabels& labels, int64_t first, int64_t count) {
    const auto cut = [&](const auto& values) {
      return std::decay_t<decltype(values)>(values.begin() + first, values.begin() + first + count);
    };
    return {cut(labels.token_ids), cut(labels.positions), cut(labels.documents)};
  }
  Ranges missing_;
  bool begun_ = false;
};

RowLabels labels_of(const TokenRows& text, const RowPiece& piece) {
  RowLabels labels;
  for (int64_t token = piece.wanted.first; token < piece.wanted.end(); ++token) {
    labels.token_ids.push_back(text.token_ids()[static_cast<size_t>(token)]);
    labels.positions.push_back(static_cast<int32_t>(token - text.first_token(piece.row)));
    labels.documents.push_back(text.document_of(token));
  }
  return labels;
}

RunLimits limits_of(int64_t longest_row, int64_t forward_tokens) {
  const int64_t tokens = std::max(longest_row, forward_tokens);
  return {.tokens = tokens, .sequences = tokens, .positions = longest_row};
}

// This rank's part of a harvest.
class Harvester {
 public:
  Harvester(const Weights& weights, const TokenRows& text, std::vector<RowPiece> pieces,
            int64_t forward_tokens, Memory& memory, Stream& stream)
      : weights_(weights),
        text_(text),
        pieces_(std::move(pieces)),
        stream_(stream),
        state_(memory, weights, limits_of(text.longest_row(), std::min(forward_tokens, text.tokens()))) {
    for (const RowPiece& piece : pieces_) total_ += piece.wanted.count;
  }
  void add_sink(const HarvestTarget& target, Ranges missing, Memory& host, Memory& memory) {
    sinks_.push_back(std::make_unique<Sink>(target, std::move(missing), host));
    hooks_.push_back(target.hook);
    tapped_.emplace_back(memory, "taps",
                         std::array<int64_t, 2>{state_.limits.tokens, weights_.config.d_model});
    host_rows_.emplace_back(memory.device(), tapped_.back().view().bytes());
  }

  [[nodiscard]] bool done() const { return next_ == pieces_.size(); }
  [[nodiscard]] int64_t tokens_done() const { return done_; }
  [[nodiscard]] int64_t tokens_total() const { return total_; }
  [[nodiscard]] std::vector<std::unique_ptr<Sink>>& sinks() { return sinks_; }

  // Runs the next rows of the text through the model and stores what is missing of them.
  void step() {
    std::vector<int32_t> ids;
    std::vector<int64_t> offsets = {0};
    const size_t begin = next_;
    while (next_ < pieces_.size()) {
      const auto row = text_.row(pieces_[next_].row);
      if (!ids.empty() && static_cast<int64_t>(ids.size() + row.size()) > state_.limits.tokens) break;
      ids.insert(ids.end(), row.begin(), row.end());
      offsets.push_back(static_cast<int64_t>(ids.size()));
      ++next_;
    }
    if (ids.empty()) return;
    std::vector<Tap> taps;
    for (size_t i = 0; i < hooks_.size(); ++i) {
      taps.push_back({hooks_[i], tapped_[i].view().rows(0, static_cast<int64_t>(ids.size()))});
    }
    (void)forward(weights_, {.batch = {ids, offsets}, .taps = taps}, state_, stream_);
    std::vector<Matrix<const float>> rows;
    for (size_t i = 0; i < hooks_.size(); ++i) rows.push_back(host_rows_[i].of(taps[i].into, stream_));
    for (size_t p = begin; p < next_; ++p) keep(pieces_[p], offsets[p - begin], rows);
  }

 private:
  void keep(const RowPiece& piece, int64_t first_row, const std::vector<Matrix<const float>>& rows) {
    const RowLabels labels = labels_of(text_, piece);
    const int64_t begin = first_row + piece.wanted.first - text_.first_token(piece.row);
    for (size_t i = 0; i < sinks_.size(); ++i) {
      sinks_[i]->offer(piece.wanted.first, rows[i].rows(begin, piece.wanted.count), labels);
    }
    done_ += piece.wanted.count;
  }

  const Weights& weights_;
  const TokenRows& text_;
  std::vector<RowPiece> pieces_;
  Stream& stream_;
  RunState state_;
  std::vector<HookPoint> hooks_;
  std::vector<Tensor<float, 2>> tapped_;  // of each target, [tokens of a forward, d_model]
  std::vector<HostCopy> host_rows_;       // of each target
  std::vector<std::unique_ptr<Sink>> sinks_;
  size_t next_ = 0;
  int64_t done_ = 0;
  int64_t total_ = 0;
};

// Runs to the end or until a rank wants to stop; true when stopped. Collective.
bool run_rounds(Harvester& harvester, const HarvestOptions& options, ControlGroup& control) {
  using Clock = std::chrono::steady_clock;
  constexpr uint64_t kStop = 1, kWorks = 2;
  Clock::time_point published = Clock::now();
  for (;;) {
    agree(control, "harvest", [&] {
      harvester.step();
      if (std::chrono::duration<double>(Clock::now() - published).count() < options.publish_seconds) return;
      for (const auto& sink : harvester.sinks()) sink->writer.publish();
      published = Clock::now();
    });
    options.progress(harvester.tokens_done(), harvester.tokens_total());
    const uint64_t mine = (options.stop() ? kStop : 0) | (harvester.done() ? 0 : kWorks);
    const uint64_t flags = control.bit_or(mine);
    if ((flags & kWorks) == 0) return false;
    if ((flags & kStop) != 0) return true;
  }
}

}  // namespace

HarvestOutcome harvest(const Weights& weights, const TokenRows& text,
                       const std::vector<HarvestTarget>& targets, const HarvestOptions& options,
                       ControlGroup& control, Memory& host, Memory& memory, Stream& stream) {
  std::vector<Ranges> missing;
  std::unique_ptr<Harvester> harvester;
  agree(control, "harvest", [&] {
    for (const HarvestTarget& target : targets) {
      missing.push_back(missing_ranges(target.path, target.description));
    }
  });
  // Every rank has looked before any writes: agree() ends with all of them.
  agree(control, "harvest", [&] {
    harvester = std::make_unique<Harvester>(
        weights, text, part_of(pieces_of(text, joined(missing)), control.size(), control.rank()),
        options.forward_tokens, memory, stream);
    for (size_t i = 0; i < targets.size(); ++i) harvester->add_sink(targets[i], missing[i], host, memory);
  });
  HarvestOutcome outcome;
  outcome.stopped = run_rounds(*harvester, options, control);
  outcome.tokens_run = control.sum(harvester->tokens_done());
  if (outcome.stopped) {
    agree(control, "harvest", [&] {
      for (const auto& sink : harvester->sinks()) sink->writer.publish();
    });
    return outcome;
  }
  for (size_t i = 0; i < targets.size(); ++i) {
    outcome.content_hashes.push_back(
        finish_store(harvester->sinks()[i]->writer, targets[i].path, targets[i].description, control));
  }
  return outcome;
}

void count_harvest(const ModelFile& file, std::span<const HookPoint> hooks, int64_t context, Dtype dtype,
                   kernels::Precision precision, Memory& host, Memory& memory) {
  Stream stream;
  const Weights weights = load_weights(file, blocks_needed(hooks), memory, stream, precision);
  const int64_t d_model = weights.config.d_model;
  const RunState state(memory, weights, limits_of(context, HarvestOptions{}.forward_tokens));
  for (size_t i = 0; i < hooks.size(); ++i) {
    const Tensor<std::byte, 1> block = allocate_store_block(d_model, dtype, host);
    const Tensor<float, 2> tapped(memory, "taps", {state.limits.tokens, d_model});
  }
}

LoadRange blocks_needed(std::span<const HookPoint> hooks) {
  LoadRange range{.blocks = 1, .head = false};
  for (const HookPoint& hook : hooks) range.blocks = std::max(range.blocks, hook.layer + 1);
  return range;
}

}  // namespace orthant::models
