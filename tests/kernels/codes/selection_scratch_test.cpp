#include "kernels/codes/selection_scratch.h"

#include <gtest/gtest.h>

namespace orthant::kernels {
namespace {

using cuda::SelectionRoom;

TEST(SelectionScratch, HasRoomForEntriesAndForHistograms) {
  for (const int64_t entries : {0, 1, 1023, 1024, 1025, 100000, 10000000}) {
    EXPECT_GE(SelectionRoom::keys_of(entries), entries);
    EXPECT_GE(SelectionRoom::histograms_of(entries), 1);
    EXPECT_GE(SelectionRoom::keys_of(entries) * 8,
              SelectionRoom::histograms_of(entries) * SelectionRoom::kMostBins * 4);
    // The place of the end: entries / span, whether or not they fill it.
    EXPECT_GT(SelectionRoom::spans_of(entries), entries / cuda::kSelectionSpan);
  }
}

TEST(SelectionScratch, IsPlannedForADeviceAndNotForTheCpu) {
  Memory device = Memory::counting({DeviceKind::kCuda, 0}), host = Memory::counting();
  const SelectionScratch there(device, 3000), here(host, 3000);
  EXPECT_EQ(device.allocated_bytes(), (3 * 1024 + 4) * 8);
  EXPECT_EQ(host.allocated_bytes(), 0);
  EXPECT_EQ(there.entries(), here.entries());
}

}  // namespace
}  // namespace orthant::kernels
