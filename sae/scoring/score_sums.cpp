#include "sae/scoring/score_sums.h"

#include <algorithm>
#include <limits>

#include "kernels/dense/row_moments.h"
#include "sae/dictionary/shard_encoder.h"
#include "sae/scoring/gather_latents.h"

namespace orthant::sae {
namespace {

constexpr int64_t kNever = -1;

std::vector<double> decoder_norms(const Dictionary& dictionary) {
  std::vector<double> norms(static_cast<size_t>(dictionary.local_latents()));
  Stream stream;
  kernels::row_norms(dictionary.decoder.view(), Vector<double>{norms.data(), {dictionary.local_latents()}},
                     stream, dictionary.sources);
  return norms;
}

}  // namespace

ScoreSums::ScoreSums(Memory& memory, int64_t bits, int64_t latents, Share slice, int replica)
    : latents_(latents),
      slice_(slice),
      replica_(replica),
      values_(memory, "score sums", {slice.count, bits}),
      rows_(memory, "score sums", {bits}),
      fired_(memory, "score sums", {slice.count}),
      max_(memory, "score sums", {slice.count}),
      max_row_(memory, "score sums", {slice.count}) {
  clear();
}

kernels::GroupSums ScoreSums::view() {
  return {values_.view(), rows_.view(), fired_.view(), max_.view(), max_row_.view()};
}

void ScoreSums::add(kernels::CodesView codes, Vector<const uint64_t> masks, int64_t first_row) {
  kernels::add_group_sums(codes, masks, slice_.first, first_row, view());
}

// A checkpoint gives every replica what all had; only the first keeps it.
void ScoreSums::after_load() {
  if (replica_ != 0) clear();
}

void ScoreSums::clear() {
  values_.zero();
  rows_.zero();
  fired_.zero();
  max_.zero();
  std::fill_n(max_row_.data(), slice_.count, kNever);
}

void ScoreSums::merge(Communicator& replicas, int64_t blocks_done) {
  blocks_done_ = blocks_done;
  if (replicas.size() == 1) return;
  Stream stream;
  all_reduce(replicas, values_.view(), ReduceOp::kSum, stream);
  all_reduce(replicas, rows_.view(), ReduceOp::kSum, stream);
  all_reduce(replicas, fired_.view(), ReduceOp::kSum, stream);
  // The first row among those that have the largest value.
  std::vector<float> own_max(max_.data(), max_.data() + slice_.count);
  all_reduce(replicas, max_.view(), ReduceOp::kMax, stream);
  constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  for (int64_t i = 0; i < slice_.count; ++i) {
    int64_t& row = max_row_.data()[i];
    if (row == kNever || own_max[static_cast<size_t>(i)] < max_.data()[i]) row = kNone;
  }
  all_reduce(replicas, max_row_.view(), ReduceOp::kMin, stream);
  for (int64_t& row : max_row_.view().span()) row = row == kNone ? kNever : row;
  after_load();
}

std::vector<TensorSlice> ScoreSums::state() {
  const auto latents = [&](const char* name, void* data, Dtype dtype, std::vector<int64_t> shape) {
    return TensorSlice{.name = name,
                       .dtype = dtype,
                       .shape = std::move(shape),
                       .first_row = slice_.first,
                       .rows = slice_.count,
                       .data = data,
                       .writes = replica_ == 0};
  };
  const auto whole = [&](const char* name, int64_t* data, int64_t count) {
    return TensorSlice{.name = name,
                       .dtype = Dtype::kI64,
                       .shape = {count},
                       .rows = count,
                       .data = data,
                       .writes = replica_ == 0 && slice_.first == 0};
  };
  const int64_t bits = rows_.shape()[0];
  return {latents("sums", values_.data(), Dtype::kF64, {latents_, bits}),
          latents("fired", fired_.data(), Dtype::kI64, {latents_}),
          latents("max", max_.data(), Dtype::kF32, {latents_}),
          latents("max_row", max_row_.data(), Dtype::kI64, {latents_}),
          whole("tokens", rows_.data(), bits),
          whole("blocks_done", &blocks_done_, 1)};
}

LatentTotals ScoreSums::totals(const Dictionary& dictionary, Grid& grid, int virtual_shards) {
  Stream stream;
  // The first replica has them; nothing added to something is something.
  Communicator& replicas = *grid.data;
  all_reduce(replicas, values_.view(), ReduceOp::kSum, stream);
  all_reduce(replicas, rows_.view(), ReduceOp::kSum, stream);
  all_reduce(replicas, fired_.view(), ReduceOp::kSum, stream);
  all_reduce(replicas, max_.view(), ReduceOp::kMax, stream);
  all_reduce(replicas, max_row_.view(), ReduceOp::kMax, stream);

  Communicator& shards = *grid.dictionary;
  const std::vector<int64_t> counts = latents_per_shard(latents_, shards.size(), virtual_shards);
  const std::vector<double> norms = decoder_norms(dictionary);
  const int64_t bits = rows_.shape()[0];
  LatentTotals totals{.groups = bits - 2, .latents = latents_};
  totals.counts.assign(rows_.data(), rows_.data() + bits);
  totals.fired =
      gather_latents(std::vector<int64_t>(fired_.data(), fired_.data() + slice_.count), counts, shards);
  totals.max_row =
      gather_latents(std::vector<int64_t>(max_row_.data(), max_row_.data() + slice_.count), counts, shards);
  std::vector<double> own(static_cast<size_t>(slice_.count));
  for (int64_t i = 0; i < slice_.count; ++i) {
    own[static_cast<size_t>(i)] = max_.data()[i] * norms[static_cast<size_t>(i)];
  }
  totals.max = gather_latents(own, counts, shards);
  totals.decoder_norm = gather_latents(norms, counts, shards);
  for (int64_t bit = 0; bit < bits; ++bit) {
    for (int64_t i = 0; i < slice_.count; ++i) {
      own[static_cast<size_t>(i)] = values_.view().row(i)[bit] * norms[static_cast<size_t>(i)];
    }
    const std::vector<double> all = gather_latents(own, counts, shards);
    totals.sums.insert(totals.sums.end(), all.begin(), all.end());
  }
  after_load();
  return totals;
}

}  // namespace orthant::sae
