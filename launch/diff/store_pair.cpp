#include "launch/diff/store_pair.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "launch/evaluate/evaluation_job.h"
#include "launch/program/refuse.h"
#include "runtime/storage/activation_store.h"

namespace orthant::launch {
namespace {

constexpr int64_t kLabelRows = 65536;

// Stores of the same tokens, place by place.
class StorePair {
 public:
  StorePair(const PairedRowFields& fields, Memory& memory)
      : excluded_(fields.excluded_positions), has_other_(fields.has_other) {
    std::vector<std::string> others = fields.other_stores;
    if (has_other_ && others.size() != fields.stores.size()) {
      refuse(fmt::format("{} stores are given and {} other stores", fields.stores.size(), others.size()),
             "each is compared with the other of its place", "Give as many --other_store as --store.");
    }
    for (const std::string& path : fields.stores) first_.emplace_back(path);
    for (const std::string& path : others) {
      if (has_other_) other_.emplace_back(path);
    }
    for (const StoreReader& store : first_) check_same_tokens(first_.front(), store);
    for (const StoreReader& store : other_) check_same_tokens(first_.front(), store);
    const int64_t rows =
        fields.tokens > 0 ? std::min(fields.tokens, first_.front().rows()) : first_.front().rows();
    if (rows == 0) refuse("the stores have no rows", "there is nothing to compare", "Give others.");
    for (int64_t row = 0; row < rows; row += fields.block_tokens) offsets_.push_back(row);
    offsets_.push_back(rows);
    const int64_t most = std::min(fields.block_tokens, rows);
    for (const std::vector<StoreReader>* const side : {&first_, &other_}) {
      for (const StoreReader& store : *side) {
        rows_.emplace_back(memory, "rows", std::array<int64_t, 2>{most, store.d_model()});
      }
    }
  }

  [[nodiscard]] std::vector<PairedPlace> places() const {
    std::vector<PairedPlace> found;
    for (size_t i = 0; i < first_.size(); ++i) {
      PairedPlace place{.name = name_of(first_[i]), .width = first_[i].d_model()};
      if (has_other_) {
        place.other_name = name_of(other_[i]);
        place.other_width = other_[i].d_model();
      }
      found.push_back(std::move(place));
    }
    return found;
  }
  [[nodiscard]] const std::vector<int64_t>& offsets() const { return offsets_; }
  [[nodiscard]] std::string identity() const {
    std::string text;
    for (const std::vector<StoreReader>* const side : {&first_, &other_}) {
      for (const StoreReader& store : *side) text += (text.empty() ? "" : " ") + store.content_hash();
    }
    return text;
  }

  [[nodiscard]] PairedBlock read(int64_t block) {
    const int64_t first = offsets_[static_cast<size_t>(block)];
    const int64_t count = offsets_[static_cast<size_t>(block) + 1] - first;
    RowLabels labels;
    PairedBlock found;
    for (size_t i = 0; i < rows_.size(); ++i) {
      const bool is_first = i < first_.size();
      StoreReader& store = is_first ? first_[i] : other_[i - first_.size()];
      const Matrix<float> rows = rows_[i].view().rows(0, count);
      store.read(first, rows, i == 0 ? &labels : nullptr);
      (is_first ? found.first : found.other).push_back(rows);
    }
    found.counted = counted_tokens(labels.positions, excluded_);
    return found;
  }

 private:
  // The hook of a store that names one, else where it lies.
  static std::string name_of(const StoreReader& store) {
    return text_or(store.provenance(), "hook", store.path());
  }

  static void check_same_tokens(const StoreReader& a, const StoreReader& b) {
    if (a.content_hash() == b.content_hash()) return;
    for (int64_t first = 0; first < std::min(a.rows(), b.rows()); first += kLabelRows) {
      LabelledNorms of_a, of_b;
      const int64_t count = std::min(kLabelRows, std::min(a.rows(), b.rows()) - first);
      a.read_labels(first, count, of_a);
      b.read_labels(first, count, of_b);
      for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
        if (of_a.labels.token_ids[i] == of_b.labels.token_ids[i] &&
            of_a.labels.positions[i] == of_b.labels.positions[i])
          continue;
        refuse_tokens(
            a, b, first + static_cast<int64_t>(i),
            fmt::format("token {} at position {} and token {} at position {}", of_a.labels.token_ids[i],
                        of_a.labels.positions[i], of_b.labels.token_ids[i], of_b.labels.positions[i]));
      }
    }
    if (a.rows() == b.rows()) return;
    refuse_tokens(a, b, std::min(a.rows(), b.rows()),
                  fmt::format("the stores have {} and {} rows", a.rows(), b.rows()));
  }

  [[noreturn]] static void refuse_tokens(const StoreReader& a, const StoreReader& b, int64_t row,
                                         const std::string& difference) {
    refuse(fmt::format("{} and {} are of different tokens, first in row {}: {}", a.path(), b.path(), row,
                       difference),
           "what is compared row by row needs the same tokens",
           "Harvest both from one text with one tokenizer.");
  }

  std::vector<int32_t> excluded_;
  bool has_other_;
  std::vector<StoreReader> first_;
  std::vector<StoreReader> other_;
  std::vector<int64_t> offsets_;
  std::vector<Tensor<float, 2>> rows_;  // of the first stores, then of the others
};

}  // namespace

PairedRows store_pair(const PairedRowFields& fields, Memory& memory) {
  return paired_rows_of(std::make_shared<StorePair>(fields, memory));
}

}  // namespace orthant::launch
