#include "runtime/storage/stored_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "runtime/core/error.h"
#include "runtime/storage/npy.h"
#include "runtime/storage/safetensors.h"
#include "tests/runtime/storage/store_fixture.h"
#include "tests/support/code_of.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using testing::activation_at;
using testing::describe;
using testing::TempDir;
using testing::write_store;

constexpr int64_t kDModel = 4096;  // 128 rows a block in f32
constexpr int64_t kRows = 1500;

// The store's row numbers that samples [first, first + count) draw, found by document and position.
std::vector<int64_t> draw(ActivationSource& source, Split split, int64_t first, int64_t count) {
  Memory memory;
  Tensor<float, 2> rows(memory, "rows", {count, source.d_model()});
  RowLabels labels;
  source.read(split, first, rows.view(), &labels);
  std::vector<int64_t> drawn;
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    const int64_t row = labels.documents[at] * 13 + labels.positions[at];
    EXPECT_EQ(labels.token_ids[at], row % 50);
    EXPECT_EQ(rows.view().row(i)[0], activation_at(row, 0));
    EXPECT_EQ(rows.view().row(i)[source.d_model() - 1], activation_at(row, source.d_model() - 1));
    drawn.push_back(row);
  }
  return drawn;
}

class StoredSourceTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TempDir();
    write_store(path(), describe(kRows, kDModel, Dtype::kF32));
  }
  static void TearDownTestSuite() { delete directory_; }
  static std::string path() { return directory_->file("store"); }
  static std::unique_ptr<StoredSource> open(const StoredSourceOptions& options, Memory& memory) {
    return std::make_unique<StoredSource>(open_store_rows(path()), options, memory);
  }
  // Windows of three blocks.
  static StoredSourceOptions small_windows() {
    return {.filter = {.holdout = 0.2}, .seed = 3, .window_bytes = 3 * 128 * kDModel * 4};
  }
  static TempDir* directory_;
};
TempDir* StoredSourceTest::directory_ = nullptr;

TEST_F(StoredSourceTest, EveryRowIsEitherTrainedOnOncePerPassOrHeldOut) {
  Memory memory;
  const auto source = open(small_windows(), memory);
  const int64_t train = source->rows(Split::kTrain), holdout = source->rows(Split::kHoldout);
  EXPECT_EQ(train + holdout, kRows);
  EXPECT_GT(holdout, 100);
  EXPECT_LT(holdout, 600);
  const std::vector<int64_t> held_out = draw(*source, Split::kHoldout, 0, holdout);
  EXPECT_TRUE(std::is_sorted(held_out.begin(), held_out.end()));
  std::set<int64_t> all(held_out.begin(), held_out.end());
  std::set<int64_t> documents;
  for (const int64_t row : held_out) documents.insert(row / 13);
  const std::vector<int64_t> first = draw(*source, Split::kTrain, 0, train);
  for (const int64_t row : first) EXPECT_FALSE(documents.contains(row / 13));
  all.insert(first.begin(), first.end());
  EXPECT_EQ(static_cast<int64_t>(all.size()), kRows);
  std::vector<int64_t> second = draw(*source, Split::kTrain, train, train);
  EXPECT_NE(second, first);
  std::sort(second.begin(), second.end());
  std::vector<int64_t> sorted = first;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(second, sorted);
}

TEST_F(StoredSourceTest, ASampleIsAFunctionOfItsNumber) {
  Memory memory;
  const auto source = open(small_windows(), memory), other = open(small_windows(), memory);
  const std::vector<int64_t> all = draw(*source, Split::kTrain, 0, 2000);
  for (const auto& [first, count] :
       std::vector<std::pair<int64_t, int64_t>>{{1700, 100}, {0, 1}, {350, 400}, {1100, 300}}) {
    const std::vector<int64_t> part = draw(*other, Split::kTrain, first, count);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + first)) << first;
  }
}

TEST_F(StoredSourceTest, FileOrderWhenNotShuffled) {
  Memory memory;
  StoredSourceOptions options = small_windows();
  options.shuffle = false;
  options.filter.holdout = 0;
  const auto source = open(options, memory);
  const std::vector<int64_t> drawn = draw(*source, Split::kTrain, 0, kRows + 5);
  for (int64_t i = 0; i < kRows + 5; ++i) EXPECT_EQ(drawn[static_cast<size_t>(i)], i % kRows);
}

