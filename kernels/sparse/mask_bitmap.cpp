#include "kernels/sparse/mask_bitmap.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "runtime/core/error.h"

namespace orthant::kernels {

void encode_mask(std::span<const int32_t> kept, int64_t width, std::span<uint8_t> bitmap) {
  require(static_cast<int64_t>(bitmap.size()) == mask_bytes(width), "a bitmap has one bit an element");
  std::fill(bitmap.begin(), bitmap.end(), uint8_t{0});
  for (const int32_t element : kept) {
    require(element >= 0 && element < width, "kept elements are below the width");
    bitmap[static_cast<size_t>(element) / 8] |= static_cast<uint8_t>(1u << (element % 8));
  }
}

std::vector<int32_t> decode_mask(std::span<const uint8_t> bitmap, int64_t width) {
  require(static_cast<int64_t>(bitmap.size()) == mask_bytes(width), "a bitmap has one bit an element");
  std::vector<int32_t> kept;
  for (size_t byte = 0; byte < bitmap.size(); ++byte) {
    for (uint32_t left = bitmap[byte]; left != 0; left &= left - 1) {
      kept.push_back(static_cast<int32_t>(byte * 8) + std::countr_zero(left));
    }
  }
  return kept;
}

MaskCost mask_cost(int64_t keep, int64_t group) {
  require(keep > 0 && keep <= group && group <= 64, "some of a group of at most 64 are kept");
  double patterns = 1.0;
  for (int64_t i = 1; i <= keep; ++i)
    patterns = std::round(patterns * static_cast<double>(group - keep + i) / static_cast<double>(i));
  const double bits = std::log2(patterns);
  const auto size = static_cast<double>(group);
  return {.patterns = patterns,
          .entropy = bits / size,
          .whole_bits = std::ceil(bits) / size,
          .bitmap = 1.0,
          .indices = static_cast<double>(keep) * std::ceil(std::log2(size)) / size};
}

}  // namespace orthant::kernels
