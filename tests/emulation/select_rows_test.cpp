#include "kernels/codes/select_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/codes/select_rows_cuda.h"
#include "runtime/core/rng.h"
#include "tests/emulation/kernel_test.h"
#include "tests/emulation/selection_arrays.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::DeviceCodes;
using testing::in_every_order;
using testing::make_vector;
using testing::same_bytes;
using testing::SelectionArrays;
using testing::test_memory;

struct Shape {
  int64_t rows, latents, k, shards;
  int kinds;  // of values; 0: all different
};

constexpr Shape kShapes[] = {{1, 1, 1, 2, 0},     {9, 40, 6, 3, 0},  {9, 40, 6, 3, 3},
                             {5, 700, 200, 2, 9}, {6, 30, 30, 8, 1}, {3, 2000, 600, 3, 40}};
constexpr int64_t kFirstLatent = 50;

// At most k of the latents of a row, a NaN among them; every seventh row is empty.
Codes codes_of(const Shape& shape) {
  Codes codes = testing::random_codes(shape.rows, shape.latents, shape.k, 3);
  const CodesView view = codes.view();
  for (int64_t e = 0; e < view.entries(); ++e) {
    view.latents.data[e] += kFirstLatent;
    if (shape.kinds > 0) {
      view.values.data[e] = std::floor(view.values.data[e] * static_cast<float>(shape.kinds));
    }
    if (e % 31 == 7) view.values.data[e] = std::numeric_limits<float>::quiet_NaN();
    if (e % 37 == 3) view.values.data[e] = -0.0f;
  }
  return codes;
}

std::vector<float> scales(int64_t latents) {
  std::vector<float> scale(static_cast<size_t>(latents));
  for (size_t i = 0; i < scale.size(); ++i) scale[i] = 0.5f + static_cast<float>(i % 3);
  return scale;
}

// [shards, slots, width] descending, some rows short.
std::vector<float> sent_ranks(const Shape& shape, int64_t slots, int64_t width) {
  std::vector<float> ranks(static_cast<size_t>(shape.shards * slots * width), kNoRank);
  for (int64_t i = 0; i < shape.shards * slots; ++i) {
    const auto row = ranks.begin() + i * width;
    const int64_t count = i % 5 == 4 ? width / 2 : width;
    for (int64_t j = 0; j < count; ++j) {
      const float u = random_uniform(7, Purpose::kTest, 0, static_cast<uint64_t>(i * width + j));
      row[j] = shape.kinds == 0 ? u : std::floor(u * static_cast<float>(shape.kinds)) - 1.0f;
    }
    std::sort(row, row + count, std::greater<>());
  }
  return ranks;
}

class SelectRowsKernels : public testing::KernelShapes<Shape> {
 protected:
  Stream host_stream_;
};

TEST_P(SelectRowsKernels, SendWhatTheCpuSends) {
  const Shape shape = GetParam();
  Codes codes = codes_of(shape);
  const std::vector<float> scale = scales(shape.latents);
  const DeviceCodes device(codes.view());
  const DeviceArray<float> device_scale{std::span<const float>(scale)};
  RowSelectionScratch scratch(test_memory(), codes.view().capacity(), shape.k, shape.shards);
  const std::vector<int64_t> listed = {shape.rows - 1, 0};
  const DeviceArray<int64_t> device_listed{std::span<const int64_t>(listed)};
  for (const int64_t width : {int64_t{1}, (shape.k + 1) / 2, shape.k}) {
    for (const bool scales : {false, true}) {
      for (const bool lists : {false, true}) {
        const int64_t slots = lists ? 2 : shape.rows;
        Tensor<float, 1> expected = make_vector<float>(slots * width);
        RankedCodes ranked{codes.view(), shape.k, kFirstLatent};
        if (scales) ranked.scale = {scale.data(), {shape.latents}};
        largest_ranks(ranked, {lists ? listed.data() : nullptr, {2}}, scratch,
                      {expected.data(), {slots, width}}, host_stream_);
        RankedCodes there{device.view(), shape.k, kFirstLatent};
        if (scales) there.scale = device_scale.vector();
        Vector<const int64_t> rows = device_listed.vector();
        if (!lists) rows.data = nullptr;
        const auto work = [&] {
          const DeviceArray<float> sent(slots * width);
          cuda::largest_ranks(there, rows, sent.matrix(width), stream_);
          return sent.values();
        };
        const std::vector<float> found = in_every_order(work);
        for (int64_t i = 0; i < slots * width; ++i) {
          ASSERT_EQ(found[static_cast<size_t>(i)], expected.data()[i]) << i;
        }
        if (testing::can_leave_out_barriers() && shape.k >= 200 && !scales && !lists) {
          EXPECT_TRUE(testing::needs_its_barriers(work));
        }
      }
    }
  }
}

