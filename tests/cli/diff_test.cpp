// `orthant diff` from outside, on dictionaries whose differences are known.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cmath>

#include "runtime/comm/self.h"
#include "runtime/core/rng.h"
#include "sae/dictionary/dictionary_file.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

constexpr int64_t kWidth = 40;
constexpr int64_t kLatents = 60;

// Latent i of the file is direction from[i]; where `turned` says so, turned by 60 degrees towards another.
void write_dictionary(const std::string& path, const std::vector<int64_t>& from, bool turned,
                      int64_t width = kWidth) {
  Memory memory;
  Stream stream;
  sae::Conventions c;
  c.architecture = sae::Architecture::kStandard;
  c.latents = static_cast<int64_t>(from.size());
  sae::Dictionary d = sae::allocate_dictionary(c, width, {0, c.latents}, memory);
  const auto direction = [&](int64_t latent, int64_t column) {
    return random_normal(1, Purpose::kTest, 0, static_cast<uint64_t>(latent * width + column));
  };
  for (int64_t i = 0; i < c.latents; ++i) {
    const int64_t latent = from[static_cast<size_t>(i)];
    for (int64_t j = 0; j < width; ++j) {
      float value = direction(latent, j);
      // The other direction is random too: at 40 dimensions the cosine is 0.5 within about 0.15.
      if (turned && i % 2 == 1) {
        value = static_cast<float>(0.5 * value + std::sqrt(0.75) * direction(latent + 1000, j));
      }
      d.decoder.view().row(i)[j] = value;
      d.encoder.view().row(i)[j] = value;
    }
  }
  d.encoder_bias.zero();
  d.decoder_bias.zero();
  const auto self = make_self_communicator();
  sae::write_dictionary_file(d, {}, path, *self, true, stream);
}

std::vector<int64_t> numbers(int64_t first, int64_t step) {
  std::vector<int64_t> from;
  for (int64_t i = 0; i < kLatents; ++i) from.push_back((first + i * step) % kLatents);
  return from;
}

class Diff : public ::testing::Test {
 protected:
  Diff() {
    write_dictionary(dir_.file("a.safetensors"), numbers(0, 1), false);
    write_dictionary(dir_.file("permuted.safetensors"), numbers(5, 7), false);
    write_dictionary(dir_.file("turned.safetensors"), numbers(0, 1), true);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return dir_.file(name + ".safetensors"); }
  static boost::json::object result_of(const testing::Outcome& outcome) {
    EXPECT_TRUE(testing::ended(outcome, 0));
    return boost::json::parse(outcome.out).as_object();
  }
  testing::TempDir dir_;
};

TEST_F(Diff, PresenceFindsPermutedLatentsOnAnyNumberOfRanks) {
  const std::string arguments =
      fmt::format("diff presence --reference={} --stages={},{} --latents=3,4,9 --random=20 --json", file("a"),
                  file("permuted"), file("turned"));
  const auto found = result_of(testing::run_orthant(arguments));
  const auto& permuted = found.at("stages").as_array()[0].as_object();
  EXPECT_EQ(permuted.at("share_at_threshold").to_number<double>(), 1.0);
  EXPECT_EQ(permuted.at("random").at("latents").as_int64(), 20);
  const int64_t asked[] = {3, 4, 9};
  for (size_t i = 0; i < 3; ++i) {
    const int64_t place = permuted.at("nearest").as_array()[i].as_int64();
    EXPECT_EQ((5 + place * 7) % kLatents, asked[i]);
  }
  const auto& turned = found.at("stages").as_array()[1].as_object();
  EXPECT_NEAR(turned.at("share_at_threshold").to_number<double>(), 1.0 / 3.0, 1e-9) << "3 and 9 turned";
  const auto three = result_of(testing::run_orthant(arguments, "mpirun -n 3"));
  EXPECT_EQ(three.at("stages"), found.at("stages"));
}

// Latents 0..19 are in all stages, 20..39 come with D, 40..49 with F alone, the rest with none.
TEST_F(Diff, PresenceFollowsLatentsAlongTrajectories) {
  const auto stage = [&](const std::string& name, int64_t first_new, int64_t end_new) {
    std::vector<int64_t> from;
    for (int64_t i = 0; i < 20; ++i) from.push_back(i);
    for (int64_t i = first_new; i < end_new; ++i) from.push_back(i);
    for (int64_t i = 0; i < 10; ++i) from.push_back(5000 + i);  // of its own
    write_dictionary(file(name), from, false);
  };
  stage("s", 0, 0);
  stage("d", 20, 40);
  stage("m", 0, 0);
  stage("f", 20, 50);
  const auto found = result_of(testing::run_orthant(fmt::format(
      "diff presence --reference={} --stages={},{},{},{} --names=S,D,M,F --trajectories=S:D:F,S:M:F "
      "--second_seed={} --threshold=0.9 --random=0 --json",
      file("a"), file("s"), file("d"), file("m"), file("f"), file("permuted"))));
  EXPECT_EQ(found.at("second_seed").at("share_at_threshold").to_number<double>(), 1.0);
  const auto& rows = found.at("trajectories").as_array();
  ASSERT_EQ(rows.size(), 6u);
  const double shares[] = {20, 40, 50, 20, 20, 50}, gained[] = {0, 20, 10, 0, 0, 30};
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(rows[i].at("share").to_number<double>(), shares[i] / kLatents, 1e-12) << i;
    EXPECT_NEAR(rows[i].at("gained").to_number<double>(), gained[i] / kLatents, 1e-12) << i;
    EXPECT_EQ(rows[i].at("lost").to_number<double>(), 0.0);
  }
  const auto& specific = found.at("specific").as_array();
  ASSERT_EQ(specific.size(), 3u);
  EXPECT_EQ(specific[0].at("specific").as_int64(), 10);
  EXPECT_EQ(specific[1].at("specific").as_int64(), 30);
  EXPECT_EQ(specific[2].at("specific").as_int64(), 10);
  EXPECT_EQ(specific[2].at("latents").as_array()[0].as_int64(), 40);
  const auto& f = found.at("stages").as_array()[3].as_object();
  EXPECT_NEAR(f.at("share_of_second_seed").to_number<double>(), 50.0 / 60.0, 1e-12);
  EXPECT_NEAR(f.at("shares_at").at("0.5").to_number<double>(), 50.0 / 60.0, 0.17) << "others by chance";
}

