#include "sae/dictionary/reconstruction.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/dense/elementwise.h"
#include "kernels/dense/ordered_sums.h"
#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

// Parts in which a sum over latents is formed when the order is not fixed across worlds: enough for the
// threads of a CPU, or for a device, where a block works on a part.
int64_t fast_parts(int64_t latents, Device device) {
  constexpr int64_t kMostBlocks = 512, kLatentsOfABlock = 32;
  if (device == kCpu) return 12;
  return std::clamp<int64_t>(latents / kLatentsOfABlock, 1, kMostBlocks);
}

void add_bias(Vector<const float> bias, Matrix<float> out, Stream& stream) {
  if (bias.shape[0] > 0) kernels::add_row(out, bias, out, stream);
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
  local_parts_ =
      virtual_shards > 0 ? virtual_shards / shards.size() : fast_parts(slice_.count, memory.device());
  part_codes_ = kernels::Codes(memory, local_parts_, slice_.count);
  const int64_t block = virtual_shards > 0 ? kOrderedRowBlock : 1;
  parts_ = Tensor<float, 2>(memory, "reconstruction", {local_parts_, block * d_model});
  part_sums_ = Tensor<double, 1>(memory, "reconstruction", {local_parts_});
  part_sums_on_host_ = HostCopy(memory.working_device(), part_sums_.view().bytes());
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
    if (!alone) add_bias(bias, out, stream);
    return;
  }
  for (int64_t first = 0; first < out.shape[0]; first += kOrderedRowBlock) {
    const int64_t rows = std::min(kOrderedRowBlock, out.shape[0] - first);
    const Matrix<float> parts{parts_.data(), {local_parts_, rows * d_model_}, out.device};
    for (int64_t p = 0; p < local_parts_; ++p) {
      const Share part = local_part(p);
      kernels::decode(codes.row_range(first, rows), slice_.first + part.first,
                      decoder.rows(part.first, part.count), DecodeStart::kZero, {},
                      {parts.row(p), {rows, d_model_}, out.device}, stream);
    }
    ordered_sum_->all_reduce(parts, {out.row(first), {rows * d_model_}, out.device}, stream);
  }
  add_bias(bias, out, stream);
}

void ShardSum::prepare_parts(Stream& stream) {
  if (parts_prepared_) return;
  shards_->wait(stream);
  std::vector<int64_t> offsets(static_cast<size_t>(local_parts_ + 1), 0);
  for (int64_t p = 0; p < local_parts_; ++p) offsets[static_cast<size_t>(p + 1)] = local_part(p).end();
  std::vector<int32_t> latents(static_cast<size_t>(slice_.count));
  std::iota(latents.begin(), latents.end(), 0);
  const kernels::CodesView codes = part_codes_.view();
  copy_bytes(codes.row_offsets.data, codes.row_offsets.device, offsets.data(), kCpu,
             codes.row_offsets.bytes());
  copy_bytes(codes.latents.data, codes.latents.device, latents.data(), kCpu, codes.latents.bytes());
  parts_prepared_ = true;
}

void ShardSum::weighted_rows(Vector<const float> weights, Matrix<const float> rows, Vector<float> out,
                             Stream& stream) {
  // A weighted sum of rows is a decode of one code row a part.
  prepare_parts(stream);
  const kernels::CodesView codes = part_codes_.view();
  kernels::copy(weights, codes.values, stream);
  const Matrix<float> parts{parts_.data(), {local_parts_, d_model_}, parts_.view().device};
  kernels::decode(codes, 0, rows, kernels::DecodeStart::kZero, {}, parts, stream);
  if (ordered_sum_) {
    ordered_sum_->all_reduce(parts, out, stream);
    return;
  }
  kernels::sum_of_rows(parts, out, stream);
  all_reduce(*shards_, out, ReduceOp::kSum, stream);
}

double ShardSum::total(Vector<const double> values, Stream& stream) {
  prepare_parts(stream);
  kernels::segment_sums(values, part_codes_.view().row_offsets, part_sums_.view(), stream);
  shards_->wait(stream);
  const std::span<const double> parts = part_sums_on_host_.of(part_sums_.view(), stream).span();
  if (ordered_sum_) return ordered_sum_->total(parts, stream);
  double sum = 0.0;
  for (const double part : parts) sum += part;
  shards_->all_reduce(&sum, 1, Dtype::kF64, ReduceOp::kSum, stream);
  return sum;
}

}  // namespace orthant::sae
