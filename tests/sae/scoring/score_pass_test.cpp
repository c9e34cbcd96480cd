#include "sae/scoring/score_pass.h"

#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <vector>

#include "runtime/storage/checkpoint.h"
#include "sae/dictionary/reconstruction.h"
#include "sae/scoring/sequence_blocks.h"
#include "tests/support/code_of.h"
#include "tests/support/random_dictionary.h"
#include "tests/support/temp_dir.h"

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 19;
constexpr int64_t kRows = 210;

// Sequences of unequal lengths; tokens from a small vocabulary, so that words occur.
class TokenSource : public ActivationSource {
 public:
  explicit TokenSource(bool has_tokens = true) : has_tokens_(has_tokens) {
    int64_t length = 0, document = 0, position = 0;
    for (int64_t r = 0; r < kRows; ++r, ++position) {
      const uint64_t draw = random_u64(3, Purpose::kTest, 7, static_cast<uint64_t>(r));
      if (position >= length) {
        position = 0;
        length = 1 + static_cast<int64_t>(draw % 23);
        document += static_cast<int64_t>(draw / 23 % 2);  // a document may have several rows
      }
      labels_.token_ids.push_back(static_cast<int32_t>(draw / 46 % 6));
      labels_.positions.push_back(static_cast<int32_t>(position));
      labels_.documents.push_back(document);
    }
  }
  [[nodiscard]] int64_t d_model() const override { return kWidth; }
  [[nodiscard]] int64_t rows(Split) const override { return kRows; }
  void read(Split split, int64_t first, Matrix<float> into, RowLabels* labels) override {
    for (int64_t r = 0; r < into.shape[0]; ++r) {
      for (int64_t c = 0; c < kWidth; ++c) {
        into.row(r)[c] = random_normal(3, Purpose::kTest, 8, static_cast<uint64_t>((first + r) * kWidth + c));
      }
    }
    if (labels != nullptr) read_labels(split, first, into.shape[0], *labels);
    rows_read += into.shape[0];
  }
  void read_labels(Split, int64_t first, int64_t count, RowLabels& labels) override {
    labels = {};
    if (!has_tokens_) return;
    const auto part = [&](const auto& from) {
      return std::decay_t<decltype(from)>(from.begin() + first, from.begin() + first + count);
    };
    labels = {part(labels_.token_ids), part(labels_.positions), part(labels_.documents)};
  }
  [[nodiscard]] std::string identity() const override { return "tokens of a test"; }
  [[nodiscard]] const RowLabels& all_labels() const { return labels_; }
  int64_t rows_read = 0;

 private:
  bool has_tokens_;
  RowLabels labels_;
};

WindowMarker marker() {
  return {{{"two", {{2}}}, {"one three", {{1, 3}, {4, 4}}}}, {5}, {.left = 1, .right = 2}};
}

constexpr int64_t kSnippet = 5;

struct Found {
  LatentTotals totals;
  PooledTotals pooled;
};

Found passed(World world, MeshShape mesh, int64_t rows, int64_t block_rows, Architecture architecture,
             int virtual_shards = 0, int64_t scored_rows = 0) {
  Grid grid = make_grid(*world.data, mesh);
  Memory memory;
  const Dictionary whole = testing::random_dictionary({.architecture = architecture}, memory);
  const Share slice = latent_slice(whole.latents, mesh.dictionary, grid.dictionary->rank(), virtual_shards);
  Dictionary own = testing::random_dictionary({.architecture = architecture}, memory);
  own.slice = slice;
  const auto cut = [&](auto& tensor) {
    auto part = std::decay_t<decltype(tensor)>(memory, "test", [&] {
      auto shape = tensor.shape();
      if (shape[0] != 0) shape[0] = slice.count;
      return shape;
    }());
    if (part.shape()[0] != 0) {
      const auto from = tensor.view().rows(slice.first, slice.count);
      copy_bytes(part.data(), kCpu, from.data, kCpu, from.bytes());
    }
    tensor = std::move(part);
  };
  cut(own.encoder);
  cut(own.decoder);
  cut(own.encoder_bias);
  cut(own.thresholds);
  TokenSource source;
  const WindowMarker words = marker();
  const std::vector<int64_t> blocks = sequence_blocks(source, rows, block_rows);
  ScoreSums sums(memory, words.bits(), whole.latents, slice, grid.data->rank());
  PooledMoments pooled(memory, whole.latents, slice, kSnippet, grid.data->rank());
  const ScorePass pass{.codes = {.dictionary = &own,
                                 .source = &source,
                                 .blocks = blocks,
                                 .world = &world,
                                 .grid = &grid,
                                 .virtual_shards = virtual_shards},
                       .marker = &words,
                       .scored_rows = scored_rows};
  EXPECT_EQ(run_score_pass(pass, sums, &pooled, memory), PassEnd::kFinished);
  return {sums.totals(own, grid, virtual_shards), pooled.totals(grid, virtual_shards)};
}

