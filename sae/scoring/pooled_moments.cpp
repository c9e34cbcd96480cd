#include "sae/scoring/pooled_moments.h"

#include <algorithm>
#include <cmath>

#include "sae/dictionary/shard_encoder.h"
#include "sae/scoring/gather_latents.h"

namespace orthant::sae {

double GroupMoments::spread() const {
  return count == 0 ? 0.0 : std::max(0.0, squares - sum * sum / static_cast<double>(count));
}

double cohens_d(const GroupMoments& a, const GroupMoments& b, double epsilon) {
  if (a.count == 0 || b.count == 0) return 0.0;
  const auto freedom = static_cast<double>(std::max<int64_t>(a.count + b.count - 2, 1));
  const double deviation = std::sqrt((a.spread() + b.spread()) / freedom);
  return (a.mean() - b.mean()) / std::max(deviation, epsilon);
}

GroupMoments PooledTotals::of(int64_t latent, int group) const {
  const auto at = static_cast<size_t>(latent * kSnippetGroups + group);
  return {snippets[static_cast<size_t>(group)], sums[at], squares[at]};
}

std::vector<double> cohens_d(const PooledTotals& totals) {
  std::vector<double> effects;
  for (int64_t i = 0; i < totals.latents; ++i) {
    effects.push_back(cohens_d(totals.of(i, 0), totals.of(i, 1)));
  }
  return effects;
}

PooledMoments::PooledMoments(Memory& memory, int64_t latents, Share slice, int64_t snippet_tokens,
                             int replica)
    : latents_(latents),
      slice_(slice),
      snippet_tokens_(snippet_tokens),
      replica_(replica),
      sums_(memory, "snippet moments", {slice.count, kSnippetGroups}),
      squares_(memory, "snippet moments", {slice.count, kSnippetGroups}),
      snippets_(memory, "snippet moments", {kSnippetGroups}),
      largest_(memory, "snippet moments", {slice.count}) {
  largest_.zero();
  clear();
}

void PooledMoments::clear() {
  sums_.zero();
  squares_.zero();
  snippets_.zero();
}

void PooledMoments::add(kernels::CodesView codes, const SnippetCut& snippets) {
  kernels::add_snippet_moments(codes, snippets.of_row, snippets.groups, slice_.first,
                               {sums_.view(), squares_.view(), snippets_.view(), largest_.view()});
}

void PooledMoments::after_load() {
  if (replica_ != 0) clear();
}

void PooledMoments::merge(Communicator& replicas) {
  if (replicas.size() == 1) return;
  Stream stream;
  all_reduce(replicas, sums_.view(), ReduceOp::kSum, stream);
  all_reduce(replicas, squares_.view(), ReduceOp::kSum, stream);
  all_reduce(replicas, snippets_.view(), ReduceOp::kSum, stream);
  after_load();
}

std::vector<TensorSlice> PooledMoments::state() {
  const auto latents = [&](const char* name, double* data) {
    return TensorSlice{.name = name,
                       .dtype = Dtype::kF64,
                       .shape = {latents_, kSnippetGroups},
                       .first_row = slice_.first,
                       .rows = slice_.count,
                       .data = data,
                       .writes = replica_ == 0};
  };
  return {latents("pooled_sums", sums_.data()), latents("pooled_squares", squares_.data()),
          TensorSlice{.name = "pooled_snippets",
                      .dtype = Dtype::kI64,
                      .shape = {kSnippetGroups},
                      .rows = kSnippetGroups,
                      .data = snippets_.data(),
                      .writes = replica_ == 0 && slice_.first == 0}};
}

PooledTotals PooledMoments::totals(Grid& grid, int virtual_shards) {
  Stream stream;
  // The first replica has them; nothing added to something is something.
  Communicator& replicas = *grid.data;
  all_reduce(replicas, sums_.view(), ReduceOp::kSum, stream);
  all_reduce(replicas, squares_.view(), ReduceOp::kSum, stream);
  all_reduce(replicas, snippets_.view(), ReduceOp::kSum, stream);
  std::vector<int64_t> counts = latents_per_shard(latents_, grid.dictionary->size(), virtual_shards);
  for (int64_t& count : counts) count *= kSnippetGroups;
  const auto whole = [&](const Tensor<double, 2>& own) {
    return gather_latents(std::vector<double>(own.data(), own.data() + slice_.count * kSnippetGroups), counts,
                          *grid.dictionary);
  };
  PooledTotals totals{.latents = latents_, .sums = whole(sums_), .squares = whole(squares_)};
  totals.snippets.assign(snippets_.data(), snippets_.data() + kSnippetGroups);
  after_load();
  return totals;
}

}  // namespace orthant::sae
