#include "kernels/encode/encode_scratch.h"

namespace orthant::kernels::cuda {
namespace {

// Takes arrays from a buffer one after the other; counts only where there is none.
struct Cursor {
  std::byte* buffer;
  int64_t used = 0;

  template <typename T>
  T* take(int64_t count) {
    constexpr int64_t kAlignment = 256;
    const int64_t at = used;
    used += (count * static_cast<int64_t>(sizeof(T)) + kAlignment - 1) / kAlignment * kAlignment;
    return buffer == nullptr ? nullptr : reinterpret_cast<T*>(buffer + at);
  }
};

RowLists take_lists(Cursor& cursor, int64_t rows, int64_t room) {
  return {.room = room,
          .ranks = cursor.take<uint32_t>(rows * room),
          .latents = cursor.take<int32_t>(rows * room),
          .values = cursor.take<float>(rows * room),
          .counts = cursor.take<int64_t>(rows),
          .thresholds = cursor.take<uint32_t>(rows)};
}

int64_t lay_out(EncodeScratch& scratch, Cursor cursor, int64_t depth, int64_t k_beside) {
  constexpr int64_t kSpareRoom = 256;
  const auto [rows, latents] = scratch.tiles;
  scratch.operand = cursor.take<float>(rows * depth);
  scratch.tile = cursor.take<float>(rows * latents);
  scratch.lowest = cursor.take<float>(rows * scratch.k);
  scratch.selected = take_lists(cursor, rows, 2 * scratch.k + kSpareRoom);
  scratch.beside = take_lists(cursor, rows, k_beside);
  scratch.outgrown = cursor.take<int32_t>(EncodeScratch::kWindow);
  return cursor.used;
}

}  // namespace

int64_t EncodeScratch::bytes(EncodeTiles tiles, int64_t k, int64_t depth, int64_t k_beside) {
  EncodeScratch counted(nullptr, tiles, k, depth, k_beside);
  return lay_out(counted, {nullptr}, depth, k_beside);
}

EncodeScratch::EncodeScratch(std::byte* buffer, EncodeTiles cut, int64_t most, int64_t depth,
                             int64_t k_beside)
    : tiles(cut), k(most) {
  lay_out(*this, {buffer}, depth, k_beside);
}

}  // namespace orthant::kernels::cuda
