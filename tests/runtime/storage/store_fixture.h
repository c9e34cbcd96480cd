// Small activation stores for tests: rows and labels are functions of the row number.
#pragma once

#include <string>
#include <vector>

#include "runtime/core/rng.h"
#include "runtime/storage/activation_store.h"

namespace orthant::testing {

inline float activation_at(int64_t row, int64_t column) {
  return random_normal(11, Purpose::kTest, 0, static_cast<uint64_t>(row * 1000 + column)) * 3.0f;
}

// Documents of 13 rows; the token id of a row is its number modulo 50.
inline RowLabels labels_of(int64_t first, int64_t count) {
  RowLabels labels;
  for (int64_t row = first; row < first + count; ++row) {
    labels.token_ids.push_back(static_cast<int32_t>(row % 50));
    labels.positions.push_back(static_cast<int32_t>(row % 13));
    labels.documents.push_back(row / 13);
  }
  return labels;
}

inline StoreDescription describe(int64_t rows, int64_t d_model, Dtype dtype) {
  return {.rows = rows,
          .d_model = d_model,
          .dtype = dtype,
          .provenance = {{"model", "test"}, {"hook", "blocks.0.hook_resid_post"}},
          .shard_bytes = 1};  // the smallest shards
}

// Appends rows [first, first + count) in pieces of uneven sizes.
inline void append_rows(StoreWriter& writer, int64_t first, int64_t count, int64_t d_model) {
  Memory memory;
  const int64_t sizes[] = {1, 700, 37, 5000};
  for (int64_t done = 0, i = 0; done < count; ++i) {
    const int64_t part = std::min(count - done, sizes[i % 4]);
    Tensor<float, 2> rows(memory, "rows", {part, d_model});
    for (int64_t r = 0; r < part; ++r) {
      for (int64_t c = 0; c < d_model; ++c) rows.data()[r * d_model + c] = activation_at(first + done + r, c);
    }
    writer.append(rows.view(), labels_of(first + done, part));
    done += part;
  }
}

// Writes and seals a whole store; returns its content hash.
inline std::string write_store(const std::string& path, const StoreDescription& description) {
  Memory memory;
  StoreWriter writer(path, description, memory);
  append_rows(writer, 0, description.rows, description.d_model);
  writer.publish();
  return seal_store(path, description);
}

}  // namespace orthant::testing
