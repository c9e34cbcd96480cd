#include "runtime/storage/joined_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "runtime/core/error.h"

namespace orthant {
namespace {

constexpr int64_t kComparedRows = 65536;

struct NamedRows {
  std::string path;
  std::unique_ptr<StoredRows> rows;
};

bool is_same(const RowLabels& a, const RowLabels& b, size_t i) {
  return a.token_ids[i] == b.token_ids[i] && a.positions[i] == b.positions[i] &&
         a.documents[i] == b.documents[i];
}

std::string token_text(const RowLabels& labels, size_t i) {
  return fmt::format("token {} at position {} of document {}", labels.token_ids[i], labels.positions[i],
                     labels.documents[i]);
}

[[noreturn]] void refuse_tokens(const NamedRows& a, const NamedRows& b, int64_t row, const std::string& why) {
  throw Error(
      ExitCode::kConfig,
      {.problem = fmt::format("{} and {} hold different tokens, first at row {}", a.path, b.path, row),
       .why = why,
       .suggestion = "Harvest both from one text with the same --context, --bos, --pack and --tokens: "
                     "`orthant harvest --model=A,B`, or with several --hook."});
}

// Called when the token hashes differ.
[[noreturn]] void refuse_different(const NamedRows& a, const NamedRows& b) {
  const int64_t both = std::min(a.rows->rows(), b.rows->rows());
  for (int64_t first = 0; first < both; first += kComparedRows) {
    const int64_t count = std::min(kComparedRows, both - first);
    LabelledNorms of_a, of_b;
    a.rows->read_labels(first, count, of_a);
    b.rows->read_labels(first, count, of_b);
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      if (is_same(of_a.labels, of_b.labels, i)) continue;
      refuse_tokens(a, b, first + static_cast<int64_t>(i),
                    fmt::format("{} against {}", token_text(of_a.labels, i), token_text(of_b.labels, i)));
    }
  }
  refuse_tokens(a, b, both, fmt::format("they have {} and {} rows", a.rows->rows(), b.rows->rows()));
}

void refuse_unfit(const NamedRows& a, const NamedRows& b) {
  if (a.rows->d_model() != b.rows->d_model()) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("{} has d_model {}, {} has {}", a.path,
                                                           a.rows->d_model(), b.path, b.rows->d_model()),
                                    .why = "the directions of the sources are compared with each other",
                                    .suggestion = "Give stores of hooks or models of one width."});
  }
  if (a.rows->token_hash() != b.rows->token_hash()) refuse_different(a, b);
}

std::vector<NamedRows> open_all(const std::vector<std::string>& stores) {
  std::vector<NamedRows> all;
  for (const std::string& path : stores) {
    all.push_back({path, open_store_rows(path)});
    if (all.size() > 1) refuse_unfit(all.front(), all.back());
  }
  return all;
}

// What both kinds share: everything but the elements of a row.
class RowsOfStores : public StoredRows {
 public:
  explicit RowsOfStores(std::vector<NamedRows> stores) : stores_(std::move(stores)) {}
  int64_t rows() const override { return first().rows(); }
  // The largest, a multiple of the others, so that no block is read twice.
  int64_t block_rows() const override {
    int64_t largest = 0;
    for (const NamedRows& store : stores_) largest = std::max(largest, store.rows->block_rows());
    return largest;
  }
  bool labelled() const override { return true; }
  int64_t parts() const override { return static_cast<int64_t>(stores_.size()); }
  std::string token_hash() const override { return first().token_hash(); }
  void read_labels(int64_t first_row, int64_t count, LabelledNorms& into) const override {
    std::vector<LabelledNorms> read(stores_.size());
    for (size_t s = 0; s < stores_.size(); ++s) stores_[s].rows->read_labels(first_row, count, read[s]);
    for (size_t row = 0; row < static_cast<size_t>(count); ++row) {
      for (const LabelledNorms& of_store : read) into.norms.push_back(of_store.norms[row]);
    }
    const auto append = [](const auto& values, auto& to) {
      to.insert(to.end(), values.begin(), values.end());
    };
    append(read[0].labels.token_ids, into.labels.token_ids);
    append(read[0].labels.positions, into.labels.positions);
    append(read[0].labels.documents, into.labels.documents);
  }