LatentTotals scored(World world, MeshShape mesh, int64_t rows, int64_t block_rows, Architecture architecture,
                    int virtual_shards = 0) {
  return passed(std::move(world), mesh, rows, block_rows, architecture, virtual_shards).totals;
}

// Activation of a latent in double, before its decoder norm.
double activation_of(const Dictionary& d, const float* x, int64_t latent) {
  double activation = d.encoder_bias.data()[latent];
  for (int64_t c = 0; c < kWidth; ++c) {
    activation += (static_cast<double>(x[c]) - d.decoder_bias.data()[c]) * d.encoder.view().row(latent)[c];
  }
  return std::max(activation, 0.0);
}

// Everything at once in double, by the formulas.
LatentTotals reference(Architecture architecture) {
  Memory memory;
  const Dictionary d = testing::random_dictionary({.architecture = architecture}, memory);
  TokenSource source;
  Tensor<float, 2> x(memory, "test", {kRows, kWidth});
  source.read(Split::kTrain, 0, x.view(), nullptr);
  const WindowMarker words = marker();
  std::vector<uint64_t> masks(kRows);
  const std::vector<int64_t> offsets = sequence_offsets(source.all_labels());
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const auto begin = static_cast<size_t>(offsets[s]), count = static_cast<size_t>(offsets[s + 1]) - begin;
    words.mark(std::span(source.all_labels().token_ids).subspan(begin, count),
               std::span(masks).subspan(begin, count));
  }
  LatentTotals totals{.groups = words.groups(), .latents = d.latents};
  totals.sums.resize(static_cast<size_t>(words.bits() * d.latents));
  totals.counts.resize(static_cast<size_t>(words.bits()));
  totals.fired.resize(static_cast<size_t>(d.latents));
  totals.max.resize(static_cast<size_t>(d.latents));
  totals.max_row.assign(static_cast<size_t>(d.latents), -1);
  for (int64_t r = 0; r < kRows; ++r) {
    const uint64_t mask = masks[static_cast<size_t>(r)];
    for (int64_t b = 0; b < words.bits(); ++b)
      totals.counts[static_cast<size_t>(b)] += static_cast<int64_t>(mask >> b & 1);
    if (mask == 0) continue;
    for (int64_t i = 0; i < d.latents; ++i) {
      const double activation = activation_of(d, x.view().row(r), i);
      double norm = 0.0;
      for (int64_t c = 0; c < kWidth; ++c) {
        norm += static_cast<double>(d.decoder.view().row(i)[c]) * d.decoder.view().row(i)[c];
      }
      const double folded = activation * std::sqrt(norm);
      if (activation <= 0.0) continue;
      const auto at = static_cast<size_t>(i);
      for (int64_t b = 0; b < words.bits(); ++b) {
        if ((mask >> b & 1) != 0) totals.sums[static_cast<size_t>(b * d.latents + i)] += folded;
      }
      ++totals.fired[at];
      if (folded > totals.max[at]) {
        totals.max[at] = folded;
        totals.max_row[at] = r;
      }
    }
  }
  return totals;
}

