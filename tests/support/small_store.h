// A finished activation store of small numbers for tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/device/memory.h"
#include "runtime/storage/activation_store.h"

namespace orthant::testing {

// `rows` rows of width `d_model`; the elements are their own numbers modulo 128, exact in every element type.
// Documents of 100 rows.
inline void write_small_store(const std::string& path, int64_t rows, int64_t d_model, Dtype dtype) {
  const StoreDescription description{
      .rows = rows, .d_model = d_model, .dtype = dtype, .provenance = {}, .shard_bytes = 0};
  Memory memory;
  StoreWriter writer(path, description, memory);
  writer.begin(0);
  std::vector<float> values(static_cast<size_t>(rows * d_model));
  RowLabels labels;
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 128);
  for (int64_t r = 0; r < rows; ++r) {
    labels.token_ids.push_back(static_cast<int32_t>(r + 7));
    labels.positions.push_back(static_cast<int32_t>(r % 100));
    labels.documents.push_back(r / 100);
  }
  writer.append({values.data(), {rows, d_model}}, labels);
  writer.publish();
  (void)seal_store(path, description);
}

}  // namespace orthant::testing
