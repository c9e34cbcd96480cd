#include "sae/training/row_feed.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/device/device.h"

namespace orthant::sae {
namespace {

using testing::on_host;

constexpr int64_t kWidth = 3;

// Row r is r, r + 0.25, r + 0.5; remembers what was asked of it.
class NumberedRows : public ActivationSource {
 public:
  [[nodiscard]] int64_t d_model() const override { return kWidth; }
  [[nodiscard]] int64_t rows(Split) const override { return 0; }
  void read(Split, int64_t first, Matrix<float> into, RowLabels*) override {
    EXPECT_EQ(into.device, kCpu);
    reads.emplace_back(first, into.shape[0]);
    for (int64_t r = 0; r < into.shape[0]; ++r) {
      for (int64_t c = 0; c < kWidth; ++c) {
        into.row(r)[c] = static_cast<float>(first + r) + 0.25f * static_cast<float>(c);
      }
    }
  }
  [[nodiscard]] std::string identity() const override { return "numbered rows"; }

  std::vector<std::pair<int64_t, int64_t>> reads;  // first row and number of rows
};

using Reads = std::vector<std::pair<int64_t, int64_t>>;

class FeedOfADevice : public testing::DeviceTest {
 protected:
  // The first column of what is taken.
  static std::vector<float> taken(RowFeed& feed, ActivationSource& source, int64_t first, int64_t rows,
                                  Device device) {
    Memory memory(device);
    Stream stream(device);
    Tensor<float, 2> into(memory, "test", {rows, kWidth});
    feed.take(source, first, into.view(), stream);
    stream.synchronize();
    const std::vector<float> values = on_host(into.view());
    std::vector<float> numbers;
    for (size_t i = 0; i < values.size(); i += kWidth) numbers.push_back(values[i]);
    return numbers;
  }
};

TEST_F(FeedOfADevice, TakesWhatWasReadAhead) {
  Memory memory(testing::device());
  NumberedRows source;
  RowFeed feed(memory, 4, kWidth, 1);
  EXPECT_EQ(taken(feed, source, 0, 4, testing::device()), (std::vector<float>{0, 1, 2, 3}));
  feed.read_ahead(source, 4, 4);
  EXPECT_EQ(source.reads, (Reads{{0, 4}, {4, 4}}));
  EXPECT_EQ(taken(feed, source, 4, 4, testing::device()), (std::vector<float>{4, 5, 6, 7}));
  EXPECT_EQ(source.reads.size(), 2u) << "it was there";
}

TEST_F(FeedOfADevice, ReadsAnewWhatIsNotWhatWasReadAhead) {
  Memory memory(testing::device());
  NumberedRows source, other;
  RowFeed feed(memory, 4, kWidth, 1);
  feed.read_ahead(source, 4, 4);
  EXPECT_EQ(taken(feed, source, 20, 2, testing::device()), (std::vector<float>{20, 21}));
  feed.read_ahead(source, 22, 2);
  EXPECT_EQ(taken(feed, other, 22, 2, testing::device()), (std::vector<float>{22, 23}));
  EXPECT_EQ(other.reads, (Reads{{22, 2}}));
  EXPECT_EQ(taken(feed, source, 22, 2, testing::device()), (std::vector<float>{22, 23}));
  EXPECT_EQ(source.reads, (Reads{{4, 4}, {20, 2}, {22, 2}, {22, 2}})) << "what was taken is gone";
}

TEST_F(FeedOfADevice, ReadsInPartsAndOnTheCpuOnlyWhenAsked) {
  Memory memory(testing::device()), host;
  NumberedRows source;
  RowFeed there(memory, 5, kWidth, 2), here(host, 5, kWidth, 2);
  EXPECT_EQ(taken(there, source, 10, 5, testing::device()), (std::vector<float>{10, 11, 12, 13, 14}));
  EXPECT_EQ(source.reads, (Reads{{10, 3}, {13, 2}}));
  source.reads.clear();
  here.read_ahead(source, 10, 5);
  EXPECT_TRUE(source.reads.empty());
  EXPECT_EQ(taken(here, source, 10, 5, kCpu), (std::vector<float>{10, 11, 12, 13, 14}));
  EXPECT_EQ(source.reads, (Reads{{10, 3}, {13, 2}}));
}

}  // namespace
}  // namespace orthant::sae
