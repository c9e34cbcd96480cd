#include "models/formats/ggml_type.h"

#include <gtest/gtest.h>

#include "kernels/dense/dequantise.h"
#include "kernels/ref/dequantise.h"
#include "models/formats/gguf.h"
#include "tests/support/test_model.h"

namespace orthant {
namespace {

TEST(GgmlType, HasTheNameThatPeopleKnow) {
  EXPECT_EQ("Q4_1", models::ggml_name(models::GgmlType::kQ4_1));
  EXPECT_EQ("IQ2_XS", models::ggml_name(static_cast<models::GgmlType>(17)));
  EXPECT_EQ("type 99", models::ggml_name(static_cast<models::GgmlType>(99)));
}

TEST(GgufTensors, AreBitwiseWhatTheReferenceWidens) {
  ORTHANT_NEEDS_TEST_MODEL();
  const models::GgufFile file(testing::test_model());
  for (const std::string name : {"token_embd.weight", "blk.0.attn_q.weight", "blk.29.ffn_down.weight"}) {
    const models::GgufTensor& tensor = file.tensors().at(name);
    const auto format = kernels::block_format(tensor.type);
    if (format.values == 1) continue;
    const int64_t blocks = std::min<int64_t>(2000, static_cast<int64_t>(tensor.bytes.size()) / format.bytes);
    std::vector<float> values(static_cast<size_t>(blocks * format.values));
    Stream stream;
    kernels::dequantise(tensor.type, {tensor.bytes.data(), {blocks * format.bytes}},
                        {values.data(), {blocks * format.values}}, stream);
    const auto* bytes = reinterpret_cast<const uint8_t*>(tensor.bytes.data());
    for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
      const uint8_t* block = bytes + i / format.values * format.bytes;
      const auto expected = static_cast<float>(
          kernels::ref::block_value(tensor.type, block, static_cast<int>(i % format.values)));
      ASSERT_EQ(expected, values[i]) << name << " value " << i;
    }
  }
}

}  // namespace
}  // namespace orthant
