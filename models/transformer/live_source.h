// Activations of a language model at a hook, made while they are read: an ActivationSource over model and
// text.
//
// Sample order. The tokens of the text that the filters leave are drawn as SampleOrder draws stored rows:
// blocks of kBlockTokens tokens in keyed order, rows shuffled within windows of whole blocks, a pure function
// of (seed, pass, sample number). Held-out rows come in text order. A row whose norm is too large is known
// only when it is made: its place is taken by the next row of its window, cyclically, so that sample numbers
// do not depend on norms.
//
// Every reader runs the model over whole windows; where many ranks read the same text, harvest first. Memory
// is one window, on the host, whatever the device of the model. Where every token of the text is a sample, in
// text order, there are no windows: the model runs over the rows of the text that are read, and over each
// once where reads begin and end with them. One thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/text/token_rows.h"
#include "models/transformer/hook.h"
#include "models/transformer/language_model.h"
#include "models/transformer/run_state.h"
#include "runtime/core/log.h"
#include "runtime/device/host_copy.h"
#include "runtime/job/activation_source.h"
#include "runtime/job/config.pb.h"
#include "runtime/storage/row_selection.h"
#include "runtime/storage/sample_order.h"

namespace orthant::models {

struct LiveSourceOptions {
  RowFilter filter = {};
  bool shuffle = true;
  uint64_t seed = 0;
  int64_t window_rows = 16384;
};

class LiveSource : public ActivationSource {
 public:
  static constexpr int64_t kBlockTokens = 2048;
  // The median norm is that of so many first tokens of the text, then fixed; it is part of identity().
  static constexpr int64_t kMedianTokens = 65536;

  // Rows are kept in `memory`, on the host; the model runs in `model_memory`, on the device of its weights.
  // Both may be the same.
  LiveSource(LanguageModel model, TokenRows text, HookPoint hook, LiveSourceOptions options, Memory& memory,
             Memory& model_memory);

  [[nodiscard]] int64_t d_model() const override { return model_.weights.config.d_model; }
  [[nodiscard]] int64_t rows(Split split) const override;
  void read(Split split, int64_t first, Matrix<float> into, RowLabels* labels) override;
  void read_labels(Split split, int64_t first, int64_t count, RowLabels& labels) override;
  [[nodiscard]] int64_t model_tokens() const override { return model_tokens_; }
  // Norms are counted over the windows read so far, each row once.
  [[nodiscard]] ExcludedRows excluded() const override;
  [[nodiscard]] std::string identity() const override { return identity_; }
  [[nodiscard]] double median_norm() const { return median_norm_; }

 private:
  // Rows of one window in text order.
  struct Window {
    Split split = Split::kTrain;
    int64_t index = -1;
    std::shared_ptr<const PassLayout> layout;
    std::vector<int64_t> tokens;  // of the text, one a row
    std::vector<int64_t> source;  // the row that is given out for each row
    std::optional<KeyedPermutation> order;
  };
  [[nodiscard]] const SampleOrder& order_of(Split split) const;
  [[nodiscard]] const RowSet& set_of(Split split) const;
  void measure_median();
  // Whether sample i is token i of the text.
  [[nodiscard]] bool gives_text(Split split) const;
  void load_window(Split split, const std::shared_ptr<const PassLayout>& layout, int64_t index);
  void append_block(const RowSet& set, int64_t block);
  void replace_large_rows();
  // Runs the model over text rows that hold tokens [first, end) and calls take(token, activation) for each of
  // these.
  template <typename Take>
  void run_tokens(int64_t first, int64_t end, Take take);

  LanguageModel model_;
  TokenRows text_;
  HookPoint hook_;
  LiveSourceOptions options_;
  Stream stream_;
  RunState state_;
  Tensor<float, 2> tapped_;  // [tokens of a forward, d_model]
  HostCopy host_rows_;
  RowSelection selection_;
  SampleOrder train_order_;
  SampleOrder holdout_order_;
  RowSet too_large_;  // by norm, among the rows made so far
  int64_t too_large_count_ = 0;
  double median_norm_ = 0.0;
  int64_t model_tokens_ = 0;
  std::string identity_;
  Window window_;
  Tensor<float, 2> window_rows_;  // [rows of the largest window, d_model]
};

// The source that `config.model`, `config.text` and `config.hook` describe. Position 0 is left out where
// `config.exclude.positions` says nothing. Memories as for LiveSource. Throws Error(kConfig) when one of the
// three is not given, and what the readers throw.
[[nodiscard]] std::unique_ptr<ActivationSource> open_live_source(
    const Source& config, uint64_t seed, Memory& memory, Memory& model_memory, Log& log,
    kernels::Precision precision = kernels::Precision::kF32);

// The same over rows that the caller has; of `config` everything about the text but exclude and holdout is
// unused.
[[nodiscard]] std::unique_ptr<ActivationSource> open_live_source(
    const Source& config, TokenRows text, uint64_t seed, Memory& memory, Memory& model_memory,
    kernels::Precision precision = kernels::Precision::kF32);

// Counts in the memories what open_live_source() would allocate for a text with rows of full length and of
// many windows, but for the bits that tell which of its tokens are kept; only the model's header is read.
// Returns d_model.
int64_t count_live_source(const Source& config, Memory& memory, Memory& model_memory,
                          kernels::Precision precision = kernels::Precision::kF32);

}  // namespace orthant::models
