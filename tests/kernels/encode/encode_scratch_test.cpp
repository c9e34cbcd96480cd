#include "kernels/encode/encode_scratch.h"

#include <gtest/gtest.h>

#include "kernels/encode/encode.h"

namespace orthant::kernels {
namespace {

TEST(EncodeScratchOnCuda, IsWhatAWorkspaceThereAllocatesWhateverTheThreads) {
  for (const int threads : {1, 7}) {
    Memory counting = Memory::counting({DeviceKind::kCuda, 0});
    const EncodeWorkspace workspace(counting, threads, 64, 576, 288);
    EXPECT_EQ(counting.allocated_bytes(), cuda::EncodeScratch::bytes({}, 64, 576, 288));
  }
}

TEST(EncodeScratchOnCuda, ArraysLieBehindOneAnother) {
  const cuda::EncodeTiles tiles{3, 8};
  const int64_t bytes = cuda::EncodeScratch::bytes(tiles, 5, 7, 2);
  std::vector<std::byte> buffer(static_cast<size_t>(bytes));
  const cuda::EncodeScratch scratch(buffer.data(), tiles, 5, 7, 2);
  const auto at = [&](const void* array) { return static_cast<const std::byte*>(array) - buffer.data(); };
  EXPECT_EQ(at(scratch.operand), 0);
  EXPECT_GE(at(scratch.tile), at(scratch.operand) + 3 * 7 * 4);
  EXPECT_GE(at(scratch.lowest), at(scratch.tile) + 3 * 8 * 4);
  EXPECT_GE(at(scratch.selected.ranks), at(scratch.lowest) + 3 * 5 * 4);
  EXPECT_GE(at(scratch.beside.ranks), at(scratch.selected.thresholds) + 3 * 4);
  EXPECT_LE(at(scratch.outgrown) + cuda::EncodeScratch::kWindow * 4, bytes);
}

}  // namespace
}  // namespace orthant::kernels
