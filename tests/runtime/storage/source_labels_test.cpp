// Labels alone, as they come beside the activations.
#include <gtest/gtest.h>

#include "runtime/storage/stored_source.h"
#include "tests/support/small_store.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

constexpr int64_t kRows = 1000;

Source in_file_order(const std::string& store) {
  Source config;
  config.add_store(store);
  config.set_shuffle(false);
  return config;
}

void expect_labels_beside_rows(ActivationSource& source, Split split) {
  const int64_t rows = source.rows(split);
  Memory memory;
  Tensor<float, 2> x(memory, "test", {rows, source.d_model()});
  RowLabels all;
  source.read(split, 0, x.view(), &all);
  for (const auto& [first, count] :
       {std::pair<int64_t, int64_t>{0, rows}, {0, 0}, {rows - 1, 1}, {rows / 3, rows / 2}}) {
    RowLabels part;
    source.read_labels(split, first, count, part);
    ASSERT_EQ(part.token_ids.size(), static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      const auto from = static_cast<size_t>(first + i), to = static_cast<size_t>(i);
      EXPECT_EQ(part.token_ids[to], all.token_ids[from]);
      EXPECT_EQ(part.positions[to], all.positions[from]);
      EXPECT_EQ(part.documents[to], all.documents[from]);
    }
  }
}

TEST(SourceLabels, AreThoseBesideTheRows) {
  const testing::TempDir dir;
  testing::write_small_store(dir.file("store"), kRows, 4, Dtype::kF32);
  Memory memory;
  Source filtered = in_file_order(dir.file("store"));
  filtered.set_holdout(0.4);
  filtered.mutable_exclude()->add_token_ids(10);
  const auto some = open_array_or_store(filtered, 0, memory);
  expect_labels_beside_rows(*some, Split::kTrain);
  expect_labels_beside_rows(*some, Split::kHoldout);
  Source whole = in_file_order(dir.file("store"));
  whole.set_holdout(0.0);
  whole.mutable_exclude()->add_positions(-1);
  whole.mutable_exclude()->set_norm_ratio(0.0);
  const auto all = open_array_or_store(whole, 0, memory);
  ASSERT_EQ(all->rows(Split::kTrain), kRows);
  expect_labels_beside_rows(*all, Split::kTrain);
}

}  // namespace
}  // namespace orthant
