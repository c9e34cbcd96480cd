// Rows of several stores of the same tokens: side by side, as a difference, and refused where tokens differ.
#include "runtime/storage/joined_rows.h"

#include <gtest/gtest.h>

#include <functional>

#include "runtime/core/error.h"
#include "runtime/storage/stored_source.h"
#include "tests/runtime/storage/store_fixture.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using testing::describe;
using testing::labels_of;
using testing::TempDir;

constexpr int64_t kRows = 9000;  // several blocks of labels
constexpr int64_t kWidth = 6;

float value_at(int store, int64_t row, int64_t column) {
  return testing::activation_at(row, column) * static_cast<float>(store + 1) + static_cast<float>(column);
}

struct StoreParts {
  Dtype dtype = Dtype::kF32;
  int64_t rows = kRows;
  int64_t d_model = kWidth;
  int64_t changed_row = -1;  // whose token is another
  int64_t loud_row = -1;     // whose norm is far above the others'
};

class Joined : public ::testing::Test {
 protected:
  std::string write(const std::string& name, int store, const StoreParts& parts = {}) {
    StoreDescription description = describe(parts.rows, parts.d_model, parts.dtype);
    description.provenance["hook"] = "blocks." + std::to_string(store) + ".hook_resid_post";
    Memory memory;
    StoreWriter writer(folder_.file(name), description, memory);
    std::vector<float> values;
    for (int64_t r = 0; r < parts.rows; ++r) {
      const float loud = r == parts.loud_row ? 1e4f : 1.0f;
      for (int64_t c = 0; c < parts.d_model; ++c) values.push_back(loud * value_at(store, r, c));
    }
    RowLabels labels = labels_of(0, parts.rows);
    if (parts.changed_row >= 0) labels.token_ids[static_cast<size_t>(parts.changed_row)] += 1;
    writer.append({values.data(), {parts.rows, parts.d_model}}, labels);
    writer.publish();
    seal_store(folder_.file(name), description);
    return folder_.file(name);
  }
  static std::string refusal(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      return error.what();
    }
    ADD_FAILURE() << "it was not refused";
    return "";
  }
  TempDir folder_;
};

TEST_F(Joined, RowsStandSideBySideInTheOrderOfTheStores) {
  const auto rows = open_joined_rows({write("a", 0), write("b", 1), write("c", 2)});
  EXPECT_EQ(rows->d_model(), 3 * kWidth);
  EXPECT_EQ(rows->rows(), kRows);
  EXPECT_EQ(rows->dtype(), Dtype::kF32);
  EXPECT_EQ(rows->parts(), 3);
  std::vector<float> read(200 * 3 * kWidth);
  std::vector<std::byte> scratch;
  const int64_t first = 4000;
  rows->read_stored(first, 200, reinterpret_cast<std::byte*>(read.data()), scratch);
  for (int64_t r = 0; r < 200; ++r) {
    for (int64_t c = 0; c < 3 * kWidth; ++c) {
      EXPECT_EQ(read[static_cast<size_t>(r * 3 * kWidth + c)],
                value_at(static_cast<int>(c / kWidth), first + r, c % kWidth));
    }
  }
}

TEST_F(Joined, StoresOfOneElementTypeKeepItAndOthersAreWidened) {
  const std::string a = write("a", 0, {.dtype = Dtype::kBF16}), b = write("b", 1, {.dtype = Dtype::kBF16});
  const std::string c = write("c", 1, {.dtype = Dtype::kF32});
  EXPECT_EQ(open_joined_rows({a, b})->dtype(), Dtype::kBF16);
  const auto mixed = open_joined_rows({a, c});
  ASSERT_EQ(mixed->dtype(), Dtype::kF32);
  std::vector<float> read(2 * kWidth), of_a(kWidth);
  std::vector<std::byte> scratch, stored(2 * kWidth);
  mixed->read_stored(77, 1, reinterpret_cast<std::byte*>(read.data()), scratch);
  open_store_rows(a)->read_stored(77, 1, stored.data(), scratch);
  widen(Dtype::kBF16, stored.data(), of_a);
  for (size_t i = 0; i < kWidth; ++i) {
    EXPECT_EQ(read[i], of_a[i]);
    EXPECT_EQ(read[kWidth + i], value_at(1, 77, static_cast<int64_t>(i)));
  }
}

