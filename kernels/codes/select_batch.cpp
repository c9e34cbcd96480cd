#include "kernels/codes/select_batch.h"

#include <algorithm>
#include <limits>

#include "kernels/codes/keep_entries.h"
#include "kernels/codes/select_batch_cuda.h"
#include "kernels/scalar.h"

namespace orthant::kernels {
namespace {

uint32_t ranked_bits(float value) {
  return bits_of(value) & 0x7fffffffu;
}

bool is_on_cuda(const CodesView& codes) {
  return codes.values.device.kind == DeviceKind::kCuda;
}

void check(const CodesView& codes, const SelectionScratch& scratch) {
  require(codes.row_offsets.shape[0] >= 1, "codes have row offsets");
  require(codes.capacity() <= scratch.entries(),
          "the scratch of a selection is for the capacity of its codes");
}

}  // namespace

void count_bits(CodesView codes, BitField field, uint32_t known, SelectionScratch& scratch,
                Vector<int64_t> histogram, Stream& stream) {
  check(codes, scratch);
  require(field.bins() <= SelectionScratch::kMostBins && field.bins() <= histogram.shape[0],
          "a histogram has the bins of its field");
  if (is_on_cuda(codes)) return cuda::count_bits(codes, field, known, scratch.room(), histogram, stream);
  const int known_shift = field.shift + field.width;
  const auto mask = static_cast<uint32_t>(field.bins() - 1);
  std::fill_n(histogram.data, histogram.shape[0], 0);
  for (int64_t e = codes.row_offsets.data[0]; e < codes.entries(); ++e) {
    const uint32_t bits = ranked_bits(codes.values.data[e]);
    if ((bits >> known_shift) != (known >> known_shift)) continue;
    ++histogram.data[(bits >> field.shift) & mask];
  }
}

void list_equal(CodesView codes, uint32_t bits, int64_t first_row, SelectionScratch& scratch,
                std::span<int64_t> keys, Stream& stream) {
  check(codes, scratch);
  if (is_on_cuda(codes)) return cuda::list_equal(codes, bits, first_row, scratch.room(), keys, stream);
  size_t count = 0;
  for (int64_t r = 0; r < codes.rows(); ++r) {
    for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
      if (ranked_bits(codes.values.data[e]) != bits) continue;
      require(count < keys.size(), "as many entries are equal as were counted");
      keys[count++] = entry_key(first_row + r, codes.latents.data[e]);
    }
  }
}

void keep_from(CodesView codes, uint32_t bits, int64_t first_row, int64_t last_key, SelectionScratch& scratch,
               Stream& stream) {
  check(codes, scratch);
  if (is_on_cuda(codes)) return cuda::keep_from(codes, bits, first_row, last_key, scratch.room(), stream);
  cpu::keep_entries(codes, [&](int64_t row, int64_t e) {
    const uint32_t own = ranked_bits(codes.values.data[e]);
    if (own != bits) return own > bits;
    return entry_key(first_row + row, codes.latents.data[e]) <= last_key;
  });
}

float smallest_value(CodesView codes, SelectionScratch& scratch, Stream& stream) {
  check(codes, scratch);
  if (is_on_cuda(codes)) return cuda::smallest_value(codes, scratch.room(), stream);
  float smallest = std::numeric_limits<float>::infinity();
  for (int64_t e = codes.row_offsets.data[0]; e < codes.entries(); ++e) {
    smallest = std::min(smallest, codes.values.data[e]);
  }
  return smallest;
}

}  // namespace orthant::kernels
