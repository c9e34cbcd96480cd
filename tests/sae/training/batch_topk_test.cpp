// The encoder is the identity, so the activations of a row are its positive coordinates and every selection
// is known.

#include "sae/training/batch_topk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <mutex>
#include <tuple>

#include "runtime/comm/self.h"
#include "runtime/comm/world.h"
#include "runtime/core/rng.h"
#include "sae/dictionary/reconstruction.h"
#include "tests/support/zero_dictionary.h"

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 12;
constexpr int64_t kRows = 20;

using Rows = std::vector<float>;                    // [kRows, kWidth]
using Entry = std::tuple<int64_t, int32_t, float>;  // row, latent, value

using NormOf = std::function<float(int64_t latent)>;

// With `norm_of` the latents are ranked by that, half of it in either of two sources.
Dictionary identity(Share slice, Memory& memory, const NormOf& norm_of) {
  Conventions c;
  c.architecture = Architecture::kBatchTopK;
  c.latents = kWidth;
  c.k = 3;
  if (norm_of) {
    c.sources = 2;
    c.rescale_acts_by_decoder_norm = true;
  }
  Dictionary d = testing::zero_dictionary(c, kWidth, slice, memory);
  for (int64_t i = 0; i < slice.count; ++i) {
    d.encoder.view().row(i)[slice.first + i] = 1.0f;
    if (!norm_of) continue;
    d.decoder.view().row(i)[i % d.source_width()] = norm_of(slice.first + i) / 2;
    d.decoder.view().row(i)[d.source_width()] = -norm_of(slice.first + i) / 2;
  }
  return d;
}

// Values of about `size`, half of them negative.
Rows random_rows(uint32_t stream, float size) {
  Rows rows(kRows * kWidth);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = size * static_cast<float>(random_normal(7, Purpose::kTest, stream, i));
  }
  return rows;
}

// The `keep` largest positive values, ties by row, then latent; in the order of rows and latents.
std::vector<Entry> largest(const Rows& rows, int64_t keep) {
  std::vector<Entry> entries;
  for (int64_t i = 0; i < kRows * kWidth; ++i) {
    const float value = rows[static_cast<size_t>(i)];
    if (value > 0.0f) entries.emplace_back(i / kWidth, static_cast<int32_t>(i % kWidth), value);
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return std::get<2>(a) > std::get<2>(b); });
  entries.resize(std::min(entries.size(), static_cast<size_t>(keep)));
  std::sort(entries.begin(), entries.end());
  return entries;
}

// A batch encoder of one shard, kept over several batches.
class Selecting {
 public:
  Selecting(int64_t capacity, World& world, const NormOf& norm_of = nullptr)
      : world_(world),
        slice_(latent_slice(kWidth, world.size(), world.rank(), 0)),
        dictionary_(identity(slice_, memory_, norm_of)),
        shard_(memory_, dictionary_, kRows, 3, 0, *world.data, 0),
        batch_(memory_, kRows, capacity),
        x_(memory_, "test", {kRows, kWidth}) {
    shard_.pack(dictionary_, stream_);
  }
  explicit Selecting(int64_t capacity) : Selecting(capacity, self_) {}

  // This shard's entries among those selected.
  std::vector<Entry> select(const Rows& rows, int64_t keep) {
    std::copy(rows.begin(), rows.end(), x_.data());
    selected_ = batch_.encode(x_.view(), 0, keep, kRows, dictionary_, shard_, *world_.data, stream_);
    const kernels::CodesView codes = batch_.codes(kRows);
    std::vector<Entry> entries;
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
        entries.emplace_back(r, codes.latents.data[e], codes.values.data[e]);
      }
    }
    return entries;
  }
  // How often the last calls encoded, and the room for candidates.
  [[nodiscard]] int64_t encodes() const { return batch_.encodes(); }
  [[nodiscard]] int64_t capacity() { return batch_.codes(kRows).capacity(); }
  [[nodiscard]] const BatchSelected& selected() const { return selected_; }

 private:
  World self_ = make_self_world();
  World& world_;
  Share slice_;
  Memory memory_;
  Stream stream_;
  Dictionary dictionary_;
  ShardEncoder shard_;
  BatchTopKEncoder batch_;
  Tensor<float, 2> x_;
  BatchSelected selected_;
};