// A random decoder gives what chance gives.
TEST_F(Diff, PresenceInARandomDictionaryIsThatOfChance) {
  std::vector<int64_t> from;
  for (int64_t i = 0; i < kLatents; ++i) from.push_back(9000 + i);
  write_dictionary(file("random"), from, false);
  const auto found = result_of(testing::run_orthant(
      fmt::format("diff presence --reference={} --stages={} --random=0 --json", file("a"), file("random"))));
  const auto& stage = found.at("stages").as_array()[0].as_object();
  EXPECT_EQ(stage.at("share_at_threshold").to_number<double>(), 0.0);
  // The largest of 60 cosines in 40 dimensions spreads by about 0.06; 60 of them.
  EXPECT_NEAR(stage.at("mean").to_number<double>(), stage.at("chance_largest_cosine").to_number<double>(),
              5 * 0.06 / std::sqrt(60.0));
}

TEST_F(Diff, RotationTellsWhichLatentsTurned) {
  const auto found = result_of(testing::run_orthant(
      fmt::format("diff rotation --stages={},{},{} --json", file("a"), file("turned"), file("a"))));
  const auto& transitions = found.at("transitions").as_array();
  ASSERT_EQ(transitions.size(), 3u);
  for (int64_t i = 0; i < kLatents; ++i) {
    const double cosine = transitions[0].at("cosine").as_array()[static_cast<size_t>(i)].to_number<double>();
    const bool turned = i % 2 == 1;
    EXPECT_NEAR(cosine, turned ? 0.5 : 1.0, turned ? 0.45 : 1e-6);
  }
  EXPECT_EQ(transitions[2].at("share_at_threshold").to_number<double>(), 1.0)
      << "first and last are the same";
}

TEST_F(Diff, MatchRecoversAPermutationWithItsGap) {
  const auto found = result_of(testing::run_orthant(
      fmt::format("diff match --reference={} --other={} --json", file("permuted"), file("a"))));
  EXPECT_EQ(found.at("pairs").as_int64(), kLatents);
  EXPECT_NEAR(found.at("mean_cosine").to_number<double>(), 1.0, 1e-6);
  EXPECT_EQ(found.at("mutually_nearest_share").to_number<double>(), 1.0);
  EXPECT_LE(found.at("gap_of_all_pairs").to_number<double>(), 1e-4 * kLatents + 1e-6);
  for (int64_t i = 0; i < kLatents; ++i) {
    EXPECT_EQ(found.at("assigned").as_array()[static_cast<size_t>(i)].as_int64(), (5 + i * 7) % kLatents);
  }
}

TEST_F(Diff, RefusesWhatCannotBeCompared) {
  write_dictionary(file("wide"), numbers(0, 1), false, kWidth + 1);
  write_dictionary(file("short"), {0, 1, 2}, false);
  EXPECT_TRUE(testing::refused(
      testing::run_orthant(fmt::format("diff presence --reference={} --stages={}", file("a"), file("wide"))),
      78, "d_model", file("wide").c_str()));
  EXPECT_TRUE(
      testing::refused(testing::run_orthant(fmt::format(
                           "diff presence --reference={} --stages={} --latents=60", file("a"), file("a"))),
                       78, "no latent 60"));
  EXPECT_TRUE(
      testing::refused(testing::run_orthant("diff presence --reference=" + file("a")), 78, "no stage"));
  const std::string presence = fmt::format("diff presence --reference={0} --stages={0},{0}", file("a"));
  EXPECT_TRUE(testing::refused(testing::run_orthant(presence + " --names=S"), 78, "1 names", "2 stages"));
  EXPECT_TRUE(testing::refused(testing::run_orthant(presence + " --names=S,S"), 78, "same name"));
  EXPECT_TRUE(testing::refused(testing::run_orthant(presence + " --names=S,F --trajectories=S:D:F"), 78,
                               "'D'", "S, F"));
  EXPECT_TRUE(
      testing::refused(testing::run_orthant(presence + " --names=S,F --trajectories=S"), 78, "one stage"));
  EXPECT_TRUE(testing::refused(
      testing::run_orthant(fmt::format("diff rotation --stages={},{}", file("a"), file("short"))), 78,
      "3 latents"));
  EXPECT_TRUE(testing::refused(testing::run_orthant("diff rotation --stages=" + file("a")), 78, "1 stages"));
  EXPECT_TRUE(testing::refused(
      testing::run_orthant(fmt::format("diff match --reference={} --other={}", file("a"), file("wide"))), 78,
      "d_model"));
}

}  // namespace
}  // namespace orthant
