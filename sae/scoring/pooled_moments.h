// How differently latents fire in two kinds of text: Cohen's d of max-pooled activations (arXiv 2601.05679,
// section 3).
//
// A snippet is so many tokens of one row of the language model; a latent's activation in it is the largest at
// its tokens. Ranks of a data group add the snippets of the blocks that they were dealt; merge() brings all
// into the first of them, as that of ScoreSums. Latents may be sliced over a dictionary group. Memory is
// allocated at construction. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/codes/snippet_moments.h"
#include "runtime/comm/world.h"
#include "runtime/core/share.h"
#include "runtime/job/checkpointable.h"

namespace orthant::sae {

inline constexpr int kSnippetGroups = 2;

// The snippets of a block of rows.
struct SnippetCut {
  std::vector<int32_t> of_row;  // [rows] -1: in none
  std::vector<int32_t> groups;  // [snippets] 0 or 1
  void clear(size_t rows) {
    of_row.assign(rows, -1);
    groups.clear();
  }
  void begin_snippet(int group) { groups.push_back(group); }
  void add_row(size_t row) { of_row[row] = static_cast<int32_t>(groups.size()) - 1; }
};

// Moments of one value over the snippets of a group.
struct GroupMoments {
  int64_t count = 0;
  double sum = 0.0;
  double squares = 0.0;
  [[nodiscard]] double mean() const { return count == 0 ? 0.0 : sum / static_cast<double>(count); }
  // Sum of squared differences from the mean.
  [[nodiscard]] double spread() const;
};

// (mean of a - mean of b) / s, s^2 = (spread of a + spread of b) / (count of a + count of b - 2): the pooled
// standard deviation of Cohen (1988). 0 where a group is empty; a difference without any spread is divided by
// epsilon.
[[nodiscard]] double cohens_d(const GroupMoments& a, const GroupMoments& b, double epsilon = 1e-12);

struct PooledTotals {
  int64_t latents = 0;
  std::vector<double> sums = {};       // [latents, 2]
  std::vector<double> squares = {};    // [latents, 2]
  std::vector<int64_t> snippets = {};  // [2]
  [[nodiscard]] GroupMoments of(int64_t latent, int group) const;
};

// Of each latent, the first group against the second. Decoder norms do not matter: both means and the
// deviation grow with them.
[[nodiscard]] std::vector<double> cohens_d(const PooledTotals& totals);

class PooledMoments : public Checkpointable {
 public:
  // `slice` of `latents`; `replica`: this rank's place in the data group.
  PooledMoments(Memory& memory, int64_t latents, Share slice, int64_t snippet_tokens, int replica);
  [[nodiscard]] int64_t snippet_tokens() const { return snippet_tokens_; }

  // Local. Codes of this slice's latents.
  void add(kernels::CodesView codes, const SnippetCut& snippets);
  // Collective over the data group. The first rank has what all had, the others nothing.
  void merge(Communicator& replicas);
  // Local. After a load.
  void after_load();
  [[nodiscard]] std::vector<TensorSlice> state() override;
  // Collective over the grid. After merge(): on every rank.
  [[nodiscard]] PooledTotals totals(Grid& grid, int virtual_shards);

 private:
  void clear();
  int64_t latents_;
  Share slice_;
  int64_t snippet_tokens_;
  int replica_;
  Tensor<double, 2> sums_;       // [local_latents, 2]
  Tensor<double, 2> squares_;    // [local_latents, 2]
  Tensor<int64_t, 1> snippets_;  // [2]
  Tensor<float, 1> largest_;     // [local_latents]
};

}  // namespace orthant::sae