TEST(BatchTopK, KeepsTheLargestOfTheBatch) {
  Selecting selecting(240);
  for (uint32_t batch = 0; batch < 5; ++batch) {
    const Rows rows = random_rows(batch, 1.0f);
    const std::vector<Entry> expected = largest(rows, 60);
    EXPECT_EQ(selecting.select(rows, 60), expected);
    EXPECT_EQ(selecting.selected().kept, 60);
    float smallest = std::numeric_limits<float>::infinity();
    for (const Entry& entry : expected) smallest = std::min(smallest, std::get<2>(entry));
    EXPECT_EQ(selecting.selected().smallest, smallest);
  }
}

TEST(BatchTopK, EncodesOnceWhenBatchesAreAlike) {
  Selecting selecting(240);
  const Rows rows = random_rows(1, 1.0f);
  selecting.select(rows, 60);
  const int64_t before = selecting.encodes();
  for (int batch = 0; batch < 3; ++batch) EXPECT_EQ(selecting.select(rows, 60), largest(rows, 60));
  EXPECT_EQ(selecting.encodes(), before + 3);
}

TEST(BatchTopK, EncodesAgainWhenThePrefilterLeavesTooFew) {
  Selecting selecting(240);
  selecting.select(random_rows(1, 100.0f), 60);
  const int64_t before = selecting.encodes();
  const Rows rows = random_rows(2, 1.0f);
  EXPECT_EQ(selecting.select(rows, 60), largest(rows, 60));
  EXPECT_GT(selecting.encodes(), before + 1);
}

TEST(BatchTopK, EncodesAgainWhenCandidatesOverflow) {
  Selecting selecting(70);  // room for hardly more than what is kept
  selecting.select(random_rows(1, 0.01f), 60);
  const int64_t before = selecting.encodes();
  const Rows rows = random_rows(2, 1.0f);  // nearly all of about 120 positive values pass the prefilter
  EXPECT_EQ(selecting.select(rows, 60), largest(rows, 60));
  EXPECT_GT(selecting.encodes(), before + 1);
  EXPECT_EQ(selecting.capacity(), 70);
}

TEST(BatchTopK, BreaksTiesAtTheCutoffByRowThenLatent) {
  Selecting selecting(240);
  Rows rows(kRows * kWidth, -1.0f);
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t c = 0; c < 4; ++c) rows[static_cast<size_t>(r * kWidth + 3 * c)] = c == 0 ? 2.0f : 1.0f;
  }
  // 20 twos, and 11 of the 60 ones: those of the first rows and lowest latents.
  EXPECT_EQ(selecting.select(rows, 31), largest(rows, 31));
  EXPECT_EQ(selecting.selected().smallest, 1.0f);
  EXPECT_EQ(selecting.selected().kept, 31);
}

TEST(BatchTopK, KeepsAllWhereFewerArePositive) {
  Selecting selecting(240);
  selecting.select(random_rows(1, 100.0f), 60);  // so that the prefilter starts far above
  Rows rows(kRows * kWidth, -1.0f);
  rows[5] = 1e-3f;
  rows[kWidth * 7] = 3.0f;
  EXPECT_EQ(selecting.select(rows, 60), largest(rows, 60));
  EXPECT_EQ(selecting.selected().kept, 2);
  EXPECT_EQ(selecting.selected().smallest, 1e-3f);
}

TEST(BatchTopK, KeepsNothingWhereNothingFiresAndRecovers) {
  Selecting selecting(240);
  selecting.select(random_rows(1, 100.0f), 60);
  EXPECT_TRUE(selecting.select(Rows(kRows * kWidth, 0.0f), 60).empty());
  EXPECT_EQ(selecting.selected().kept, 0);
  EXPECT_EQ(selecting.selected().smallest, 0.0f);
  const Rows rows = random_rows(2, 1.0f);
  EXPECT_EQ(selecting.select(rows, 60), largest(rows, 60));
}