TEST_F(Joined, TheDifferenceIsTheSecondMinusTheFirst) {
  const std::string a = write("a", 0), b = write("b", 1);
  const auto rows = open_difference_rows({a, b});
  EXPECT_EQ(rows->d_model(), kWidth);
  EXPECT_EQ(rows->parts(), 2) << "their norms are those of the stores";
  std::vector<float> read(3 * kWidth);
  std::vector<std::byte> scratch;
  rows->read_stored(5, 3, reinterpret_cast<std::byte*>(read.data()), scratch);
  for (int64_t r = 0; r < 3; ++r) {
    for (int64_t c = 0; c < kWidth; ++c) {
      EXPECT_EQ(read[static_cast<size_t>(r * kWidth + c)], value_at(1, 5 + r, c) - value_at(0, 5 + r, c));
    }
  }
  EXPECT_NE(refusal([&] { (void)open_difference_rows({a}); }).find("1 stores"), std::string::npos);
  EXPECT_NE(refusal([&] { (void)open_difference_rows({a, b, a}); }).find("3 stores"), std::string::npos);
}

TEST_F(Joined, TokenHashIsOfTheTokensAlone) {
  const std::string of = open_store_rows(write("a", 0))->token_hash();
  EXPECT_EQ(open_store_rows(write("b", 1, {.dtype = Dtype::kBF16}))->token_hash(), of);
  EXPECT_EQ(open_store_rows(write("c", 2, {.d_model = 11}))->token_hash(), of);
  EXPECT_NE(open_store_rows(write("d", 0, {.changed_row = 8999}))->token_hash(), of);
  EXPECT_NE(open_store_rows(write("e", 0, {.rows = kRows - 1}))->token_hash(), of);
}

TEST_F(Joined, DifferentTokensAreRefusedWithTheFirstRow) {
  const std::string a = write("a", 0);
  const std::string changed = refusal([&] {
    (void)open_joined_rows({a, write("b", 1, {.changed_row = 7001})});
  });
  EXPECT_NE(changed.find("row 7001"), std::string::npos) << changed;
  EXPECT_NE(changed.find("token 1 at position 7 of document 538 against token 2"), std::string::npos)
      << changed;
  const std::string shorter = refusal([&] { (void)open_joined_rows({a, write("c", 1, {.rows = 100})}); });
  EXPECT_NE(shorter.find("row 100"), std::string::npos) << shorter;
  const std::string wider = refusal([&] { (void)open_joined_rows({a, write("d", 1, {.d_model = 5})}); });
  EXPECT_NE(wider.find("d_model 6"), std::string::npos) << wider;
}

TEST_F(Joined, ARowIsLeftOutWhereAnyStoreHasAnExtremeNorm) {
  Source config;
  config.add_store(write("a", 0, {.loud_row = 100}));
  config.add_store(write("b", 50, {.loud_row = 300}));  // fifty times as loud all over
  config.mutable_exclude()->set_norm_ratio(20);
  config.mutable_exclude()->add_positions(-1);
  Memory memory;
  EXPECT_EQ(open_array_or_store(config, 0, memory)->excluded().norm_ratio, 2);
  config.set_combine("difference");
  const auto difference = open_array_or_store(config, 0, memory);
  EXPECT_EQ(difference->excluded().norm_ratio, 2);
  EXPECT_EQ(difference->d_model(), kWidth);
}

TEST_F(Joined, SamplesAreThoseOfEachStoreAlone) {
  Source joined;
  joined.add_store(write("a", 0));
  joined.add_store(write("b", 1));
  joined.mutable_exclude()->set_norm_ratio(0);
  Memory memory;
  const auto source = open_array_or_store(joined, 5, memory);
  EXPECT_NE(source->identity().find("joined"), std::string::npos);
  std::vector<float> rows(64 * 2 * kWidth);
  RowLabels labels;
  source->read(Split::kTrain, 1000, {rows.data(), {64, 2 * kWidth}}, &labels);
  for (size_t r = 0; r < 64; ++r) {
    const int64_t row = labels.documents[r] * 13 + labels.positions[r];
    for (int64_t c = 0; c < 2 * kWidth; ++c) {
      EXPECT_EQ(rows[r * 2 * kWidth + static_cast<size_t>(c)],
                value_at(static_cast<int>(c / kWidth), row, c % kWidth));
    }
  }
}

}  // namespace
}  // namespace orthant
