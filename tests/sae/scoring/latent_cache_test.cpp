#include "sae/scoring/latent_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/storage/safetensors.h"
#include "sae/scoring/code_blocks.h"
#include "tests/support/random_codes.h"
#include "tests/support/temp_dir.h"

namespace orthant::sae {
namespace {

constexpr int64_t kRows = 23;
constexpr int64_t kLatents = 40;

// Sequences of 9, 4 and 10 rows.
TokenText text() {
  TokenText text;
  for (int64_t r = 0; r < kRows; ++r) {
    text.ids.push_back(static_cast<int32_t>(100 + r));
    text.begins.push_back(r == 0 || r == 9 || r == 13);
  }
  return text;
}

TEST(LatentCache, HoldsEveryActivationWhereItIs) {
  const testing::TempDir folder;
  kernels::Codes codes = testing::random_codes(kRows, kLatents, 12, 5);
  const kernels::CodesView all = codes.view();
  const auto write_block = [&](int64_t index, int64_t first, int64_t count) {
    write_code_block(folder.path().string(), {index, first, all.row_range(first, count), nullptr}, 0, 1);
  };
  write_block(0, 0, 9);
  write_block(1, 9, kRows - 9);
  const TokenText of_rows = text();
  const LatentCache cache{.folder = folder.path().string(),
                          .codes_folder = folder.path().string(),
                          .blocks = {0, 2},
                          .text = &of_rows,
                          .filler = 7};
  std::vector<std::vector<float>> dense(kRows, std::vector<float>(kLatents, 0.0f));
  for (const Share latents : {Share{0, 17}, Share{17, 23}}) {
    write_latent_cache(cache, latents);
    const SafetensorsReader file(
        fmt::format("{}/{}_{}.safetensors", folder.path().string(), latents.first, latents.end() - 1));
    const std::vector<int64_t> shape = {-1, 3};
    EXPECT_EQ(file.entry("locations").type, "U16");
    EXPECT_EQ(file.entry("activations").type, "F16");
    const std::vector<int64_t> places = file.read_integers(file.entry("locations", shape));
    std::vector<float> values(places.size() / 3);
    file.read(file.entry("activations"), values);
    const int64_t begins[] = {0, 9, 13};
    for (size_t e = 0; e < values.size(); ++e) {
      const int64_t row = begins[places[3 * e]] + places[3 * e + 1];
      dense[static_cast<size_t>(row)][static_cast<size_t>(latents.first + places[3 * e + 2])] = values[e];
    }
    const std::vector<int64_t> tokens = file.read_integers(file.entry("tokens", std::vector<int64_t>{3, 10}));
    EXPECT_EQ(tokens[8], 108);
    EXPECT_EQ(tokens[9], 7);  // behind the end of the first sequence
    EXPECT_EQ(tokens[10], 109);
    EXPECT_EQ(tokens[29], 122);
  }
  int64_t entries = 0;
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t e = all.row_offsets.data[r]; e < all.row_offsets.data[r + 1]; ++e) {
      const float value = all.values.data[e];
      if (!(value > 0.0f)) continue;
      ++entries;
      float& found = dense[static_cast<size_t>(r)][static_cast<size_t>(all.latents.data[e])];
      EXPECT_EQ(found, to_f32(to_f16(value)));
      found = 0.0f;
    }
  }
  EXPECT_GT(entries, 0);
  for (const auto& row : dense) {
    for (const float value : row) EXPECT_EQ(value, 0.0f);
  }
}

TEST(LatentCache, ActivationsBeyondF16AreItsLargest) {
  const testing::TempDir folder;
  kernels::Codes codes(testing::test_memory(), 1, 1);
  const kernels::CodesView view = codes.view();
  view.row_offsets.data[0] = 0;
  view.row_offsets.data[1] = 1;
  view.latents.data[0] = 3;
  view.values.data[0] = 1e9f;
  write_code_block(folder.path().string(), {0, 0, view, nullptr}, 0, 1);
  const TokenText one{.ids = {5}, .begins = {true}};
  write_latent_cache({.folder = folder.path().string(),
                      .codes_folder = folder.path().string(),
                      .blocks = {0, 1},
                      .text = &one},
                     {0, 4});
  const SafetensorsReader file(folder.file("0_3.safetensors"));
  std::vector<float> values(1);
  file.read(file.entry("activations"), values);
  EXPECT_EQ(values[0], 65504.0f);
}

}  // namespace
}  // namespace orthant::sae
