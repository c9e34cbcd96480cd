// What the program says of activation stores that are missing, unfinished, damaged or of another width.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <string>

#include "runtime/storage/file.h"
#include "tests/support/damage_file.h"
#include "tests/support/program.h"
#include "tests/support/small_store.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

namespace fs = std::filesystem;
using testing::ended;
using testing::Outcome;
using testing::refused;

constexpr const char* kTwoRanks = "mpirun -n 2";

class StoreInput : public ::testing::Test {
 protected:
  [[nodiscard]] std::string train_on(const std::string& store, const std::string& more = "") const {
    return "train --sae.latents=48 --sae.k=4 --train.batch_tokens=64 --train.tokens=640 --progress=none "
           "--log_level=warning --train.holdout_rows=64 --source.store=" +
           store + " " + more;
  }
  // The only shard of a store of 3000 rows of `d_model` values, 4 bytes each.
  [[nodiscard]] std::string shard_of_new_store(int64_t d_model = 16) const {
    testing::write_small_store(store_, 3000, d_model, Dtype::kF32);
    for (const std::string& name : names_in(store_)) {
      if (name.starts_with("shard-")) return store_ + "/" + name;
    }
    return "";
  }
  [[nodiscard]] std::string trained_sae() const {
    (void)shard_of_new_store();
    EXPECT_TRUE(ended(testing::run_orthant(train_on(store_, "--out=" + sae_)), 0));
    fs::remove_all(store_);
    return sae_;
  }

  testing::TempDir folder_;
  std::string store_ = folder_.file("store");
  std::string sae_ = folder_.file("sae");
};

TEST_F(StoreInput, MissingStoresAreNamedByEveryVerb) {
  const Outcome training = testing::run_orthant(train_on("nowhere"));
  EXPECT_TRUE(
      refused(training, 74, "no activation store at nowhere", "no such file or directory", "harvest"));
  const Outcome evaluation =
      testing::run_orthant("evaluate --progress=none --source.store=nowhere --sae=" + trained_sae());
  EXPECT_TRUE(refused(evaluation, 74, "no activation store at nowhere", "no such file or directory"));
  for (const std::string verb :
       {"inspect nowhere", "verify nowhere", "export nowhere --out=x.npy --to=npy"}) {
    EXPECT_TRUE(refused(testing::run_orthant(verb), 74, "nowhere")) << verb;
  }
}

TEST_F(StoreInput, AnUnfinishedStoreSaysHowToFinishIt) {
  (void)shard_of_new_store();
  fs::remove(store_ + "/store.json");
  EXPECT_TRUE(refused(testing::run_orthant(train_on(store_)), 65, "no finished activation store",
                      "store.json", "run the same harvest again"));
}

TEST_F(StoreInput, ATruncatedStoreNamesFileAndOffset) {
  const std::string shard = shard_of_new_store();
  const int64_t bytes = testing::cut_file(shard, 0.5);
  constexpr int64_t kTailBytes = 64;
  EXPECT_TRUE(refused(testing::run_orthant(train_on(store_)), 65, shard,
                      "offset " + std::to_string(bytes - kTailBytes), "truncated", "verify"));
  testing::cut_file(shard, 0.0);
  EXPECT_TRUE(refused(testing::run_orthant(train_on(store_)), 65, shard, "ends at offset 0"));
  fs::remove(shard);
  EXPECT_TRUE(refused(testing::run_orthant(train_on(store_)), 65, shard, "missing", "rows 0 to 3000",
                      "run the same harvest again"));
  testing::cut_file(store_ + "/store.json", 0.5);
  EXPECT_TRUE(refused(testing::run_orthant(train_on(store_)), 65, "store.json", "offset 0", "copy"));
}

TEST_F(StoreInput, ADamagedBlockIsMetInTrainingAndFoundByVerify) {
  const std::string shard = shard_of_new_store();
  testing::flip_middle_byte(shard);
  const std::string found = shard + ": block 0 (192000 bytes) at offset 4096 is damaged";
  EXPECT_TRUE(refused(testing::run_orthant(train_on(store_)), 65, found, "expected", "verify"));
  EXPECT_TRUE(refused(testing::run_orthant(train_on(store_), kTwoRanks), 65, found, "verify"));
  const Outcome verified = testing::run_orthant("verify " + store_);
  EXPECT_TRUE(ended(verified, 65));
  EXPECT_NE(verified.out.find("block 0 (192000 bytes) at offset 4096 is damaged"), std::string::npos)
      << verified.out;
}

TEST_F(StoreInput, AnotherWidthThanTheDictionarysNamesBoth) {
  const std::string sae = trained_sae();
  (void)shard_of_new_store(12);
  EXPECT_TRUE(refused(
      testing::run_orthant("evaluate --progress=none --sae=" + sae + " --source.store=" + store_), 78,
      "the dictionary has d_model 16, the source 12", "Give the source that the dictionary was trained on"));
  EXPECT_TRUE(refused(testing::run_orthant(train_on(store_, "--init=" + sae)), 78, "48 latents of width 16",
                      "48 of width 12", "sae.latents"));
  EXPECT_TRUE(refused(
      testing::run_orthant("evaluate --progress=none --sae=" + sae + " --source.store=" + store_, kTwoRanks),
      78, "d_model 16, the source 12"));
}

}  // namespace
}  // namespace orthant
