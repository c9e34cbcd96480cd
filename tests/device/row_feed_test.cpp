#include "sae/training/row_feed.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "runtime/comm/self.h"
#include "tests/device/device.h"
#if ORTHANT_EMULATED_DEVICE
#include "tests/device/ranks.h"
#endif

namespace orthant::sae {
namespace {

using testing::on_host;

constexpr int64_t kWidth = 3;
constexpr int64_t kRows = 4;  // of a batch

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
  // The first column of the kRows rows that are taken.
  static std::vector<float> taken(RowFeed& feed, ActivationSource& source, int64_t first, Device device) {
    Memory memory(device);
    Stream stream(device);
    Tensor<float, 2> into(memory, "test", {kRows, kWidth});
    feed.take(source, first, into.view(), stream);
    stream.synchronize();
    const std::vector<float> values = on_host(into.view());
    std::vector<float> numbers;
    for (size_t i = 0; i < values.size(); i += kWidth) numbers.push_back(values[i]);
    return numbers;
  }
  std::unique_ptr<Communicator> self_ = make_self_communicator();
};

TEST_F(FeedOfADevice, TakesWhatWasReadAhead) {
  Memory memory(testing::device());
  NumberedRows source;
  RowFeed feed(memory, kRows, kWidth, 1, *self_);
  EXPECT_EQ(taken(feed, source, 0, testing::device()), (std::vector<float>{0, 1, 2, 3}));
  feed.read_ahead(source, 4);
  EXPECT_EQ(source.reads, (Reads{{0, 4}, {4, 4}}));
  EXPECT_EQ(taken(feed, source, 4, testing::device()), (std::vector<float>{4, 5, 6, 7}));
  EXPECT_EQ(source.reads.size(), 2u) << "it was there";
}

TEST_F(FeedOfADevice, ReadsAnewWhatIsNotWhatWasReadAhead) {
  Memory memory(testing::device());
  NumberedRows source, other;
  RowFeed feed(memory, kRows, kWidth, 1, *self_);
  feed.read_ahead(source, 4);
  EXPECT_EQ(taken(feed, source, 20, testing::device()), (std::vector<float>{20, 21, 22, 23}));
  feed.read_ahead(source, 24);
  EXPECT_EQ(taken(feed, other, 24, testing::device()), (std::vector<float>{24, 25, 26, 27}));
  EXPECT_EQ(other.reads, (Reads{{24, 4}}));
  EXPECT_EQ(taken(feed, source, 24, testing::device()), (std::vector<float>{24, 25, 26, 27}));
  EXPECT_EQ(source.reads, (Reads{{4, 4}, {20, 4}, {24, 4}, {24, 4}})) << "what was taken is gone";
}

#if ORTHANT_EMULATED_DEVICE
TEST_F(FeedOfADevice, ShardsReadTheirPartsAndShareThem) {
  testing::run_device_ranks(3, [](World& world) {
    Memory memory(world.data->device());
    NumberedRows source;
    {
      RowFeed feed(memory, kRows, kWidth, 1, *world.data);
      EXPECT_EQ(taken(feed, source, 8, world.data->device()), (std::vector<float>{8, 9, 10, 11}));
      feed.read_ahead(source, 12);
      const Share own = share_of(kRows, 3, world.rank());
      EXPECT_EQ(source.reads, (Reads{{8 + own.first, own.count}, {12 + own.first, own.count}}));
      EXPECT_EQ(taken(feed, source, 12, world.data->device()), (std::vector<float>{12, 13, 14, 15}));
    }
    world.control->barrier();
  });
}
#endif

TEST_F(FeedOfADevice, ReadsInPartsAndOnTheCpuOnlyWhenAsked) {
  Memory memory(testing::device()), host;
  NumberedRows source;
  RowFeed there(memory, kRows, kWidth, 3, *self_), here(host, kRows, kWidth, 3, *self_);
  EXPECT_EQ(taken(there, source, 10, testing::device()), (std::vector<float>{10, 11, 12, 13}));
  EXPECT_EQ(source.reads, (Reads{{10, 2}, {12, 1}, {13, 1}}));
  source.reads.clear();
  here.read_ahead(source, 10);
  EXPECT_TRUE(source.reads.empty());
  EXPECT_EQ(taken(here, source, 10, kCpu), (std::vector<float>{10, 11, 12, 13}));
  EXPECT_EQ(source.reads, (Reads{{10, 2}, {12, 1}, {13, 1}}));
}

}  // namespace
}  // namespace orthant::sae
