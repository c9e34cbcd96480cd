#include "runtime/storage/activation_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <filesystem>

#include "runtime/comm/world.h"
#include "runtime/core/error.h"
#include "tests/runtime/storage/store_fixture.h"
#include "tests/support/code_of.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using testing::activation_at;
using testing::append_rows;
using testing::describe;
using ::testing::HasSubstr;
using testing::TempDir;
using testing::write_store;

float rounded(float value, Dtype dtype) {
  if (dtype == Dtype::kBF16) return to_f32(to_bf16(value));
  if (dtype == Dtype::kF16) return to_f32(to_f16(value));
  return value;
}

void expect_rows(StoreReader& reader, int64_t first, int64_t count) {
  Memory memory;
  Tensor<float, 2> rows(memory, "rows", {count, reader.d_model()});
  RowLabels labels;
  reader.read(first, rows.view(), &labels);
  ASSERT_EQ(static_cast<int64_t>(labels.token_ids.size()), count);
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t c = 0; c < reader.d_model(); ++c) {
      ASSERT_EQ(rows.view().row(r)[c], rounded(activation_at(first + r, c), reader.dtype())) << first + r;
    }
    ASSERT_EQ(labels.token_ids[static_cast<size_t>(r)], (first + r) % 50);
    ASSERT_EQ(labels.positions[static_cast<size_t>(r)], (first + r) % 13);
    ASSERT_EQ(labels.documents[static_cast<size_t>(r)], (first + r) / 13);
  }
}

class StoreOfType : public ::testing::TestWithParam<Dtype> {};

TEST_P(StoreOfType, RoundTripAcrossBlocksAndShards) {
  const TempDir directory;
  const StoreDescription description = describe(20011, 3, GetParam());
  write_store(directory.file("store"), description);
  StoreReader reader(directory.file("store"));
  EXPECT_EQ(reader.rows(), 20011);
  EXPECT_GT(reader.shards().size(), 0u);
  expect_rows(reader, 0, 20011);
  expect_rows(reader, 4095, 2);
  expect_rows(reader, 20010, 1);
  expect_rows(reader, 7, 0);
  EXPECT_TRUE(verify_store(directory.file("store")).empty());
}
INSTANTIATE_TEST_SUITE_P(Types, StoreOfType, ::testing::Values(Dtype::kF32, Dtype::kBF16, Dtype::kF16));

TEST(ActivationStore, NormsAreOfTheStoredRows) {
  const TempDir directory;
  write_store(directory.file("store"), describe(100, 5, Dtype::kBF16));
  const StoreReader reader(directory.file("store"));
  LabelledNorms labels;
  reader.read_labels(40, 20, labels);
  for (int64_t i = 0; i < 20; ++i) {
    double sum = 0;
    for (int64_t c = 0; c < 5; ++c) sum += std::pow(rounded(activation_at(40 + i, c), Dtype::kBF16), 2.0);
    EXPECT_FLOAT_EQ(labels.norms[static_cast<size_t>(i)], static_cast<float>(std::sqrt(sum)));
  }
}

// Wide rows: many blocks in a shard, and shards that begin within a block.
TEST(ActivationStore, ContentHashDoesNotDependOnShardsOrRanks) {
  const TempDir directory;
  const int64_t d_model = 4096, rows = 700;  // 128 rows a block in f32
  ASSERT_EQ(rows_per_block(d_model, Dtype::kF32), 128);
  const StoreDescription description = describe(rows, d_model, Dtype::kF32);
  const std::string whole = write_store(directory.file("whole"), description);
  for (const int64_t parts : {2, 3, 7}) {
    const std::string path = directory.file("parts" + std::to_string(parts));
    Memory memory;
    for (int64_t part = parts - 1; part >= 0; --part) {  // in any order
      const Share share = share_of(rows, parts, part);
      StoreWriter writer(path, description, memory);
      writer.begin(share.first);
      append_rows(writer, share.first, share.count, d_model);
      writer.publish();
    }
    EXPECT_EQ(seal_store(path, description), whole) << parts;
    StoreReader reader(path);
    EXPECT_EQ(static_cast<int64_t>(reader.shards().size()), parts);
    expect_rows(reader, 200, 150);
    EXPECT_TRUE(verify_store(path).empty());
  }
  StoreDescription other = description;
  other.rows = rows - 1;
  EXPECT_NE(write_store(directory.file("other"), other), whole);
}

TEST(ActivationStore, RanksFinishTogether) {
  const TempDir directory;
  const StoreDescription description = describe(1000, 3, Dtype::kBF16);
  const std::string whole = write_store(directory.file("whole"), description);
  for (const int ranks : {1, 3}) {
    const std::string path = directory.file("ranks" + std::to_string(ranks));
    std::vector<std::string> hashes(static_cast<size_t>(ranks));
    run_thread_ranks(ranks, [&](World world) {
      const Share share = share_of(description.rows, world.size(), world.rank());
      Memory memory;
      StoreWriter writer(path, description, memory);
      writer.begin(share.first);
      append_rows(writer, share.first, share.count, description.d_model);
      hashes[static_cast<size_t>(world.rank())] = finish_store(writer, path, description, *world.control);
    });
    for (const std::string& hash : hashes) EXPECT_EQ(hash, whole);
  }
}

