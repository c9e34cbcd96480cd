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

int64_t candidates_bytes(int64_t k) {
  if (k == 0) return 0;
  const int64_t room = RowCandidates::room_for(k);
  return aligned(kEncodeRows * room * 8) + aligned(kEncodeRows * room * 4) + aligned(room * 8) +
         aligned(kEncodeRows * 8) + aligned(kEncodeRows * 4);
}

RowCandidates take_candidates(std::byte*& cursor, int64_t k) {
  if (k == 0) return {};
  const int64_t room = RowCandidates::room_for(k);
  return {.room = room,
          .keys = take<int64_t>(cursor, kEncodeRows * room),
          .values = take<float>(cursor, kEncodeRows * room),
          .counts = take<int64_t>(cursor, kEncodeRows),
          .thresholds = take<float>(cursor, kEncodeRows),
          .spare = take<int64_t>(cursor, room)};
}

}  // namespace

int64_t EncodeScratch::bytes(int64_t k, int64_t depth, int64_t k_beside) {
  return aligned(kEncodeRows * depth * 4) + aligned(kEncodeRows * kEncodeColumns * 4) +
         candidates_bytes(std::max<int64_t>(k, 1)) + candidates_bytes(k_beside);
}

EncodeScratch::EncodeScratch(const EncodeWorkspace& workspace, int thread) {
  std::byte* cursor = workspace.of_thread(thread);
  strips = take<float>(cursor, kEncodeRows * workspace.depth());
  tile = take<float>(cursor, kEncodeRows * kEncodeColumns);
  selected = take_candidates(cursor, std::max<int64_t>(workspace.k(), 1));
  beside = take_candidates(cursor, workspace.k_beside());
}

EncodeWorkspace::EncodeWorkspace(Memory& memory, int threads, int64_t k, int64_t depth, int64_t k_beside)
    : threads_(threads),
      k_(k),
      k_beside_(k_beside),
      depth_(depth),
      bytes_per_thread_(EncodeScratch::bytes(k, depth, k_beside)),
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
  if (args.beside != nullptr) {
    require(args.beside->k() <= workspace.k_beside(),
            "the workspace of an encode has room for what is beside");
    require(
        args.beside->counts.shape[0] >= args.input.shape[0] && args.beside->eligible.shape[0] * 64 >= latents,
        "what is beside has all rows and latents");
  }
  require(args.latent_numbers.shape[0] == 0 || args.latent_numbers.shape[0] == latents,
          "latent_numbers has one element a latent");
}

}  // namespace orthant::kernels
