// Blocks of rows: each is encoded before the one before it is exchanged, and the result is that of all at
// once.
#include "sae/dictionary/exchange_pipeline.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/device/device.h"

namespace orthant::sae {
namespace {

class PipelineOnADevice : public testing::DeviceTest {
 protected:
  // What was called, in order: "e0-3" encodes rows 0 to 2.
  std::vector<std::string> calls_of(ExchangePipeline& pipeline, int64_t rows) {
    std::vector<std::string> calls;
    Stream main(testing::device());
    const auto note = [&](const char* what, Share part, kernels::CodesView codes) {
      EXPECT_EQ(codes.rows(), part.count);
      calls.push_back(what + std::to_string(part.first) + "-" + std::to_string(part.end()));
    };
    pipeline.run(
        rows,
        [&](Share part, kernels::CodesView codes, Stream& stream) {
          EXPECT_EQ(&stream, &main);
          note("e", part, codes);
        },
        [&](Share part, kernels::CodesView codes, Stream& stream) {
          EXPECT_NE(&stream, &main);
          note("x", part, codes);
        },
        main);
    return calls;
  }
};

TEST_F(PipelineOnADevice, EncodesTheNextBlockBeforeOneIsExchanged) {
  Memory memory(testing::device());
  ExchangePipeline pipeline(memory, 3, 2);
  EXPECT_TRUE(pipeline.overlaps(8));
  EXPECT_EQ(calls_of(pipeline, 8),
            (std::vector<std::string>{"e0-3", "e3-6", "x0-3", "e6-8", "x3-6", "x6-8"}));
  EXPECT_EQ(calls_of(pipeline, 4), (std::vector<std::string>{"e0-3", "e3-4", "x0-3", "x3-4"}));
}

TEST_F(PipelineOnADevice, LeavesOneBlockAlone) {
  Memory memory(testing::device());
  EXPECT_FALSE(ExchangePipeline(memory, 3, 2).overlaps(3));
  EXPECT_FALSE(ExchangePipeline().overlaps(100));
}

}  // namespace
}  // namespace orthant::sae
