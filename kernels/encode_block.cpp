#include "kernels/encode_block.h"

#include <omp.h>

#include <algorithm>

#include "kernels/gemm_plan.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kAlignment = 64;

int64_t aligned(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

template <typename T>
T* take(std::byte*& cursor, int64_t count) {
  T* const start = reinterpret_cast<T*>(cursor);
  cursor += aligned(count * static_cast<int64_t>(sizeof(T)));
  return start;
}

}  // namespace

int64_t EncodeScratch::bytes(int64_t k, int64_t depth) {
  const int64_t room = candidates_for(k);
  return aligned(kEncodeRows * depth * 4) + aligned(kEncodeRows * kEncodeColumns * 4) +
         aligned(kEncodeRows * room * 8) + aligned(kEncodeRows * room * 4) + aligned(room * 8) +
         aligned(kEncodeRows * 8) + aligned(kEncodeRows * 4);
}

EncodeScratch::EncodeScratch(std::byte* start, int64_t k, int64_t depth) : candidates(candidates_for(k)) {
  strips = take<float>(start, kEncodeRows * depth);
  tile = take<float>(start, kEncodeRows * kEncodeColumns);
  keys = take<int64_t>(start, kEncodeRows * candidates);
  values = take<float>(start, kEncodeRows * candidates);
  spare = take<int64_t>(start, candidates);
  counts = take<int64_t>(start, kEncodeRows);
  thresholds = take<float>(start, kEncodeRows);
}

EncodeWorkspace::EncodeWorkspace(Memory& memory, int threads, int64_t k, int64_t depth)
    : threads_(threads),
      k_(k),
      depth_(depth),
      bytes_per_thread_(EncodeScratch::bytes(k, depth)),
      buffer_(memory.allocate("workspace", bytes_per_thread_ * threads)) {}

EncodeBlock::EncodeBlock(const EncodeArgs& args, Isa isa, int64_t first_row, int64_t rows,
                         const EncodeScratch& scratch)
    : args_(args),
      rows_(gemm_ops(isa), rows, depth_part_of(args.encoder->depth(), rows, gemm_ops(isa).strip_rows),
            args.encoder->precision(), scratch.strips),
      scratch_(scratch) {
  const int64_t depth = args.encoder->depth();
  rows_.pack(args.input.row(first_row), depth, 0, depth);
}

void EncodeBlock::multiply(int64_t first_latent) const {
  constexpr int64_t kPanel = PackedWeights::kPanel;
  const int64_t first_panel = first_latent / kPanel;
  const Sums tile = {scratch_.tile, kEncodeColumns};
  rows_.multiply(*args_.encoder, first_panel,
                 std::min(kEncodeColumns / kPanel, args_.encoder->panels() - first_panel), Sums{}, tile,
                 tile);
}

FilterRow EncodeBlock::filter_of(int64_t first_latent, int64_t latents) const {
  const auto from = [&](Vector<const float> vector) {
    return vector.shape[0] == 0 ? nullptr : vector.data + first_latent;
  };
  return {.products = scratch_.tile,
          .count = latents,
          .bias = from(args_.bias),
          .scale = from(args_.selection_scale),
          .thresholds = nullptr,
          .threshold = 0.0f};
}

int encode_threads(const EncodeWorkspace& workspace) {
  return std::min(workspace.threads(), omp_get_max_threads());
}

void check_encode(const EncodeArgs& args, const EncodeWorkspace& workspace, CodesView out) {
  require(args.encoder != nullptr && args.input.shape[1] == args.encoder->depth(),
          "input has the encoder's depth");
  require(args.encoder->depth() <= workspace.depth(), "the workspace of an encode has room for the depth");
  require(out.rows() == args.input.shape[0], "codes have one row for each input row");
  const int64_t latents = args.encoder->columns();
  for (const Vector<const float> vector : {args.bias, args.selection_scale}) {
    require(vector.shape[0] == 0 || vector.shape[0] == latents, "bias and scale have one element a latent");
  }
  require(args.latent_numbers.shape[0] == 0 || args.latent_numbers.shape[0] == latents,
          "latent_numbers has one element a latent");
}

}  // namespace orthant::kernels