void expect_equal(const LatentTotals& a, const LatentTotals& b, double relative) {
  EXPECT_EQ(a.counts, b.counts);
  EXPECT_EQ(a.fired, b.fired);
  EXPECT_EQ(a.max_row, b.max_row);
  ASSERT_EQ(a.sums.size(), b.sums.size());
  for (size_t i = 0; i < a.sums.size(); ++i) {
    EXPECT_NEAR(a.sums[i], b.sums[i], relative * std::abs(b.sums[i]) + 1e-12) << i;
  }
  for (size_t i = 0; i < a.max.size(); ++i) EXPECT_NEAR(a.max[i], b.max[i], relative * std::abs(b.max[i]));
}

void expect_equal(const PooledTotals& a, const PooledTotals& b, double relative) {
  EXPECT_EQ(a.snippets, b.snippets);
  ASSERT_EQ(a.sums.size(), b.sums.size());
  for (size_t i = 0; i < a.sums.size(); ++i) {
    EXPECT_NEAR(a.sums[i], b.sums[i], relative * b.sums[i]) << i;
    EXPECT_NEAR(a.squares[i], b.squares[i], relative * b.squares[i]) << i;
  }
}

// Largest activations of a latent in the snippets of both groups, in double.
struct Snippets {
  std::vector<double> of[2];
};

// By the contrast where scored_rows > 0, else by whether a word is near.
std::vector<Snippets> snippets_in_double(int64_t scored_rows) {
  Memory memory;
  const Dictionary d = testing::random_dictionary({.architecture = Architecture::kStandard}, memory);
  TokenSource source;
  Tensor<float, 2> x(memory, "test", {kRows, kWidth});
  source.read(Split::kTrain, 0, x.view(), nullptr);
  const RowLabels& labels = source.all_labels();
  const WindowMarker words = marker();
  std::vector<Snippets> found(static_cast<size_t>(d.latents));
  const std::vector<int64_t> offsets = sequence_offsets(labels);
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const auto begin = static_cast<size_t>(offsets[s]), count = static_cast<size_t>(offsets[s + 1]) - begin;
    std::vector<uint64_t> masks(count);
    words.mark(std::span(labels.token_ids).subspan(begin, count), masks);
    for (size_t first = 0; first + kSnippet <= count; first += kSnippet) {
      bool has_word = false;
      for (size_t t = first; t < first + kSnippet; ++t) has_word |= (masks[t] >> words.near_bit() & 1) != 0;
      const bool is_first = scored_rows > 0 ? offsets[s] < scored_rows : has_word;
      for (int64_t i = 0; i < d.latents; ++i) {
        double largest = 0.0;
        for (size_t t = std::max<size_t>(first, 1); t < first + kSnippet; ++t) {
          if (labels.token_ids[begin + t] == 5) continue;  // special
          largest = std::max(largest, activation_of(d, x.view().row(static_cast<int64_t>(begin + t)), i));
        }
        found[static_cast<size_t>(i)].of[is_first ? 0 : 1].push_back(largest);
      }
    }
  }
  return found;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double variance_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double sum = 0.0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum / static_cast<double>(values.size() - 1);
}

TEST(SequenceBlocks, EndAtTheCutToo) {
  TokenSource source;
  const std::vector<int64_t> sequences = sequence_offsets(source.all_labels());
  const int64_t cut = sequences[sequences.size() / 2];
  const std::vector<int64_t> blocks = sequence_blocks(source, 0, 1000, cut);
  EXPECT_EQ(blocks, (std::vector<int64_t>{0, cut, kRows}));
}

TEST(SequenceBlocks, EndWithASequenceAndCoverAllRows) {
  TokenSource source;
  const std::vector<int64_t> sequences = sequence_offsets(source.all_labels());
  for (const int64_t block_rows : {1, 7, 50, 1000}) {
    const std::vector<int64_t> blocks = sequence_blocks(source, 0, block_rows);
    EXPECT_EQ(blocks.front(), 0);
    EXPECT_EQ(blocks.back(), kRows);
    for (size_t b = 0; b + 1 < blocks.size(); ++b) {
      EXPECT_TRUE(std::find(sequences.begin(), sequences.end(), blocks[b]) != sequences.end());
      if (b + 2 == blocks.size()) continue;
      EXPECT_GE(blocks[b + 1] - blocks[b], block_rows);
    }
  }
  EXPECT_EQ(sequence_blocks(source, 0, 1).size(), sequences.size());
  EXPECT_EQ(sequence_blocks(source, 100, 30).back(), 100);
}