TEST_F(StoredSourceTest, TokensAndPositionsAreLeftOutAndCounted) {
  Memory memory;
  StoredSourceOptions options = small_windows();
  options.filter.token_ids = {7, 8};
  options.filter.positions = {0, 5};
  const auto source = open(options, memory);
  int64_t tokens = 0, positions = 0;
  for (int64_t row = 0; row < kRows; ++row) {
    const bool token = row % 50 == 7 || row % 50 == 8;
    tokens += token;
    positions += !token && (row % 13 == 0 || row % 13 == 5);
  }
  EXPECT_EQ(source->excluded().token_ids, tokens);
  EXPECT_EQ(source->excluded().positions, positions);
  EXPECT_EQ(source->rows(Split::kTrain) + source->rows(Split::kHoldout), kRows - tokens - positions);
  for (const int64_t row : draw(*source, Split::kTrain, 0, source->rows(Split::kTrain))) {
    EXPECT_FALSE(row % 50 == 7 || row % 50 == 8 || row % 13 == 0 || row % 13 == 5);
  }
}

TEST_F(StoredSourceTest, HeldOutDocumentsDoNotDependOnTheSeed) {
  Memory memory;
  StoredSourceOptions options = small_windows();
  const auto first = open(options, memory);
  options.seed = 99;
  const auto second = open(options, memory);
  const int64_t rows = first->rows(Split::kHoldout);
  EXPECT_EQ(draw(*first, Split::kHoldout, 0, rows), draw(*second, Split::kHoldout, 0, rows));
  EXPECT_NE(draw(*first, Split::kTrain, 0, 100), draw(*second, Split::kTrain, 0, 100));
  EXPECT_NE(first->identity(), second->identity());
}

TEST_F(StoredSourceTest, BatchesAreMixed) {
  Memory memory;
  const auto source = open({.filter = {}, .seed = 1}, memory);  // one window
  for (int64_t batch = 0; batch < 3; ++batch) draw(*source, Split::kTrain, batch * 400, 400);
  EXPECT_GT(source->mixing().entropy, 0.97);
  EXPECT_GT(source->mixing().coverage, 0.99);
  StoredSourceOptions options{.filter = {}, .shuffle = false};
  const auto in_order = open(options, memory);
  draw(*in_order, Split::kTrain, 0, 100);
  EXPECT_LT(in_order->mixing().entropy, 0.1);
}

TEST_F(StoredSourceTest, DamageStopsTheReadWithTheShardsName) {
  const TempDir directory;
  write_store(directory.file("store"), describe(kRows, kDModel, Dtype::kF32));
  const std::string shard = directory.file("store/" + shard_name(0));
  Memory memory;
  StoredSource source(open_store_rows(directory.file("store")), small_windows(), memory);
  std::string bytes = read_file(shard);
  bytes[kBlockHeaderBytes + 1000] ^= 4;
  {
    File file = File::create(shard);  // in place, as a bad disk would
    file.write(bytes.data(), static_cast<int64_t>(bytes.size()));
    file.close();
  }
  try {
    draw(source, Split::kTrain, 0, source.rows(Split::kTrain));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_THAT(error.what(), ::testing::HasSubstr(shard));
  }
}

TEST(StoredSource, NormsFarFromTheMedianAreLeftOut) {
  const TempDir directory;
  std::vector<float> values(200 * 2, 1.0f);
  values[2 * 17] = 1000.0f;
  values[2 * 40] = std::numeric_limits<float>::quiet_NaN();
  write_npy(directory.file("x.npy"), Dtype::kF32, {200, 2}, values.data());
  Source config;
  config.set_array(directory.file("x.npy"));
  Memory memory;
  const auto source = open_array_or_store(config, 0, memory);
  EXPECT_EQ(source->excluded().norm_ratio, 2);
  EXPECT_EQ(source->rows(Split::kTrain) + source->rows(Split::kHoldout), 198);
  EXPECT_GT(source->rows(Split::kHoldout), 0);
  EXPECT_EQ(source->not_finite().count, 1);
  EXPECT_EQ(source->not_finite().first, 40);
  config.mutable_exclude()->set_norm_ratio(0);
  std::string message;
  EXPECT_EQ(testing::code_of([&] { (void)open_array_or_store(config, 0, memory); }, &message),
            ExitCode::kNonFinite);
  EXPECT_NE(message.find("row 40 of"), std::string::npos) << message;
  values[2 * 40] = 1.0f;
  write_npy(directory.file("x.npy"), Dtype::kF32, {200, 2}, values.data());
  EXPECT_EQ(open_array_or_store(config, 0, memory)->excluded().norm_ratio, 0);
}