TEST(ActivationStore, AStoppedHarvestMakesOnlyTheMissingRanges) {
  const TempDir directory;
  const std::string path = directory.file("store");
  const StoreDescription description = describe(10000, 3, Dtype::kBF16);
  const std::string whole = write_store(directory.file("whole"), description);
  Memory memory;
  {
    StoreWriter writer(path, description, memory);
    writer.begin(100);
    append_rows(writer, 100, 50, 3);
    writer.begin(5000);
    append_rows(writer, 5000, 30, 3);  // not published: killed
  }
  const std::vector<Share> missing = missing_ranges(path, description);
  ASSERT_EQ(missing.size(), 2u);
  EXPECT_EQ(missing[0].first, 0);
  EXPECT_EQ(missing[0].count, 100);
  EXPECT_EQ(missing[1].first, 150);
  EXPECT_EQ(missing[1].count, 9850);
  EXPECT_THROW((void)seal_store(path, description), Error);
  EXPECT_THROW(StoreReader{path}, Error);
  StoreWriter writer(path, description, memory);
  for (const Share& range : missing) {
    writer.begin(range.first);
    append_rows(writer, range.first, range.count, 3);
  }
  writer.publish();
  EXPECT_TRUE(missing_ranges(path, description).empty());
  EXPECT_EQ(seal_store(path, description), whole);
}

TEST(ActivationStore, ShardsOfAnotherStoreAreRefused) {
  const TempDir directory;
  write_store(directory.file("store"), describe(100, 3, Dtype::kBF16));
  StoreDescription other = describe(100, 3, Dtype::kBF16);
  other.provenance["hook"] = "blocks.1.hook_resid_post";
  try {
    (void)missing_ranges(directory.file("store"), other);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
  }
}

TEST(ActivationStore, AFullDiskKeepsCompleteShards) {
  const TempDir directory;
  const std::string path = directory.file("store");
  const StoreDescription description = describe(200000, 3, Dtype::kF32);
  Memory memory;
  StoreWriter writer(path, description, memory);
  append_rows(writer, 0, 65536, 3);  // one whole shard
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{.rlim_cur = 100000, .rlim_max = limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const ExitCode code = testing::code_of([&] { append_rows(writer, 65536, 65536, 3); });
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, before);
  EXPECT_EQ(code, ExitCode::kIo);
  const std::vector<Share> missing = missing_ranges(path, description);
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing[0].first, 65536);
}

std::string opening_fails(const std::string& path) {
  try {
    StoreReader reader(path);
    Memory memory;
    Tensor<float, 2> rows(memory, "rows", {reader.rows(), reader.d_model()});
    RowLabels labels;
    reader.read(0, rows.view(), &labels);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData) << error.what();
    return error.what();
  }
  return "";
}

TEST(ActivationStore, EveryFlippedBitTruncationAndMissingFileIsDetected) {
  const TempDir directory;
  const std::string path = directory.file("store");
  write_store(path, describe(300, 3, Dtype::kBF16));
  for (const std::string& name : names_in(path)) {
    const std::string file = path + "/" + name;
    const std::string whole = read_file(file);
    for (const size_t length : {size_t{0}, std::min<size_t>(4096, whole.size() - 2), whole.size() - 1}) {
      replace_file(file, whole.substr(0, length));
      EXPECT_THAT(opening_fails(path), HasSubstr(name)) << length;
      EXPECT_FALSE(verify_store(path).empty());
    }
    for (size_t i = 0; i < 150; ++i) {
      const size_t byte = random_u64(5, Purpose::kTest, 1, i) % whole.size();
      std::string flipped = whole;
      flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << (i % 8)));
      replace_file(file, flipped);
      EXPECT_THAT(opening_fails(path), HasSubstr(name)) << byte;
    }
    std::filesystem::remove(file);
    EXPECT_THAT(opening_fails(path), HasSubstr(name));
    const std::vector<Damage> damage = verify_store(path);
    ASSERT_EQ(damage.size(), 1u);
    EXPECT_EQ(damage[0].file, name);
    EXPECT_THAT(damage[0].repair, HasSubstr("harvest"));
    replace_file(file, whole);
  }
  EXPECT_EQ(opening_fails(path), "");
}

TEST(ActivationStore, AShardOfAnEqualStoreElsewhereIsRefused) {
  const TempDir directory;
  StoreDescription description = describe(100, 3, Dtype::kBF16);
  write_store(directory.file("a"), description);
  description.provenance["model"] = "another";
  write_store(directory.file("b"), description);
  std::filesystem::copy_file(directory.file("b/" + shard_name(0)), directory.file("a/" + shard_name(0)),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(opening_fails(directory.file("a")), HasSubstr("another shard"));
}

TEST(ActivationStore, AnEmptyStoreIsValid) {
  const TempDir directory;
  write_store(directory.file("store"), describe(0, 3, Dtype::kBF16));
  EXPECT_EQ(StoreReader(directory.file("store")).rows(), 0);
  EXPECT_TRUE(verify_store(directory.file("store")).empty());
}

}  // namespace
}  // namespace orthant