TEST(SequenceBlocks, ARowOfSeveralDocumentsIsOneSequence) {
  RowLabels labels;
  labels.token_ids.assign(9, 1);
  labels.positions = {0, 1, 2, 3, 0, 1, 2, 0, 0};
  labels.documents = {0, 0, 1, 1, 1, 2, 2, 2, 3};
  EXPECT_EQ(sequence_offsets(labels), (std::vector<int64_t>{0, 4, 7, 8, 9}));
}

TEST(SequenceBlocks, RefuseASourceWithoutTokens) {
  TokenSource source(false);
  EXPECT_EQ(testing::code_of([&] { (void)sequence_blocks(source, 0, 10); }), ExitCode::kConfig);
}

TEST(ScorePass, MatchesTheFormulasInDouble) {
  const LatentTotals found = scored(make_self_world(), {1, 1}, 0, 40, Architecture::kStandard);
  const LatentTotals expected = reference(Architecture::kStandard);
  // A product of 19 f32 numbers rounds by some 1e-6 of its terms.
  EXPECT_EQ(found.counts, expected.counts);
  for (size_t i = 0; i < found.sums.size(); ++i) {
    EXPECT_NEAR(found.sums[i], expected.sums[i], 2e-6 * (std::abs(expected.sums[i]) + 1.0)) << i;
  }
  const ReasonScores a = reason_scores(found.windows(), {}), b = reason_scores(expected.windows(), {});
  for (size_t i = 0; i < a.score.size(); ++i) EXPECT_NEAR(a.score[i], b.score[i], 1e-6);
  EXPECT_EQ(best_latents(a.score, 10, 0.0), best_latents(b.score, 10, 0.0));
}

TEST(ScorePass, SameForAnyRanksAndBlocks) {
  for (const Architecture architecture :
       {Architecture::kStandard, Architecture::kTopK, Architecture::kBatchTopK}) {
    const Found expected = passed(make_self_world(), {1, 1}, 0, 40, architecture);
    const Found in_small_blocks = passed(make_self_world(), {1, 1}, 0, 7, architecture);
    expect_equal(in_small_blocks.totals, expected.totals, 1e-14);
    expect_equal(in_small_blocks.pooled, expected.pooled, 1e-14);
    for (const MeshShape mesh :
         {MeshShape{2, 1}, MeshShape{3, 1}, MeshShape{4, 1}, MeshShape{1, 2}, MeshShape{2, 2}}) {
      run_thread_ranks(mesh.data * mesh.dictionary, [&](World world) {
        const Found found = passed(std::move(world), mesh, 0, 25, architecture);
        expect_equal(found.totals, expected.totals, 1e-12);
        expect_equal(found.pooled, expected.pooled, 1e-12);
      });
    }
  }
}

// Cohen (1988) with means and variances of the groups in double, in two steps each.
TEST(ScorePass, EffectSizesMatchTheFormulaInDouble) {
  TokenSource source;
  const std::vector<int64_t> sequences = sequence_offsets(source.all_labels());
  for (const int64_t scored_rows : {int64_t{0}, sequences[sequences.size() / 2]}) {
    const Found found = passed(make_self_world(), {1, 1}, 0, 40, Architecture::kStandard, 0, scored_rows);
    const std::vector<Snippets> expected = snippets_in_double(scored_rows);
    const std::vector<double> effects = cohens_d(found.pooled);
    ASSERT_EQ(effects.size(), expected.size());
    for (size_t i = 0; i < effects.size(); ++i) {
      const auto& [a, b] = expected[i].of;
      ASSERT_EQ(found.pooled.snippets,
                (std::vector<int64_t>{static_cast<int64_t>(a.size()), static_cast<int64_t>(b.size())}));
      const double freedom = static_cast<double>(a.size() + b.size() - 2);
      const double deviation = std::sqrt((static_cast<double>(a.size() - 1) * variance_of(a) +
                                          static_cast<double>(b.size() - 1) * variance_of(b)) /
                                         freedom);
      if (deviation == 0.0) continue;
      // A product of 19 f32 numbers rounds by some 1e-6, which counts against the deviation.
      EXPECT_NEAR(effects[i], (mean_of(a) - mean_of(b)) / deviation, 1e-5 / deviation + 1e-6) << i;
    }
  }
}

