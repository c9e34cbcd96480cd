#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/storage/stored_source.h"

namespace orthant {
namespace {

template <typename T>
void append_chosen(const std::vector<T>& from, const RowSet& chosen, int64_t first, std::vector<T>& into) {
  for (size_t i = 0; i < from.size(); ++i) {
    if (chosen.contains(first + static_cast<int64_t>(i))) into.push_back(from[i]);
  }
}

void reserve(RowLabels& labels, int64_t rows) {
  labels.token_ids.resize(static_cast<size_t>(rows));
  labels.positions.resize(static_cast<size_t>(rows));
  labels.documents.resize(static_cast<size_t>(rows));
}

}  // namespace

WindowedRows::WindowedRows(const StoredRows& stored, const RowSet& chosen, SampleOrder order, Memory& memory)
    : stored_(stored), chosen_(chosen), order_(std::move(order)), memory_(memory) {}

WindowedRows::~WindowedRows() {
  if (reading_.valid()) reading_.wait();
}

std::shared_ptr<const PassLayout> WindowedRows::layout_of(int64_t pass) {
  for (const auto& known : {current_.layout, next_layout_}) {
    if (known != nullptr && known->pass == pass) return known;
  }
  return std::make_shared<const PassLayout>(order_.layout(pass));
}

void WindowedRows::read(int64_t first, Matrix<float> into, RowLabels* labels) {
  require(first >= 0 && into.shape[1] == stored_.d_model(),
          "samples are numbered from 0 and have d_model columns");
  const int64_t count = into.shape[0];
  require(count == 0 || rows() > 0, "the split has rows");
  if (labels != nullptr) *labels = {};
  if (labels != nullptr && stored_.labelled()) reserve(*labels, count);
  const int64_t row_bytes = stored_.d_model() * bytes_of(stored_.dtype());
  for (int64_t done = 0; done < count;) {
    const int64_t pass = (first + done) / rows();
    const int64_t index = (first + done) % rows();
    std::shared_ptr<const PassLayout> layout = layout_of(pass);
    const int64_t window = layout->window_of(index);
    make_current(std::move(layout), window);
    const int64_t window_rows = current_.layout->rows_of(window);
    const int64_t skipped = index - current_.layout->first_rows[static_cast<size_t>(window)];
    const int64_t part = std::min(count - done, window_rows - skipped);
    const KeyedPermutation order = order_.permutation(*current_.layout, window);
    std::vector<int64_t> rows_of_block(current_.block_ends.size(), 0);
    for (int64_t i = 0; i < part; ++i) {
      const int64_t row = order_.shuffles() ? order(skipped + i) : skipped + i;
      widen(stored_.dtype(), current_.rows.data() + row * row_bytes, into.rows(done + i, 1).span());
      const auto block = std::upper_bound(current_.block_ends.begin(), current_.block_ends.end(), row);
      ++rows_of_block[static_cast<size_t>(block - current_.block_ends.begin())];
      if (labels == nullptr || !stored_.labelled()) continue;
      const auto from = static_cast<size_t>(row), to = static_cast<size_t>(done + i);
      labels->token_ids[to] = current_.labels.token_ids[from];
      labels->positions[to] = current_.labels.positions[from];
      labels->documents[to] = current_.labels.documents[from];
    }
    if (part == count) count_mixing(rows_of_block, part);  // a batch across windows is not representative
    done += part;
  }
}

void WindowedRows::make_current(std::shared_ptr<const PassLayout> layout, int64_t index) {
  // A pass of a single window that is kept as it is: only the order within it changes.
  const bool same_rows = current_.layout != nullptr && current_.layout->windows() == 1 &&
                         layout->windows() == 1 && current_.layout->blocks == layout->blocks;
  if (current_.is(layout->pass, index)) return;
  if (same_rows) {
    current_.layout = std::move(layout);
    return;
  }
  if (reading_.valid()) reading_.get();
  if (next_.is(layout->pass, index)) {
    std::swap(current_, next_);
  } else {
    fill(current_, std::move(layout), index);
  }
  read_ahead();
}

void WindowedRows::read_ahead() {
  std::shared_ptr<const PassLayout> layout = current_.layout;
  int64_t index = current_.index + 1;
  if (index == layout->windows()) {
    if (layout->windows() == 1) return;
    layout = std::make_shared<const PassLayout>(order_.layout(layout->pass + 1));
    index = 0;
  }
  next_layout_ = layout;
  reading_ = std::async(std::launch::async, [this, layout, index] { fill(next_, layout, index); });
}

void WindowedRows::fill(Window& window, std::shared_ptr<const PassLayout> layout, int64_t index) const {
  window.layout = nullptr;  // an error leaves no half-filled window behind
  if (window.rows.data() == nullptr) {
    const int64_t bytes = order_.largest_window_rows() * stored_.d_model() * bytes_of(stored_.dtype());
    window.rows = Tensor<std::byte, 1>(memory_, "source windows", {bytes});
  }
  window.labels = {};
  window.block_ends.clear();
  std::vector<std::byte> room, scratch;
  const int64_t begin = layout->first_blocks[static_cast<size_t>(index)];
  const int64_t end = layout->first_blocks[static_cast<size_t>(index) + 1];
  for (int64_t i = begin; i < end; ++i) {
    append_block(window, layout->blocks[static_cast<size_t>(i)], room, scratch);
  }
  window.index = index;
  window.layout = std::move(layout);
}

void WindowedRows::append_block(Window& window, int64_t block, std::vector<std::byte>& room,
                                std::vector<std::byte>& scratch) const {
  const int64_t first = block * stored_.block_rows();
  const int64_t count = std::min(stored_.block_rows(), stored_.rows() - first);
  const int64_t row_bytes = stored_.d_model() * bytes_of(stored_.dtype());
  room.resize(static_cast<size_t>(count * row_bytes));
  stored_.read_stored(first, count, room.data(), scratch);
  int64_t filled = window.block_ends.empty() ? 0 : window.block_ends.back();
  for (int64_t row = 0; row < count;) {
    int64_t end = row;
    while (end < count && chosen_.contains(first + end)) ++end;
    if (end > row) {
      std::memcpy(window.rows.data() + filled * row_bytes, room.data() + row * row_bytes,
                  static_cast<size_t>((end - row) * row_bytes));
    }
    filled += end - row;
    row = end + 1;
  }
  window.block_ends.push_back(filled);
  append_labels(block, window.labels);
}

void WindowedRows::append_labels(int64_t block, RowLabels& labels) const {
  if (!stored_.labelled()) return;
  const int64_t first = block * stored_.block_rows();
  LabelledNorms all;
  stored_.read_labels(first, std::min(stored_.block_rows(), stored_.rows() - first), all);
  append_chosen(all.labels.token_ids, chosen_, first, labels.token_ids);
  append_chosen(all.labels.positions, chosen_, first, labels.positions);
  append_chosen(all.labels.documents, chosen_, first, labels.documents);
}

void WindowedRows::read_labels(int64_t first, int64_t count, RowLabels& labels) const {
  require(!order_.shuffles() && first >= 0 && first + count <= rows(), "labels are read in file order");
  labels = {};
  if (count == 0 || !stored_.labelled()) return;
  const std::vector<int32_t> drawn = chosen_.counts(stored_.block_rows());
  int64_t passed = 0;
  int64_t skipped = -1;  // rows of the first block before the first sample
  for (size_t block = 0; passed < first + count; ++block) {
    const int64_t begin = std::exchange(passed, passed + drawn[block]);
    if (passed <= first) continue;
    if (skipped < 0) skipped = first - begin;
    append_labels(static_cast<int64_t>(block), labels);
  }
  const auto cut = [&](auto& values) {
    values.erase(values.begin(), values.begin() + skipped);
    values.resize(static_cast<size_t>(count));
  };
  cut(labels.token_ids);
  cut(labels.positions);
  cut(labels.documents);
}

void WindowedRows::count_mixing(const std::vector<int64_t>& rows_of_block, int64_t rows) {
  const auto possible = std::min<int64_t>(rows, static_cast<int64_t>(rows_of_block.size()));
  double entropy = 0;
  int64_t touched = 0;
  for (const int64_t count : rows_of_block) {
    if (count == 0) continue;
    ++touched;
    const double share = static_cast<double>(count) / static_cast<double>(rows);
    entropy -= share * std::log(share);
  }
  entropy_sum_ += possible > 1 ? entropy / std::log(static_cast<double>(possible)) : 1.0;
  coverage_sum_ += static_cast<double>(touched) / static_cast<double>(possible);
  ++batches_;
}

BatchMixing WindowedRows::mixing() const {
  if (batches_ == 0) return {};
  const auto batches = static_cast<double>(batches_);
  return {.entropy = entropy_sum_ / batches, .coverage = coverage_sum_ / batches};
}

}  // namespace orthant
