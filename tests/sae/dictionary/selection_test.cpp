#include "sae/dictionary/selection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/comm/world.h"
#include "runtime/core/rng.h"
#include "runtime/core/share.h"

namespace orthant::sae {
namespace {

enum class Values { kRandom, kFewDistinct, kConcentrated, kAllEqual, kMostlyZero };

struct Entry {
  int64_t row;
  int32_t latent;
  float value;
};

// Activations [rows, latents], not negative.
std::vector<float> activations(Values kind, int64_t rows, int64_t latents) {
  std::vector<float> a(static_cast<size_t>(rows * latents));
  for (size_t i = 0; i < a.size(); ++i) {
    const float u = random_uniform(5, Purpose::kTest, 0, i);
    const auto latent = static_cast<int64_t>(i) % latents;
    switch (kind) {
      case Values::kRandom:
        a[i] = u;
        break;
      case Values::kFewDistinct:
        a[i] = std::floor(u * 4.0f);
        break;
      case Values::kConcentrated:
        a[i] = latent < latents / 5 ? 10.0f + u : 0.01f * u;
        break;
      case Values::kAllEqual:
        a[i] = 1.0f;
        break;
      case Values::kMostlyZero:
        a[i] = u < 0.97f ? 0.0f : u;
        break;
    }
  }
  return a;
}

bool ranks_before(const Entry& a, const Entry& b) {
  if (a.value != b.value) return a.value > b.value;
  return a.row != b.row ? a.row < b.row : a.latent < b.latent;
}

// The entries of `slice` of each row, at most `most` of them by rank (as an encoder would give them).
void fill_codes(const std::vector<float>& a, int64_t latents, Share rows, Share slice, int64_t most,
                float above, kernels::CodesView codes) {
  int64_t e = 0;
  codes.row_offsets.data[0] = 0;
  for (int64_t r = 0; r < rows.count; ++r) {
    std::vector<Entry> entries;
    for (int64_t i = slice.first; i < slice.end(); ++i) {
      const float value = a[static_cast<size_t>((rows.first + r) * latents + i)];
      if (value > above) entries.push_back({0, static_cast<int32_t>(i), value});
    }
    std::sort(entries.begin(), entries.end(), ranks_before);
    entries.resize(std::min(entries.size(), static_cast<size_t>(most)));
    std::sort(entries.begin(), entries.end(),
              [](const Entry& x, const Entry& y) { return x.latent < y.latent; });
    for (const Entry& entry : entries) {
      codes.latents.data[e] = entry.latent;
      codes.values.data[e++] = entry.value;
    }
    codes.row_offsets.data[r + 1] = e;
  }
}

std::vector<Entry> entries_of(kernels::CodesView codes, int64_t first_row) {
  std::vector<Entry> entries;
  for (int64_t r = 0; r < codes.rows(); ++r) {
    for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
      entries.push_back({first_row + r, codes.latents.data[e], codes.values.data[e]});
    }
  }
  return entries;
}

// The `keep` first of all entries of `rows` x `slice` that are above `above`, restricted to `slice`
// afterwards.
std::vector<Entry> selected(const std::vector<float>& a, int64_t latents, Share rows, int64_t keep,
                            float above, Share of_rows, Share of_latents) {
  std::vector<Entry> all;
  for (int64_t r = rows.first; r < rows.end(); ++r) {
    for (int64_t i = 0; i < latents; ++i) {
      const float value = a[static_cast<size_t>(r * latents + i)];
      if (value > above) all.push_back({r, static_cast<int32_t>(i), value});
    }
  }
  std::sort(all.begin(), all.end(), ranks_before);
  all.resize(std::min(all.size(), static_cast<size_t>(keep)));
  std::erase_if(all, [&](const Entry& e) {
    return e.row < of_rows.first || e.row >= of_rows.end() || e.latent < of_latents.first ||
           e.latent >= of_latents.end();
  });
  std::sort(all.begin(), all.end(), [](const Entry& x, const Entry& y) {
    return x.row != y.row ? x.row < y.row : x.latent < y.latent;
  });
  return all;
}

void expect_equal(const std::vector<Entry>& ours, const std::vector<Entry>& expected) {
  ASSERT_EQ(ours.size(), expected.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_EQ(ours[i].row, expected[i].row);
    EXPECT_EQ(ours[i].latent, expected[i].latent);
    EXPECT_EQ(ours[i].value, expected[i].value);
  }
}

using Case = std::tuple<Values, int, int64_t>;  // values, shards, k
class Selection : public ::testing::TestWithParam<Case> {};

constexpr int64_t kRows = 17;
constexpr int64_t kLatents = 61;
constexpr float kEverything = -1.0f;

TEST_P(Selection, OfRowsEqualsOneProcess) {
  const auto [kind, shards, k] = GetParam();
  const std::vector<float> a = activations(kind, kRows, kLatents);
  run_thread_ranks(shards, [&, k = k, shards = shards](World world) {
    Memory memory;
    Stream stream;
    const Share slice = share_of(kLatents, shards, world.rank());
    std::vector<int64_t> counts;
    for (int s = 0; s < shards; ++s) counts.push_back(share_of(kLatents, shards, s).count);
    kernels::Codes codes(memory, kRows, kRows * k);
    fill_codes(a, kLatents, {0, kRows}, slice, std::min(k, slice.count), kEverything, codes.view());
    RowSelection selection(memory, kRows, k, shards);
    const int64_t sent_before = world.data->traffic().all_gather;
    selection.select(codes.view(), k, counts, slice.first, {}, *world.data, stream);

    std::vector<Entry> expected;
    for (int64_t r = 0; r < kRows; ++r) {
      for (const Entry& e : selected(a, kLatents, {r, 1}, k, kEverything, {r, 1}, slice))
        expected.push_back(e);
    }
    expect_equal(entries_of(codes.view(), 0), expected);
    // Every byte on the wire is in the formula.
    const RowSelectionRounds& rounds = selection.rounds();
    const int64_t formula =
        shards == 1
            ? 0
            : (shards - 1) * 4 * (kRows * first_round_values(k, shards) + rounds.second_round_rows * k);
    EXPECT_EQ(rounds.bytes_received, formula);
    EXPECT_EQ(world.data->traffic().all_gather - sent_before, formula);
  });
}

TEST_P(Selection, OfABatchEqualsOneProcess) {
  const auto [kind, shards, k] = GetParam();
  const std::vector<float> a = activations(kind, kRows, kLatents);
  for (const int replicas : {1, 2}) {
    run_thread_ranks(shards * replicas, [&, k = k, shards = shards](World world) {
      Memory memory;
      Stream stream;
      const Share slice = share_of(kLatents, shards, world.rank() % shards);
      const Share rows = share_of(kRows, replicas, world.rank() / shards);
      kernels::Codes codes(memory, rows.count, rows.count * slice.count);
      fill_codes(a, kLatents, rows, slice, slice.count, 0.0f, codes.view());
      BatchSelection selection(memory, rows.count * slice.count);
      const BatchSelected result = selection.select(codes.view(), rows.first, k * kRows, *world.data, stream);
      expect_equal(entries_of(codes.view(), rows.first),
                   selected(a, kLatents, {0, kRows}, k * kRows, 0.0f, rows, slice));
      const std::vector<Entry> all =
          selected(a, kLatents, {0, kRows}, k * kRows, 0.0f, {0, kRows}, {0, kLatents});
      EXPECT_EQ(result.kept, static_cast<int64_t>(all.size()));
      const auto least = std::min_element(all.begin(), all.end(),
                                          [](const Entry& x, const Entry& y) { return x.value < y.value; });
      EXPECT_EQ(result.smallest, all.empty() ? 0.0f : least->value);
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Selection,
                         ::testing::Combine(::testing::Values(Values::kRandom, Values::kFewDistinct,
                                                              Values::kConcentrated, Values::kAllEqual,
                                                              Values::kMostlyZero),
                                            ::testing::Values(1, 2, 3, 4, 8),
                                            ::testing::Values(1, 4, 13, 61)));

TEST(Selection, ANanIsSelected) {
  run_thread_ranks(2, [](World world) {
    Memory memory;
    Stream stream;
    kernels::Codes codes(memory, 1, 2);
    kernels::CodesView view = codes.view();
    view.row_offsets.data[0] = 0;
    view.row_offsets.data[1] = 2;
    for (int i = 0; i < 2; ++i) {
      view.latents.data[i] = 2 * world.rank() + i;
      view.values.data[i] = static_cast<float>(1 + i);
    }
    if (world.rank() == 1) view.values.data[0] = std::numeric_limits<float>::quiet_NaN();
    RowSelection selection(memory, 1, 2, 2);
    const std::vector<int64_t> counts = {2, 2};
    selection.select(view, 2, counts, 2 * world.rank(), {}, *world.data, stream);
    if (world.rank() == 1) {
      ASSERT_GE(view.entries(), 1);
      EXPECT_TRUE(std::isnan(view.values.data[0]));
    }
  });
}

}  // namespace
}  // namespace orthant::sae
