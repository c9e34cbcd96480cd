#include "kernels/pruning/prune_sequences.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/pruning/pruning_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;
using testing::random_matrix;
using testing::zero_matrix;

using PruneSequencesKernel = testing::KernelTest;

TEST_F(PruneSequencesKernel, KeepsWhatTheCpuKeeps) {
  constexpr int64_t kRows = 11, kSequences = 3;
  Tensor<int64_t, 1> offsets = testing::make_vector<int64_t>(kSequences + 1),
                     keep = testing::make_vector<int64_t>(3);
  for (const int64_t width : {5, 200}) {
    const int64_t ends[] = {0, 4, 4, kRows}, counts[] = {4 * width / 2, 0, 7 * width / 3};
    std::copy(std::begin(ends), std::end(ends), offsets.data());
    std::copy(std::begin(counts), std::end(counts), keep.data());
    for (const bool by_row_norm : {false, true}) {
      Tensor<float, 2> x = random_matrix(kRows, width, 1), gains = random_matrix(kSequences, width, 2),
                       scores = zero_matrix(kRows, width), kept = zero_matrix(kRows, width);
      for (float& value : x.view().span()) value = std::round(value);
      for (float& gain : gains.view().span()) gain = std::abs(gain);
      Stream host;
      prune_sequences({.x = x.view(),
                       .offsets = offsets.view(),
                       .keep = keep.view(),
                       .gains = gains.view(),
                       .by_row_norm = by_row_norm},
                      scores.view(), kept.view(), host);
      const auto device_x = on_device(x), device_gains = on_device(gains);
      const auto device_offsets = on_device(offsets), device_keep = on_device(keep);
      const std::vector<float> found = testing::in_every_order([&] {
        const DeviceArray<float> device_scores(kRows * width), device_kept(kRows * width);
        cuda::prune_sequences({.x = device_x.matrix(width),
                               .offsets = device_offsets.vector(),
                               .keep = device_keep.vector(),
                               .gains = device_gains.matrix(width),
                               .by_row_norm = by_row_norm},
                              device_scores.matrix(width), device_kept.matrix(width), stream_);
        return device_kept.values();
      });
      EXPECT_EQ(found, std::vector<float>(kept.data(), kept.data() + kRows * width));
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