 protected:
  [[nodiscard]] const StoredRows& first() const { return *stores_[0].rows; }
  [[nodiscard]] size_t stores() const { return stores_.size(); }
  [[nodiscard]] const StoredRows& store(size_t s) const { return *stores_[s].rows; }
  [[nodiscard]] std::vector<std::string> identities() const {
    std::vector<std::string> all;
    for (const NamedRows& store : stores_) all.push_back(store.rows->identity());
    return all;
  }

 private:
  std::vector<NamedRows> stores_;
};

class JoinedRows : public RowsOfStores {
 public:
  explicit JoinedRows(std::vector<NamedRows> stores)
      : RowsOfStores(std::move(stores)), dtype_(first().dtype()) {
    for (size_t s = 1; s < this->stores(); ++s) {
      if (store(s).dtype() != dtype_) dtype_ = Dtype::kF32;
    }
  }
  int64_t d_model() const override { return parts() * first().d_model(); }
  Dtype dtype() const override { return dtype_; }
  void read_stored(int64_t first_row, int64_t count, std::byte* into,
                   std::vector<std::byte>& scratch) const override {
    const int64_t width = first().d_model();
    const int64_t part_bytes = width * bytes_of(dtype_), row_bytes = parts() * part_bytes;
    std::vector<std::byte> read;
    for (size_t s = 0; s < stores(); ++s) {
      const int64_t read_bytes = width * bytes_of(store(s).dtype());
      read.resize(static_cast<size_t>(count * read_bytes));
      store(s).read_stored(first_row, count, read.data(), scratch);
      for (int64_t row = 0; row < count; ++row) {
        std::byte* const to = into + row * row_bytes + static_cast<int64_t>(s) * part_bytes;
        const std::byte* const from = read.data() + row * read_bytes;
        if (store(s).dtype() == dtype_) {
          std::memcpy(to, from, static_cast<size_t>(part_bytes));
        } else {
          widen(store(s).dtype(), from, {reinterpret_cast<float*>(to), static_cast<size_t>(width)});
        }
      }
    }
  }
  std::string identity() const override { return fmt::format("joined {}", fmt::join(identities(), " and ")); }

 private:
  Dtype dtype_;
};

class DifferenceRows : public RowsOfStores {
 public:
  explicit DifferenceRows(std::vector<NamedRows> stores) : RowsOfStores(std::move(stores)) {}
  int64_t d_model() const override { return first().d_model(); }
  Dtype dtype() const override { return Dtype::kF32; }
  void read_stored(int64_t first_row, int64_t count, std::byte* into,
                   std::vector<std::byte>& scratch) const override {
    const auto elements = static_cast<size_t>(count * d_model());
    std::vector<float> subtrahend(elements);
    const std::span<float> difference(reinterpret_cast<float*>(into), elements);
    read_widened(0, first_row, count, subtrahend, scratch);
    read_widened(1, first_row, count, difference, scratch);
    for (size_t i = 0; i < elements; ++i) difference[i] -= subtrahend[i];
  }
  std::string identity() const override {
    const std::vector<std::string> of = identities();
    return fmt::format("difference of {} minus {}", of[1], of[0]);
  }

 private:
  void read_widened(size_t s, int64_t first_row, int64_t count, std::span<float> into,
                    std::vector<std::byte>& scratch) const {
    std::vector<std::byte> read(into.size() * static_cast<size_t>(bytes_of(store(s).dtype())));
    store(s).read_stored(first_row, count, read.data(), scratch);
    widen(store(s).dtype(), read.data(), into);
  }
};

}  // namespace

std::unique_ptr<StoredRows> open_joined_rows(const std::vector<std::string>& stores) {
  return std::make_unique<JoinedRows>(open_all(stores));
}

std::unique_ptr<StoredRows> open_difference_rows(const std::vector<std::string>& stores) {
  if (stores.size() != 2) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("source.combine = 'difference' is given {} stores", stores.size()),
                 .why = "a difference is of the second store minus the first",
                 .suggestion = "Give --source.store=FIRST,SECOND."});
  }
  return std::make_unique<DifferenceRows>(open_all(stores));
}

}  // namespace orthant
