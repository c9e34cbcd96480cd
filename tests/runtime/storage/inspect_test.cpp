#include "runtime/storage/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "runtime/storage/npy.h"
#include "runtime/storage/safetensors.h"
#include "tests/runtime/storage/store_fixture.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using testing::describe;
using testing::TempDir;
using testing::write_store;

TEST(Inspect, DescribesAStore) {
  const TempDir directory;
  const std::string hash = write_store(directory.file("store"), describe(100, 3, Dtype::kBF16));
  const boost::json::object described = inspect_stored(directory.file("store"));
  EXPECT_EQ(described.at("kind").as_string(), "activation_store");
  EXPECT_EQ(described.at("rows").as_int64(), 100);
  EXPECT_EQ(described.at("dtype").as_string(), "bf16");
  EXPECT_EQ(described.at("content_hash").as_string(), hash);
  EXPECT_EQ(described.at("provenance").at("model").as_string(), "test");
  EXPECT_TRUE(verify_stored(directory.file("store")).empty());
}

TEST(Inspect, DescribesTensorFiles) {
  const TempDir directory;
  const std::vector<float> values = {1, 2, 3, 4};
  write_safetensors(directory.file("x.safetensors"), {{"W", Dtype::kF32, {2, 2}, values.data()}},
                    {{"k", "v"}});
  write_npy(directory.file("x.npy"), Dtype::kF32, {4, 1}, values.data());
  const boost::json::object tensors = inspect_stored(directory.file("x.safetensors"));
  EXPECT_EQ(tensors.at("kind").as_string(), "safetensors");
  EXPECT_EQ(boost::json::serialize(tensors.at("tensors").at(0).at("shape")), "[2,2]");
  const boost::json::object array = inspect_stored(directory.file("x.npy"));
  EXPECT_EQ(boost::json::serialize(array.at("shape")), "[4,1]");
  EXPECT_EQ(array.at("hash"), tensors.at("tensors").at(0).at("hash"));
}

TEST(Inspect, DamageIsListedWithARepair) {
  const TempDir directory;
  replace_file(directory.file("x.npy"), "no array");
  const std::vector<Damage> damage = verify_stored(directory.file("x.npy"));
  ASSERT_EQ(damage.size(), 1u);
  EXPECT_THAT(damage[0].reason, ::testing::HasSubstr("x.npy"));
  EXPECT_FALSE(damage[0].repair.empty());
  EXPECT_EQ(to_json(damage).size(), 1u);
}

TEST(Inspect, UnknownAndAbsentPathsAreRefused) {
  const TempDir directory;
  EXPECT_THROW((void)inspect_stored(directory.path().string()), Error);
  EXPECT_THROW((void)verify_stored(directory.file("absent")), Error);
}

}  // namespace
}  // namespace orthant
