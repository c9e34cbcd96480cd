// An ActivationSource over rows on disk: filtered, divided into training and held-out rows, shuffled in
// windows.
//
// Memory is two windows a split: one is drawn from while a thread reads the next ahead. One thread at a time.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/job/activation_source.h"
#include "runtime/job/config.pb.h"
#include "runtime/storage/row_selection.h"
#include "runtime/storage/sample_order.h"
#include "runtime/storage/stored_rows.h"

namespace orthant {

struct StoredSourceOptions {
  RowFilter filter = {};
  bool shuffle = true;
  uint64_t seed = 0;
  int64_t window_bytes = int64_t{128} << 20;  // of stored rows
};

// How well batches are mixed, over the reads so far; 1 is as even as a window allows, 0 means that nothing
// was read.
struct BatchMixing {
  double entropy = 0;   // of a batch's rows over storage blocks, as a share of the largest possible
  double coverage = 0;  // storage blocks that a batch touches, as a share of the most possible
};

// Draws the rows of one set in order, a window at a time.
class WindowedRows {
 public:
  // `stored` and `chosen` outlive the object.
  WindowedRows(const StoredRows& stored, const RowSet& chosen, SampleOrder order, Memory& memory);
  ~WindowedRows();
  WindowedRows(const WindowedRows&) = delete;
  WindowedRows& operator=(const WindowedRows&) = delete;
  [[nodiscard]] int64_t rows() const { return order_.rows(); }
  // Samples [first, first + into.shape[0]); numbers go on from pass to pass. Replaces `labels` unless null.
  void read(int64_t first, Matrix<float> into /* [rows, d_model] */, RowLabels* labels);
  // Labels of samples [first, first + count) of one pass in file order; left empty without labels.
  void read_labels(int64_t first, int64_t count, RowLabels& labels) const;
  [[nodiscard]] BatchMixing mixing() const;

 private:
  struct Window {
    std::shared_ptr<const PassLayout> layout;
    int64_t index = -1;
    Tensor<std::byte, 1> rows;        // as stored
    RowLabels labels;                 // empty without labels
    std::vector<int64_t> block_ends;  // rows of the window up to the end of each of its blocks
    [[nodiscard]] bool is(int64_t pass, int64_t window) const {
      return layout != nullptr && layout->pass == pass && index == window;
    }
  };
  [[nodiscard]] std::shared_ptr<const PassLayout> layout_of(int64_t pass);
  void make_current(std::shared_ptr<const PassLayout> layout, int64_t index);
  void read_ahead();
  void fill(Window& window, std::shared_ptr<const PassLayout> layout, int64_t index) const;
  void append_block(Window& window, int64_t block, std::vector<std::byte>& room,
                    std::vector<std::byte>& scratch) const;
  // Adds the labels of the rows that are drawn from a block.
  void append_labels(int64_t block, RowLabels& labels) const;
  void count_mixing(const std::vector<int64_t>& rows_of_block, int64_t rows);

  const StoredRows& stored_;
  const RowSet& chosen_;
  SampleOrder order_;
  Memory& memory_;
  Window current_;
  Window next_;  // belongs to the thread that reads ahead until `reading_` is done
  std::shared_ptr<const PassLayout> next_layout_;
  std::future<void> reading_;
  double entropy_sum_ = 0;
  double coverage_sum_ = 0;
  int64_t batches_ = 0;
};

class StoredSource : public ActivationSource {
 public:
  StoredSource(std::unique_ptr<StoredRows> stored, StoredSourceOptions options, Memory& memory);
  [[nodiscard]] int64_t d_model() const override { return stored_->d_model(); }
  [[nodiscard]] int64_t rows(Split split) const override;
  void read(Split split, int64_t first, Matrix<float> into, RowLabels* labels) override;
  void read_labels(Split split, int64_t first, int64_t count, RowLabels& labels) override;
  [[nodiscard]] ExcludedRows excluded() const override { return selection_.excluded; }
  [[nodiscard]] std::string identity() const override { return identity_; }
  [[nodiscard]] BatchMixing mixing() const { return train_.mixing(); }
  // Given out only where no filter by norm leaves them out.
  [[nodiscard]] NotFiniteRows not_finite() const { return selection_.not_finite; }

 private:
  std::unique_ptr<StoredRows> stored_;
  RowSelection selection_;
  std::string identity_;
  WindowedRows train_;
  WindowedRows holdout_;
};

// The source that `config.store` or `config.array` names, with its filters, hold-out and order. Position 0 is
// left out where `config.exclude.positions` says nothing. Throws Error(kConfig) when neither is given, and
// Error(kNonFinite) naming a row that is not finite and that no filter by norm leaves out.
[[nodiscard]] std::unique_ptr<StoredSource> open_array_or_store(const Source& config, uint64_t seed,
                                                                Memory& memory);

// What a source on disk is read from, for messages.
[[nodiscard]] std::string path_of(const Source& config);

// Counts in `counting` what open_array_or_store() and reading both splits would allocate if no row were left
// out; only headers are read. Returns d_model.
int64_t count_array_or_store(const Source& config, Memory& counting);

}  // namespace orthant
