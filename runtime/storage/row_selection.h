// Which rows of a store a source gives out: those left after the filters, divided into training and held-out
// rows.
//
// Held out is a document when the hash of its number says so, the same documents whatever the seed; where
// that leaves one side empty (a single document, an array), blocks of rows are held out instead. Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/device/tensor.h"
#include "runtime/storage/stored_rows.h"

namespace orthant {

// A bit a row.
class RowSet {
 public:
  RowSet(int64_t rows, Memory& memory);
  void insert(int64_t row) { word(row) |= bit(row); }
  void erase(int64_t row) { word(row) &= ~bit(row); }
  [[nodiscard]] bool contains(int64_t row) const { return (bits_.data()[row / 64] & bit(row)) != 0; }
  [[nodiscard]] int64_t rows() const { return rows_; }
  // Rows of each block of `block_rows`.
  [[nodiscard]] std::vector<int32_t> counts(int64_t block_rows) const;

 private:
  static uint64_t bit(int64_t row) { return uint64_t{1} << (row % 64); }
  uint64_t& word(int64_t row) { return bits_.data()[row / 64]; }
  int64_t rows_;
  Tensor<uint64_t, 1> bits_;
};

struct RowFilter {
  std::vector<int32_t> token_ids = {};  // left out
  std::vector<int32_t> positions = {};  // left out
  // Rows whose norm is more than this many times the median are left out, of joined rows those with such a
  // part; 0: none.
  double norm_ratio = 0;
  double holdout = 0;  // share of the documents
};

// Rows that tokens and positions do not leave out and that hold a value that is not finite.
struct NotFiniteRows {
  int64_t count = 0;
  int64_t first = -1;  // -1: none
};

struct RowSelection {
  RowSet train;
  RowSet holdout;
  ExcludedRows excluded;  // each row once, by the first filter that left it out
  NotFiniteRows not_finite = {};
};

// Whether the hash of the document's number is below `share`.
[[nodiscard]] bool is_held_out(int64_t document, double share);
// Reads all labels once.
[[nodiscard]] RowSelection select_rows(const StoredRows& stored, const RowFilter& filter, Memory& memory);
// The middle value, or the mean of the two middle ones; values that are not finite do not count; 0 when none
// is.
[[nodiscard]] float median_of(std::vector<float> values);

}  // namespace orthant
