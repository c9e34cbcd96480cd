#include "runtime/job/metrics.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "runtime/job/event_file.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

TEST(Crc32c, GivesTheKnownAnswer) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
}

TEST(MetricsWriter, ContinuesWithoutRepeatingAStep) {
  testing::TempDir folder;
  {
    MetricsWriter writer(folder.path().string(), 0, true);
    for (int step = 0; step < 5; ++step)
      writer.write(step, 10 * step, 0.5, {{"losses/mse", 1.0 / (step + 1)}});
  }
  std::ofstream(folder.file("metrics.jsonl"), std::ios::app) << "{\"step\":5,\"tok";  // torn by a kill
  {
    MetricsWriter writer(folder.path().string(), 3, true);
    writer.write(3, 30, 0.5, {{"losses/mse", std::nan("")}});
  }
  const std::vector<std::string> lines = lines_of(folder.file("metrics.jsonl"));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_NE(lines[2].find("\"step\":2"), std::string::npos);
  EXPECT_NE(lines[3].find("\"losses/mse\":null"), std::string::npos);
}

TEST(MetricsWriter, CountsSecondsOnOverAttempts) {
  testing::TempDir folder;
  const auto attempt = [&](int64_t first, int64_t end) {
    MetricsWriter writer(folder.path().string(), first, true);
    for (int64_t step = first; step < end; ++step) {
      writer.write(step, 0, static_cast<double>(step - first + 1), {});
    }
  };
  attempt(0, 4);  // 1, 2, 3, 4 seconds
  attempt(3, 5);  // on from the 3 of step 2: what came later is done again
  attempt(5, 6);
  std::vector<double> seconds;
  for (const std::string& line : lines_of(folder.file("metrics.jsonl"))) {
    seconds.push_back(boost::json::parse(line).at("seconds").to_number<double>());
  }
  EXPECT_EQ(seconds, (std::vector<double>{1, 2, 3, 4, 5, 6}));
}

TEST(MetricsWriter, WritesEventsWithValidChecksums) {
  testing::TempDir folder;
  {
    MetricsWriter writer(folder.path().string(), 0, true);
    writer.write(7, 1, 0.5, {{"a/b", 2.5}});
  }
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (entry.path().filename().string().rfind("events.out.tfevents.", 0) != 0) continue;
    ++files;
    std::stringstream text;
    text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    const std::string bytes = text.str();
    size_t at = 0;
    int records = 0;
    while (at < bytes.size()) {
      uint64_t length = 0;
      std::memcpy(&length, bytes.data() + at, 8);
      const std::string event = bytes.substr(at + 12, length);
      EXPECT_EQ(bytes.substr(at, 16 + length), event_record(event));
      at += 16 + length;
      ++records;
    }
    EXPECT_EQ(records, 2);
    EXPECT_NE(bytes.find("brain.Event:2"), std::string::npos);
    EXPECT_NE(bytes.find("a/b"), std::string::npos);
  }
  EXPECT_EQ(files, 1);
}

TEST(MetricsWriter, OtherRanksWriteNothing) {
  testing::TempDir folder;
  MetricsWriter writer(folder.path().string(), 0, false);
  writer.write(0, 0, 0.0, {});
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace orthant
