#include "sae/dictionary/watched_tops.h"

#include <omp.h>

#include <algorithm>
#include <functional>

#include "kernels/encode/rank_key.h"

namespace orthant::sae {

int64_t WatchedTops::kept(int64_t k, int64_t local_latents, Device device) {
  return k == 0 || device.kind != DeviceKind::kCpu ? 0 : std::min(k + k / 4 + 32, local_latents);
}

WatchedTops::WatchedTops(Memory& memory, int64_t rows, int64_t kept, Share slice)
    : slice_(slice),
      counts_(memory, "watched latents", {kept == 0 ? 0 : rows}),
      latents_(memory, "watched latents", {kept == 0 ? 0 : rows, kept}),
      values_(memory, "watched latents", {kept == 0 ? 0 : rows, kept}),
      chosen_bits_(memory, "watched latents", {kept == 0 ? 0 : (slice.count + 63) / 64}),
      keys_(memory, "watched latents", {kept == 0 ? 0 : omp_get_max_threads(), kept}) {
  tops_ = {.eligible = {}, .counts = counts_.view(), .latents = latents_.view(), .values = values_.view()};
}

void WatchedTops::watch(Vector<const uint64_t> eligible) {
  const auto words = eligible.span();
  tops_.eligible = eligible;
  watches_ = can_watch() && std::any_of(words.begin(), words.end(), [](uint64_t w) { return w != 0; });
  rows_ = 0;
}

const kernels::TopsBeside* WatchedTops::of_encode(int64_t rows) {
  rows_ = watches_ ? rows : 0;
  return watches_ ? &tops_ : nullptr;
}

bool WatchedTops::is_chosen(int32_t latent) const {
  return (chosen_bits_.data()[latent / 64] >> (latent % 64) & 1) != 0;
}

// False where a chosen latent was not watched.
bool WatchedTops::mark(Vector<const int32_t> chosen) {
  chosen_bits_.zero();
  for (const int32_t latent : chosen.span()) chosen_bits_.data()[latent / 64] |= uint64_t{1} << (latent % 64);
  const auto words = chosen_bits_.view().span();
  for (size_t w = 0; w < words.size(); ++w) {
    if ((words[w] & ~tops_.eligible.data[w]) != 0) return false;
  }
  return true;
}

// Writes the keys of the candidates of `row` that are chosen, latents ascending; returns how many.
int64_t WatchedTops::chosen_of_row(int64_t row, int64_t* keys) const {
  int64_t count = 0;
  for (int64_t i = 0; i < counts_.data()[row]; ++i) {
    const int32_t latent = latents_.view().row(row)[i];
    if (is_chosen(latent)) keys[count++] = kernels::rank_key(values_.view().row(row)[i], latent);
  }
  return count;
}

// A full row may have lost candidates that rank below those kept.
bool WatchedTops::tells(int64_t row, int64_t wanted) const {
  const int32_t* const latents = latents_.view().row(row);
  const int64_t count = counts_.data()[row];
  if (count < values_.shape()[1]) return true;
  return std::count_if(latents, latents + count, [&](int32_t latent) { return is_chosen(latent); }) >= wanted;
}

void WatchedTops::emit(int64_t row, Vector<const int32_t> chosen, int64_t wanted, kernels::CodesView out) {
  int64_t* const keys = keys_.view().row(omp_get_thread_num());
  int64_t count = chosen_of_row(row, keys);
  int64_t last = 0;
  if (count > wanted) {
    std::nth_element(keys, keys + wanted - 1, keys + count, std::greater<>());
    last = keys[wanted - 1];
    count = wanted;
  }
  int32_t* latents = out.latents.data + row * wanted;
  float* values = out.values.data + row * wanted;
  const auto put = [&](int32_t latent, float value) {
    *latents++ = static_cast<int32_t>(slice_.first + latent);
    *values++ = value;
  };
  int64_t missing = wanted - count;
  const int32_t* next = chosen.data;
  for (int64_t i = 0; i < counts_.data()[row]; ++i) {
    const int32_t latent = latents_.view().row(row)[i];
    const float value = values_.view().row(row)[i];
    if (!is_chosen(latent) || kernels::rank_key(value, latent) < last) continue;
    for (; missing > 0 && *next < latent; ++next, --missing) put(*next, 0.0f);
    put(latent, value);
    if (missing > 0) ++next;
  }
  for (; missing > 0; ++next, --missing) put(*next, 0.0f);
}

bool WatchedTops::choose(Vector<const int32_t> chosen, int64_t k, kernels::CodesView out) {
  const int64_t rows = out.rows(), wanted = std::min(k, chosen.shape[0]);
  if (!watches_ || rows_ != rows || !mark(chosen)) return false;
  bool told = true;
#pragma omp parallel for reduction(&& : told)
  for (int64_t r = 0; r < rows; ++r) told = told && tells(r, wanted);
  if (!told) return false;
  for (int64_t r = 0; r <= rows; ++r) out.row_offsets.data[r] = r * wanted;
  if (wanted == 0) return true;
  const int threads = std::min(omp_get_max_threads(), static_cast<int>(keys_.shape()[0]));
#pragma omp parallel for num_threads(threads)
  for (int64_t r = 0; r < rows; ++r) emit(r, chosen, wanted, out);
  return true;
}

}  // namespace orthant::sae