TEST(ScorePass, ContrastRowsLieInNoWindow) {
  TokenSource source;
  const std::vector<int64_t> sequences = sequence_offsets(source.all_labels());
  const int64_t cut = sequences[sequences.size() / 2];
  const LatentTotals with_contrast =
      passed(make_self_world(), {1, 1}, 0, 40, Architecture::kStandard, 0, cut).totals;
  expect_equal(with_contrast, scored(make_self_world(), {1, 1}, cut, 40, Architecture::kStandard), 1e-14);
}

TEST(ScorePass, EveryRowIsReadOnce) {
  std::mutex mutex;
  int64_t rows = 0;
  run_thread_ranks(3, [&](World world) {
    Grid grid = make_grid(*world.data, {3, 1});
    Memory memory;
    const Dictionary d = testing::random_dictionary({}, memory);
    TokenSource source;
    const WindowMarker words = marker();
    const std::vector<int64_t> blocks = sequence_blocks(source, 0, 20);
    ScoreSums sums(memory, words.bits(), d.latents, d.slice, grid.data->rank());
    (void)run_score_pass(
        {.codes = {.dictionary = &d, .source = &source, .blocks = blocks, .world = &world, .grid = &grid},
         .marker = &words},
        sums, nullptr, memory);
    const std::lock_guard lock(mutex);
    rows += source.rows_read;
  });
  EXPECT_EQ(rows, kRows);
}

// Stops after every round, each time on another number of ranks.
TEST(ScorePass, GoesOnFromACheckpointOnAnyNumberOfRanks) {
  const Found expected = passed(make_self_world(), {1, 1}, 0, 20, Architecture::kTopK);
  const testing::TempDir folder;
  const int ranks[] = {1, 3, 2, 4, 1, 2, 3, 3, 3, 3, 3};
  bool finished = false;
  for (const int size : ranks) {
    if (finished) break;
    run_thread_ranks(size, [&](World world) {
      Grid grid = make_grid(*world.data, {size, 1});
      Memory memory;
      Log log(world.rank(), LogLevel::kOff);
      const Dictionary d = testing::random_dictionary({}, memory);
      TokenSource source;
      const WindowMarker words = marker();
      const std::vector<int64_t> blocks = sequence_blocks(source, 0, 20);
      ScoreSums sums(memory, words.bits(), d.latents, d.slice, grid.data->rank());
      Checkpoints checkpoints(folder.file("checkpoint"), 2, *world.control, log);
      PooledMoments pooled(memory, d.latents, d.slice, kSnippet, grid.data->rank());
      const std::array<Checkpointable*, 2> objects = {&sums, &pooled};
      if (checkpoints.load(objects)) {
        sums.after_load();
        pooled.after_load();
      }
      const PassEnd end = run_score_pass(
          {.codes = {.dictionary = &d,
                     .source = &source,
                     .blocks = blocks,
                     .world = &world,
                     .grid = &grid,
                     .stop_wanted = [] { return true; },
                     .save =
                         [&] {
                           EXPECT_TRUE(checkpoints.save({.step = sums.blocks_done(), .values = {}}, objects));
                         }},
           .marker = &words},
          sums, &pooled, memory);
      if (end == PassEnd::kStopped) return;
      expect_equal(sums.totals(d, grid, 0), expected.totals, 1e-12);
      expect_equal(pooled.totals(grid, 0), expected.pooled, 1e-12);
      if (world.rank() == 0) finished = true;
    });
  }
  EXPECT_TRUE(finished);
}

}  // namespace
}  // namespace orthant::sae