TEST(BatchTopK, EndsWhereValuesAreNotFiniteAndRecovers) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Selecting batch(kRows * kWidth);
    const Rows rows = random_rows(1, 1.0f);
    batch.select(rows, 30);
    batch.select(Rows(kRows * kWidth, bad), 30);
    batch.select(Rows(kRows * kWidth, bad), 30);
    EXPECT_EQ(batch.select(rows, 30), largest(rows, 30));
  }
}

TEST(BatchTopK, GrowsWhereTiesLeaveNoOtherWay) {
  Selecting selecting(70);
  selecting.select(random_rows(1, 1.0f), 60);
  const Rows equal(kRows * kWidth, 1.0f);  // no prefilter lies between 0 and 240 candidates
  EXPECT_EQ(selecting.select(equal, 60), largest(equal, 60));
  EXPECT_EQ(selecting.capacity(), kRows * kWidth);
  const Rows rows = random_rows(2, 1.0f);
  EXPECT_EQ(selecting.select(rows, 60), largest(rows, 60));
}

// Latent i writes a row of norm 1 + i % 4 over two sources, so that activations are ranked by their value
// times it.
TEST(BatchTopK, RanksByTheNormsOfTheSourcesAtAnyNumberOfShards) {
  const auto norm_of = [](int64_t latent) { return static_cast<float>(1 + latent % 4); };
  const Rows rows = random_rows(4, 1.0f);
  Rows ranks = rows;
  for (size_t i = 0; i < rows.size(); ++i) ranks[i] *= norm_of(static_cast<int64_t>(i % kWidth));
  std::vector<Entry> expected = largest(ranks, 50);
  float smallest = std::numeric_limits<float>::infinity();
  for (Entry& entry : expected) {
    smallest = std::min(smallest, std::get<2>(entry));
    std::get<2>(entry) = rows[static_cast<size_t>(std::get<0>(entry) * kWidth + std::get<1>(entry))];
  }
  for (const int shards : {1, 2, 3}) {
    std::mutex mutex;
    std::vector<Entry> together;
    run_thread_ranks(shards, [&](World world) {
      Selecting selecting(240, world, norm_of);
      for (int batch = 0; batch < 2;
           ++batch) {  // with an estimated prefilter, and with that of the batch before
        const std::vector<Entry> own = selecting.select(rows, 50);
        EXPECT_EQ(selecting.selected().kept, 50);
        EXPECT_EQ(selecting.selected().smallest, smallest);
        const std::lock_guard lock(mutex);
        if (batch == 1) together.insert(together.end(), own.begin(), own.end());
      }
    });
    std::sort(together.begin(), together.end());
    ASSERT_EQ(together.size(), expected.size()) << shards;
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(std::get<0>(together[i]), std::get<0>(expected[i])) << i;
      EXPECT_EQ(std::get<1>(together[i]), std::get<1>(expected[i])) << i;
      // Multiplied by the norm and divided by it again.
      EXPECT_FLOAT_EQ(std::get<2>(together[i]), std::get<2>(expected[i])) << i;
    }
  }
}

TEST(BatchTopK, AgreesOverShardsWhenOneOfThemOverflows) {
  Rows rows = random_rows(3, 1.0f);
  for (int64_t r = 0; r < kRows; ++r) {  // the first shard holds nearly all that is kept
    for (int64_t c = 0; c < 6; ++c) rows[static_cast<size_t>(r * kWidth + c)] += 5.0f;
  }
  std::mutex mutex;
  std::vector<Entry> together;
  run_thread_ranks(2, [&](World world) {
    Selecting selecting(70, world);
    selecting.select(random_rows(1, 0.01f), 60);
    const std::vector<Entry> own = selecting.select(rows, 60);
    const std::lock_guard lock(mutex);
    together.insert(together.end(), own.begin(), own.end());
  });
  std::sort(together.begin(), together.end());
  EXPECT_EQ(together, largest(rows, 60));
}

}  // namespace
}  // namespace orthant::sae
