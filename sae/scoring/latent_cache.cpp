#include "sae/scoring/latent_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "runtime/storage/safetensors.h"
#include "sae/scoring/code_blocks.h"

namespace orthant::sae {
namespace {

constexpr float kLargestF16 = 65504.0f;

// Sequences of a text as rows of equal length.
struct Sequences {
  explicit Sequences(const TokenText& text) {
    for (size_t row = 0; row < text.ids.size(); ++row) {
      if (text.begins[row]) begins.push_back(static_cast<int64_t>(row));
    }
    begins.push_back(static_cast<int64_t>(text.ids.size()));
    for (size_t s = 0; s + 1 < begins.size(); ++s) longest = std::max(longest, begins[s + 1] - begins[s]);
  }
  [[nodiscard]] int64_t count() const { return static_cast<int64_t>(begins.size()) - 1; }
  [[nodiscard]] int64_t of_row(int64_t row) const {
    return std::upper_bound(begins.begin(), begins.end(), row) - begins.begin() - 1;
  }
  std::vector<int64_t> begins;  // [sequences + 1] rows
  int64_t longest = 0;
};

std::vector<int32_t> filled_tokens(const TokenText& text, const Sequences& sequences, int32_t filler) {
  std::vector<int32_t> tokens(static_cast<size_t>(sequences.count() * sequences.longest), filler);
  for (int64_t s = 0; s < sequences.count(); ++s) {
    const auto begin = sequences.begins[static_cast<size_t>(s)],
               end = sequences.begins[static_cast<size_t>(s) + 1];
    std::copy(text.ids.begin() + begin, text.ids.begin() + end, tokens.begin() + s * sequences.longest);
  }
  return tokens;
}

// Calls take(row, latent, value) for the entries above 0 of `latents`, those of each latent by row.
template <typename Take>
void visit_entries(const LatentCache& cache, Share latents, Take take) {
  visit_code_blocks(cache.codes_folder, cache.blocks, [&](kernels::CodesView codes, int64_t first_row) {
    for (int64_t r = 0; r < codes.rows(); ++r) {
      const int32_t* const all = codes.latents.data;
      const int32_t* const end = all + codes.row_offsets.data[r + 1];
      const int32_t* at = std::lower_bound(all + codes.row_offsets.data[r], end, latents.first);
      for (; at != end && *at < latents.end(); ++at) {
        const float value = codes.values.data[at - all];
        if (value > 0.0f) take(first_row + r, *at, value);
      }
    }
  });
}

template <typename Number>
void write_entries(const LatentCache& cache, Share latents, const Sequences& sequences,
                   SafetensorsWriter& writer) {
  constexpr size_t kAtOnce = size_t{1} << 16;
  std::vector<Number> locations;
  std::vector<Float16> activations;
  const auto flush = [&] {
    writer.write("locations", locations.data(), static_cast<int64_t>(locations.size() * sizeof(Number)));
    writer.write("activations", activations.data(),
                 static_cast<int64_t>(activations.size() * sizeof(Float16)));
    locations.clear();
    activations.clear();
  };
  visit_entries(cache, latents, [&](int64_t row, int64_t latent, float value) {
    const int64_t sequence = sequences.of_row(row);
    for (const int64_t number :
         {sequence, row - sequences.begins[static_cast<size_t>(sequence)], latent - latents.first}) {
      locations.push_back(static_cast<Number>(number));
    }
    activations.push_back(to_f16(std::min(value, kLargestF16)));
    if (activations.size() == kAtOnce) flush();
  });
  flush();
}

}  // namespace

void write_latent_cache(const LatentCache& cache, Share latents) {
  const Sequences sequences(*cache.text);
  const std::vector<int32_t> tokens = filled_tokens(*cache.text, sequences, cache.filler);
  int64_t entries = 0;
  visit_entries(cache, latents, [&](int64_t, int64_t, float) { ++entries; });
  const int64_t largest = std::max({sequences.count(), sequences.longest, latents.count});
  const bool is_small = largest <= std::numeric_limits<uint16_t>::max();
  SafetensorsWriter writer(
      fmt::format("{}/{}_{}.safetensors", cache.folder, latents.first, latents.end() - 1),
      {{"locations", is_small ? Dtype::kU16 : Dtype::kU32, {entries, 3}, nullptr},
       {"activations", Dtype::kF16, {entries}, nullptr},
       {"tokens", Dtype::kI32, {sequences.count(), sequences.longest}, nullptr}});
  writer.write("tokens", tokens.data(), static_cast<int64_t>(tokens.size() * sizeof(int32_t)));
  if (is_small) {
    write_entries<uint16_t>(cache, latents, sequences, writer);
  } else {
    write_entries<uint32_t>(cache, latents, sequences, writer);
  }
  writer.finish();
}

}  // namespace orthant::sae
