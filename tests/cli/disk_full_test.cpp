// A harvest whose disk fills up, or whose store is damaged later, loses nothing and is made whole by its own
// command.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <map>
#include <string>

#include "runtime/storage/file.h"
#include "tests/support/damage_file.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tiny_gguf.h"
#include "tests/support/tiny_tokenizers.h"

namespace orthant {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::content_of;
using testing::ended;
using testing::Outcome;
using testing::refused;

constexpr int kNoSpaceLeft = 28;  // ENOSPC

// A text of several forwards; each leaves a shard, because publishing is always due.
struct HarvestFiles {
  HarvestFiles() {
    testing::write_tiny_gguf(model_);
    std::string text;
    for (int document = 0; document < 1200; ++document) text += "cdefghcdefgh\n\n";
    testing::write_text(text_, text);
  }
  [[nodiscard]] std::string harvest(const std::string& out) const {
    return "harvest --model=" + model_ + " --text=" + text_ +
           " --text_split=paragraph --context=12 --hook=blocks.0.hook_resid_post --progress=none "
           "--log_level=warning --json --threads=1 --checkpoint.every_minutes=1e-9 --out=" +
           out;
  }
  static std::string hash_of(const Outcome& outcome) {
    EXPECT_TRUE(ended(outcome, 0));
    return outcome.code != 0 ? "" : json::parse(outcome.out).at("content_hash").as_string().c_str();
  }
  [[nodiscard]] std::map<std::string, std::string> shards() const {
    std::map<std::string, std::string> found;
    for (const std::string& name : names_in(out_)) {
      if (name.starts_with("shard-")) found[name] = content_of(out_ + "/" + name);
    }
    return found;
  }

  testing::TempDir folder_;
  std::string model_ = folder_.file("tiny.gguf");
  std::string text_ = folder_.file("text.txt");
  std::string out_ = folder_.file("store");
};

class LimitedFiles : public ::testing::Test, public HarvestFiles {};
class DiskFull : public ::testing::TestWithParam<int>, public HarvestFiles {
 protected:
  [[nodiscard]] static std::string launcher() {
    return GetParam() == 1 ? "" : "mpirun -n " + std::to_string(GetParam());
  }
};
INSTANTIATE_TEST_SUITE_P(Ranks, DiskFull, ::testing::Values(1, 2));

// The last rank's disk is full while it writes its second shard or a later one.
TEST_P(DiskFull, OldShardsStayAndTheSameCommandGoesOn) {
  const std::string rank = std::to_string(GetParam() - 1);
  const Outcome full = testing::run_command(
      "export ORTHANT_FAULT=file.write:" + rank + ":" + (GetParam() == 1 ? "14" : "10") +
      ":errno:" + std::to_string(kNoSpaceLeft) + "; " + testing::orthant_command(harvest(out_), launcher()));
  EXPECT_TRUE(refused(full, 74, "cannot write", out_ + "/shard-", "No space left on device", "Free space",
                      "run the same command again"));
  EXPECT_EQ(full.out, "");
  EXPECT_FALSE(fs::exists(out_ + "/store.json"));
  const auto before = shards();
  ASSERT_GE(before.size(), 1u);
  for (const auto& [name, content] : before) EXPECT_EQ(name.find(".tmp"), std::string::npos) << name;
  EXPECT_EQ(hash_of(testing::run_orthant(harvest(out_), launcher())),
            hash_of(testing::run_orthant(harvest(folder_.file("whole")))));
  const auto after = shards();
  EXPECT_GT(after.size(), before.size());
  for (const auto& [name, content] : before)
    EXPECT_TRUE(after.at(name) == content) << name << " was rewritten";
  EXPECT_TRUE(ended(testing::run_orthant("verify " + out_), 0));
}

// A limit on the size of files, which the operating system enforces as it does a full disk. MPI itself does
// not start under one.
TEST_F(LimitedFiles, AreSaidAndTheSameCommandGoesOn) {
  const Outcome limited = testing::run_command("ulimit -f 128; " + testing::orthant_command(harvest(out_)));
  EXPECT_TRUE(refused(limited, 74, "cannot write", out_ + "/shard-", "File too large", "Free space"));
  EXPECT_EQ(hash_of(testing::run_orthant(harvest(out_))),
            hash_of(testing::run_orthant(harvest(folder_.file("whole")))));
}

TEST_P(DiskFull, ADamagedShardIsMadeAnewAsVerifySays) {
  const std::string hash = hash_of(testing::run_orthant(harvest(out_), launcher()));
  const std::string shard = shards().begin()->first;
  testing::flip_middle_byte(out_ + "/" + shard);
  const Outcome verified = testing::run_orthant("verify --json " + out_);
  ASSERT_TRUE(ended(verified, 65));
  const json::value damage = json::parse(verified.out).at("damage").as_array().at(0);
  EXPECT_EQ(damage.at("file").as_string(), shard);
  EXPECT_NE(damage.at("repair").as_string().find("Remove the damaged shard and result.json"),
            json::string::npos);
  fs::remove(out_ + "/" + shard);
  fs::remove(out_ + "/result.json");
  EXPECT_EQ(hash_of(testing::run_orthant(harvest(out_), launcher())), hash);
  EXPECT_TRUE(ended(testing::run_orthant("verify " + out_), 0));
}

}  // namespace
}  // namespace orthant
