#include "sae/dictionary/reconstruction.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

// Parts in which a sum over latents is formed when the order is not fixed across worlds: enough for the
// threads.
constexpr int64_t kFastParts = 12;

void add_bias(Vector<const float> bias, Matrix<float> out) {
  if (bias.shape[0] == 0) return;
#pragma omp parallel for
  for (int64_t r = 0; r < out.shape[0]; ++r) {
    float* row = out.row(r);
    for (int64_t c = 0; c < out.shape[1]; ++c) row[c] += bias.data[c];
  }
}

}  // namespace

Share latent_slice(int64_t latents, int shards, int index, int virtual_shards) {
  if (virtual_shards == 0) return share_of(latents, shards, index);
  const Share parts = share_of(virtual_shards, shards, index);
  const int64_t first = share_of(latents, virtual_shards, parts.first).first;
  const int64_t end = share_of(latents, virtual_shards, parts.end() - 1).end();
  return {first, end - first};
}

ShardSum::ShardSum(Memory& memory, int64_t latents, int64_t d_model, Communicator& shards, int virtual_shards)
    : latents_(latents), d_model_(d_model), shards_(&shards), virtual_shards_(virtual_shards) {
  if (virtual_shards > 0 && !deals_evenly(virtual_shards, shards.size())) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("{} latent shards do not divide train.virtual_shards = {}",
                                        shards.size(), virtual_shards),
                 .why = "--deterministic forms every sum over a fixed number of parts",
                 .suggestion = "Set train.virtual_shards to a multiple of mesh.dictionary."});
  }
  slice_ = latent_slice(latents, shards.size(), shards.rank(), virtual_shards);
  local_parts_ = virtual_shards > 0 ? virtual_shards / shards.size() : kFastParts;
  part_codes_ = kernels::Codes(memory, local_parts_, slice_.count);
  const int64_t block = virtual_shards > 0 ? kOrderedRowBlock : 1;
  parts_ = Tensor<float, 2>(memory, "reconstruction", {local_parts_, block * d_model});
  part_sums_ = Tensor<double, 1>(memory, "reconstruction", {local_parts_});
  if (virtual_shards > 0) {
    ordered_sum_.emplace(memory, "reconstruction", block * d_model, virtual_shards, shards);
  }
}

Share ShardSum::local_part(int64_t index) const {
  if (virtual_shards_ == 0) return share_of(slice_.count, local_parts_, index);
  const int64_t first_part = share_of(virtual_shards_, shards_->size(), shards_->rank()).first;
  Share part = share_of(latents_, virtual_shards_, first_part + index);
  part.first -= slice_.first;
  return part;
}

void ShardSum::decode(kernels::CodesView codes, Matrix<const float> decoder, Vector<const float> bias,
                      Matrix<float> out, Stream& stream) {
  using kernels::DecodeStart;
  if (virtual_shards_ == 0) {
    const bool alone = shards_->size() == 1 && bias.shape[0] != 0;
    kernels::decode(codes, slice_.first, decoder, alone ? DecodeStart::kBias : DecodeStart::kZero, bias, out,
                    stream);
    if (shards_->size() > 1) all_reduce(*shards_, out, ReduceOp::kSum, stream);
    if (!alone) add_bias(bias, out);
    return;
  }
  for (int64_t first = 0; first < out.shape[0]; first += kOrderedRowBlock) {
    const int64_t rows = std::min(kOrderedRowBlock, out.shape[0] - first);
    View<float, 2> parts{parts_.data(), {local_parts_, rows * d_model_}};
    for (int64_t p = 0; p < local_parts_; ++p) {
      const Share part = local_part(p);
      kernels::decode(codes.row_range(first, rows), slice_.first + part.first,
                      decoder.rows(part.first, part.count), DecodeStart::kZero, {},
                      Matrix<float>{parts.row(p), {rows, d_model_}}, stream);
    }
    ordered_sum_->all_reduce(parts, Vector<float>{out.row(first), {rows * d_model_}}, stream);
  }
  add_bias(bias, out);
}

void ShardSum::weighted_rows(Vector<const float> weights, Matrix<const float> rows, Vector<float> out,
                             Stream& stream) {
  // A weighted sum of rows is a decode of one code row a part.
  kernels::CodesView codes = part_codes_.view();
  codes.row_offsets.data[0] = 0;
  for (int64_t p = 0; p < local_parts_; ++p)
    codes.row_offsets.data[p + 1] = local_part(p).first + local_part(p).count;
  for (int64_t i = 0; i < slice_.count; ++i) {
    codes.latents.data[i] = static_cast<int32_t>(i);
    codes.values.data[i] = weights.data[i];
  }
  View<float, 2> parts{parts_.data(), {local_parts_, d_model_}};
  kernels::decode(codes, 0, rows, kernels::DecodeStart::kZero, {}, parts, stream);
  if (ordered_sum_) {
    ordered_sum_->all_reduce(parts, out, stream);
    return;
  }
  for (int64_t c = 0; c < d_model_; ++c) {
    float sum = 0.0f;
    for (int64_t p = 0; p < local_parts_; ++p) sum += parts.row(p)[c];
    out.data[c] = sum;
  }
  all_reduce(*shards_, out, ReduceOp::kSum, stream);
}

double ShardSum::total(Vector<const double> values, Stream& stream) {
  part_sums_.zero();
  for (int64_t p = 0; p < local_parts_; ++p) {
    const Share part = local_part(p);
    for (int64_t i = part.first; i < part.end(); ++i) part_sums_.data()[p] += values.data[i];
  }
  if (ordered_sum_) return ordered_sum_->total(part_sums_.view().span(), stream);
  double sum = 0.0;
  for (const double part : part_sums_.view().span()) sum += part;
  shards_->all_reduce(&sum, 1, Dtype::kF64, ReduceOp::kSum, stream);
  return sum;
}

}  // namespace orthant::sae
