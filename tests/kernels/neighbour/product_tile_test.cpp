#include "kernels/neighbour/product_tile.h"

#include <gtest/gtest.h>

namespace orthant::kernels {
namespace {

TEST(ProductTile, IsAsLargeAsTheSearchAndNoLargerThanTheCache) {
  EXPECT_EQ(tile_shape(0, 0).elements(), 0);
  EXPECT_EQ(tile_shape(3, 5).rows, 3);
  EXPECT_EQ(tile_shape(3, 5).columns, 8);
  EXPECT_EQ(tile_shape(100000, 8190).rows, 1024);
  EXPECT_EQ(tile_shape(100000, 8190).columns, 8192);
  EXPECT_EQ(tile_shape(100000, 100000).elements() * 4, 32 << 20);
}

TEST(ProductTile, IsPlannedForADeviceAndNotForTheCpu) {
  Memory device = Memory::counting({DeviceKind::kCuda, 0}), host = Memory::counting();
  const ProductTile there(device, "tile", 10, 30), here(host, "tile", 10, 30);
  EXPECT_EQ(device.allocated_bytes(), 10 * 32 * 4);
  EXPECT_EQ(host.allocated_bytes(), 0);
}

}  // namespace
}  // namespace orthant::kernels