TEST_P(SelectRowsKernels, SettleWhatTheCpuSettles) {
  const Shape shape = GetParam();
  RowSelectionScratch scratch(test_memory(), 0, shape.k, shape.shards);
  for (const int64_t width : {(shape.k + 1) / 2, shape.k}) {
    const std::vector<float> ranks = sent_ranks(shape, shape.rows, width);
    std::vector<int64_t> rows, candidates;
    for (int64_t r = 0; r < shape.rows; ++r) rows.push_back(shape.rows - 1 - r);
    for (int64_t s = 0; s < shape.shards; ++s) candidates.push_back(s % 2 == 0 ? width : 2 * width);
    const DeviceArray<float> device_ranks{std::span<const float>(ranks)};
    const DeviceArray<int64_t> device_rows{std::span<const int64_t>(rows)},
        device_candidates{std::span<const int64_t>(candidates)};
    for (const int64_t shard : {int64_t{0}, shape.shards - 1}) {
      std::vector<float> cutoff(static_cast<size_t>(shape.rows), -7.0f);
      std::vector<int64_t> ties(cutoff.size(), -7);
      std::vector<int32_t> settled(cutoff.size(), -7);
      const auto device_cutoff = cutoff;
      const auto device_ties = ties;
      find_cutoffs(
          {{ranks.data(), {static_cast<int64_t>(ranks.size())}}, shape.shards, shape.rows, width}, shape.k,
          shard, {candidates.data(), {shape.shards}}, {rows.data(), {shape.rows}}, scratch,
          {{cutoff.data(), {shape.rows}}, {ties.data(), {shape.rows}}, {settled.data(), {shape.rows}}},
          host_stream_);
      const auto work = [&] {
        const DeviceArray<float> found{std::span<const float>(device_cutoff)};
        const DeviceArray<int64_t> found_ties{std::span<const int64_t>(device_ties)};
        const DeviceArray<int32_t> found_settled(shape.rows);
        cuda::find_cutoffs({device_ranks.vector(), shape.shards, shape.rows, width}, shape.k, shard,
                           device_candidates.vector(), device_rows.vector(),
                           {found.vector(), found_ties.vector(), found_settled.vector()}, stream_);
        return std::tuple(found.values(), found_ties.values(), found_settled.values());
      };
      EXPECT_TRUE(same_bytes(work(), std::tuple(cutoff, ties, settled)));
      if (shard > 0 || width == shape.k || shape.rows > 5) continue;
      (void)in_every_order(work);
      if (testing::can_leave_out_barriers() && shape.k >= 200) {
        EXPECT_TRUE(testing::needs_its_barriers(work));
      }
    }
  }
}

TEST_P(SelectRowsKernels, KeepWhatTheCpuKeeps) {
  const Shape shape = GetParam();
  Codes codes = codes_of(shape);
  const DeviceCodes original(codes.view());
  const int64_t capacity = codes.view().capacity();
  std::vector<float> cutoff;
  std::vector<int64_t> ties;
  for (int64_t r = 0; r < shape.rows; ++r) {
    cutoff.push_back(shape.kinds == 0 ? 0.3f : static_cast<float>(r % shape.kinds));
    ties.push_back(r % 4);
  }
  RowSelectionScratch scratch(test_memory(), capacity, shape.k, shape.shards);
  const DeviceArray<float> device_cutoff{std::span<const float>(cutoff)};
  const DeviceArray<int64_t> device_ties{std::span<const int64_t>(ties)};
  const auto work = [&] {
    Codes again = codes_of(shape);
    const DeviceCodes device(again.view());
    const SelectionArrays room(capacity);
    cuda::keep_ranked({device.view(), shape.k, kFirstLatent},
                      {device_cutoff.vector(), device_ties.vector(), {}}, room.room(), stream_);
    room.expect_margins();
    std::vector<int64_t> offsets = device.row_offsets.values();
    std::vector<int32_t> latents = device.latents.values();
    std::vector<float> values = device.values.values();
    latents.resize(static_cast<size_t>(offsets.back()));
    values.resize(latents.size());
    return std::tuple(offsets, latents, values);
  };
  keep_ranked({codes.view(), shape.k, kFirstLatent},
              {{cutoff.data(), {shape.rows}}, {ties.data(), {shape.rows}}, {}}, scratch, host_stream_);
  const CodesView kept = codes.view();
  const int64_t entries = kept.entries();
  EXPECT_TRUE(same_bytes(
      in_every_order(work),
      std::tuple(std::vector<int64_t>(kept.row_offsets.data, kept.row_offsets.data + shape.rows + 1),
                 std::vector<int32_t>(kept.latents.data, kept.latents.data + entries),
                 std::vector<float>(kept.values.data, kept.values.data + entries))));
}

INSTANTIATE_TEST_SUITE_P(Shapes, SelectRowsKernels, ::testing::ValuesIn(kShapes));

}  // namespace
}  // namespace orthant::kernels
