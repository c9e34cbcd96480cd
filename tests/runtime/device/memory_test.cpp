// A Memory that counts gives addresses without memory, and tells what was asked of it.
#include "runtime/device/memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <utility>

#include "runtime/device/tensor.h"

namespace orthant {
namespace {

constexpr int64_t kTebibyte = int64_t{1} << 40;

TEST(Memory, CountsWhatNoHostHas) {
  Memory memory = Memory::counting();
  Tensor<float, 2> matrix(memory, "weights", {kTebibyte / 4, 4});
  Tensor<float, 1> vector(memory, "weights", {10});
  const Tensor<double, 1> empty(memory, "codes", {0});
  EXPECT_TRUE(memory.counts_only());
  EXPECT_EQ(memory.allocated_bytes(), 4 * kTebibyte + 40);
  ASSERT_EQ(memory.segments().size(), 2U);
  EXPECT_EQ(memory.segments()[0].allocated_bytes, 4 * kTebibyte + 40);
  EXPECT_EQ(memory.segments()[1].allocated_bytes, 0);
  // Distinct ranges that views can point into, and nothing of them becomes resident.
  const int64_t resident = peak_resident_bytes();
  EXPECT_NE(matrix.data(), nullptr);
  EXPECT_NE(matrix.data(), vector.data());
  EXPECT_EQ(matrix.view().rows(1, 1).data, matrix.data() + 4);
  matrix.zero();
  EXPECT_LT(peak_resident_bytes() - resident, int64_t{1} << 20);
}

TEST(Memory, ReservedBuffersCannotBeTouched) {
  const Buffer buffer = Buffer::reserved(kCpu, 4096);
  EXPECT_DEATH(std::memset(buffer.data(), 0, 1), "");
}

TEST(Memory, ReservedBuffersMove) {
  Buffer first = Buffer::reserved(kCpu, kTebibyte);
  const std::byte* const at = first.data();
  Buffer second = std::move(first);
  EXPECT_TRUE(second.is_reserved());
  EXPECT_EQ(second.data(), at);
  first = Buffer(kCpu, 64);  // an ordinary one in its place
  EXPECT_FALSE(first.is_reserved());
  std::memset(first.data(), 1, 64);
  first.zero();
  EXPECT_EQ(static_cast<int>(first.data()[63]), 0);
  second = Buffer();
  EXPECT_EQ(second.bytes(), 0);
}

TEST(Memory, PredictsWhatAnotherCounted) {
  Memory planned = Memory::counting();
  const Buffer a = planned.allocate("weights", 100);
  const Buffer b = planned.allocate("codes", 28);
  Memory real;
  real.predict(planned);
  const Buffer c = real.allocate("weights", 100);
  ASSERT_EQ(real.segments().size(), 2U);
  EXPECT_EQ(real.segments()[0].predicted_bytes, real.segments()[0].allocated_bytes);
  EXPECT_EQ(real.segments()[1].predicted_bytes, 28);
  EXPECT_EQ(real.segments()[1].allocated_bytes, 0);
  EXPECT_EQ(real.allocated_bytes(), 100);
}

}  // namespace
}  // namespace orthant