TEST(StoredSource, ArraysOfEveryNumericTypeAreRead) {
  const TempDir directory;
  const std::vector<double> f64 = {1, 2, 3, 4, 5, 6};
  std::vector<BFloat16> bf16;
  for (const double value : f64) bf16.push_back(to_bf16(static_cast<float>(value)));
  write_npy(directory.file("a.npy"), Dtype::kF64, {3, 2}, f64.data());
  write_safetensors(directory.file("a.safetensors"), {{"activations", Dtype::kBF16, {3, 2}, bf16.data()}});
  for (const char* name : {"a.npy", "a.safetensors"}) {
    Source config;
    config.set_array(directory.file(name));
    config.set_shuffle(false);
    config.set_holdout(0);
    Memory memory;
    const auto source = open_array_or_store(config, 0, memory);
    ASSERT_EQ(source->d_model(), 2);
    std::vector<float> into(8);
    RowLabels labels;
    source->read(Split::kTrain, 0, {into.data(), {4, 2}}, &labels);
    EXPECT_EQ(into, (std::vector<float>{1, 2, 3, 4, 5, 6, 1, 2}));
    EXPECT_TRUE(labels.token_ids.empty());
  }
}

TEST(StoredSource, WrongArraysAndConfigurationsAreRefused) {
  const TempDir directory;
  const float values[] = {1, 2, 3};
  write_npy(directory.file("flat.npy"), Dtype::kF32, {3}, values);
  const auto code_of = [](const Source& config) {
    Memory memory;
    return testing::code_of([&] { (void)open_array_or_store(config, 0, memory); });
  };
  Source config;
  EXPECT_EQ(code_of(config), ExitCode::kConfig);
  config.set_array(directory.file("flat.npy"));
  EXPECT_EQ(code_of(config), ExitCode::kData);
  config.add_store(directory.file("absent"));
  EXPECT_EQ(code_of(config), ExitCode::kConfig);
  config.clear_array();
  EXPECT_EQ(code_of(config), ExitCode::kIo);
}

TEST(StoredSource, PositionZeroIsLeftOutUnlessAskedFor) {
  const TempDir directory;
  write_store(directory.file("store"), describe(130, 3, Dtype::kBF16));
  Source config;
  config.add_store(directory.file("store"));
  config.mutable_exclude()->set_norm_ratio(0);
  Memory memory;
  EXPECT_EQ(open_array_or_store(config, 0, memory)->excluded().positions, 10);
  config.mutable_exclude()->add_positions(-1);
  EXPECT_EQ(open_array_or_store(config, 0, memory)->excluded().positions, 0);
}

TEST(StoredSource, ASingleDocumentIsHeldOutByBlocksOfRows) {
  const TempDir directory;
  StoreDescription description = describe(1000, 3, Dtype::kBF16);
  Memory memory;
  StoreWriter writer(directory.file("store"), description, memory);
  std::vector<float> values(3000, 1.0f);
  RowLabels labels;
  for (int32_t i = 0; i < 1000; ++i) {
    labels.token_ids.push_back(i);
    labels.positions.push_back(i + 1);
    labels.documents.push_back(0);
  }
  writer.append({values.data(), {1000, 3}}, labels);
  writer.publish();
  seal_store(directory.file("store"), description);
  StoredSource source(open_store_rows(directory.file("store")), {.filter = {.holdout = 0.1}}, memory);
  EXPECT_NEAR(static_cast<double>(source.rows(Split::kHoldout)), 100, 25);
  EXPECT_EQ(source.rows(Split::kHoldout) + source.rows(Split::kTrain), 1000);
}

TEST(Median, OddEvenAndNonFinite) {
  EXPECT_EQ(median_of({3, 1, 2}), 2);
  EXPECT_EQ(median_of({4, 1, 2, 3}), 2.5f);
  EXPECT_EQ(median_of({std::numeric_limits<float>::infinity(), 5}), 5);
  EXPECT_EQ(median_of({}), 0);
}

TEST_F(StoredSourceTest, CountsWhatItAllocates) {
  Source config;
  config.add_store(path());
  config.set_holdout(0.0);
  config.mutable_exclude()->add_positions(-1);
  config.mutable_exclude()->set_norm_ratio(0.0);
  Memory counted = Memory::counting();
  EXPECT_EQ(count_array_or_store(config, counted), kDModel);
  Memory memory;
  const auto source = open_array_or_store(config, 0, memory);
  std::vector<float> row(kDModel);
  source->read(Split::kTrain, 0, {row.data(), {1, kDModel}}, nullptr);
  ASSERT_EQ(memory.segments().size(), counted.segments().size());
  for (size_t i = 0; i < memory.segments().size(); ++i) {
    EXPECT_EQ(memory.segments()[i].segment, counted.segments()[i].segment);
    EXPECT_EQ(memory.segments()[i].allocated_bytes, counted.segments()[i].allocated_bytes);
  }
}

}  // namespace
}  // namespace orthant
