#include "kernels/encode/encode_block.h"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "kernels/dense/gemm_plan.h"
#include "runtime/core/dtype.h"

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

// Tiles of a screen are half as large as strips, but padded.
int64_t strips_bytes(int64_t depth) {
  return std::max(depth * 4, (depth + kScreenDepth - 1) / kScreenDepth * kScreenDepth * 2) * kEncodeRows;
}

}  // namespace

int64_t EncodeScratch::bytes(int64_t k, int64_t depth, int64_t k_beside) {
  return aligned(strips_bytes(depth)) + aligned(kEncodeRows * kEncodeColumns * 4) +
         aligned(kEncodeRows * static_cast<int64_t>(sizeof(ScreenMargin))) +
         aligned(kEncodeRows * PendingLatents::kRoom * 4) + aligned(kEncodeRows * 4) +
         candidates_bytes(std::max<int64_t>(k, 1)) + candidates_bytes(k_beside);
}

EncodeScratch::EncodeScratch(const EncodeWorkspace& workspace, int thread) {
  std::byte* cursor = workspace.of_thread(thread);
  strips = take<float>(cursor, strips_bytes(workspace.depth()) / 4);
  tile = take<float>(cursor, kEncodeRows * kEncodeColumns);
  margins = take<ScreenMargin>(cursor, kEncodeRows);
  pending = {.latents = take<int32_t>(cursor, kEncodeRows * PendingLatents::kRoom),
             .counts = take<int32_t>(cursor, kEncodeRows)};
  selected = take_candidates(cursor, std::max<int64_t>(workspace.k(), 1));
  beside = take_candidates(cursor, workspace.k_beside());
}

namespace {

int64_t bytes_per_thread(const Memory& memory, int64_t k, int64_t depth, int64_t k_beside) {
  if (memory.device().kind == DeviceKind::kCuda) return cuda::EncodeScratch::bytes({}, k, depth, k_beside);
  return EncodeScratch::bytes(k, depth, k_beside);
}

}  // namespace

EncodeWorkspace::EncodeWorkspace(Memory& memory, int threads, int64_t k, int64_t depth, int64_t k_beside)
    : threads_(memory.device().kind == DeviceKind::kCuda ? 1 : threads),
      k_(k),
      k_beside_(k_beside),
      depth_(depth),
      bytes_per_thread_(bytes_per_thread(memory, k, depth, k_beside)),
      buffer_(memory.allocate("workspace", bytes_per_thread_ * threads_)) {}

cuda::EncodeScratch EncodeWorkspace::on_cuda() const {
  return {buffer_.data(), {}, k_, depth_, k_beside_};
}

EncodeBlock::EncodeBlock(const EncodeArgs& args, Isa isa, int64_t first_row, int64_t rows,
                         const EncodeScratch& scratch)
    : args_(args), first_row_(first_row), rows_(rows), scratch_(scratch) {
  if (args.screened != nullptr) {
    screened_.emplace(*args.screened, args.input.rows(first_row, rows), isa,
                      reinterpret_cast<uint16_t*>(scratch.strips), scratch.margins);
    return;
  }
  const GemmOps& ops = gemm_ops(isa);
  const int64_t depth = args.encoder->depth();
  packed_.emplace(ops, rows, depth_part_of(depth, rows, ops.strip_rows), args.encoder->precision(),
                  scratch.strips);
  packed_->pack(args.input.row(first_row), depth, 0, depth);
}

void EncodeBlock::multiply(int64_t first_latent) const {
  if (screened_.has_value()) {
    const int64_t latents = std::min(kEncodeColumns, args_.local_latents() - first_latent);
    return screened_->upper_bounds(first_latent, latents, scratch_.tile, kEncodeColumns);
  }
  constexpr int64_t kPanel = PackedWeights::kPanel;
  const int64_t first_panel = first_latent / kPanel;
  const Sums tile = {scratch_.tile, kEncodeColumns};
  packed_->multiply(*args_.encoder, first_panel,
                    std::min(kEncodeColumns / kPanel, args_.encoder->panels() - first_panel), Sums{}, tile,
                    tile);
}

float EncodeBlock::product(int64_t r, int64_t latent) const {
  float sum = 0.0f;
  if (screened_.has_value()) {
    const auto chosen = static_cast<int32_t>(latent);
    screened_->products(r, &chosen, 1, &sum);
    return sum;
  }
  constexpr int64_t kPanel = PackedWeights::kPanel;
  const float* const weights = args_.encoder->panel(latent / kPanel) + latent % kPanel;
  const float* const input = args_.input.row(first_row_ + r);
  const bool rounds = args_.encoder->precision() == Precision::kBF16;
  for (int64_t k = 0; k < args_.encoder->depth(); ++k) {
    const float value = rounds ? to_f32(to_bf16(input[k])) : input[k];
    sum = std::fma(value, weights[k * kPanel], sum);
  }
  return sum;
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

int64_t encode_block_rows(const EncodeArgs& args, int threads, Isa isa) {
  const int64_t strip = args.screened != nullptr ? kScreenStep : gemm_ops(isa).strip_rows;
  return block_rows_of(args.input.shape[0], threads, strip, kEncodeRows);
}

int encode_threads(const EncodeWorkspace& workspace) {
  return std::min(workspace.threads(), omp_get_max_threads());
}

void check_encode(const EncodeArgs& args, const EncodeWorkspace& workspace, CodesView out) {
  require((args.encoder != nullptr) != (args.screened != nullptr), "an encode has one kind of weights");
  require(args.screened == nullptr || args.input.device.kind == DeviceKind::kCpu,
          "screened weights are of the CPU");
  require(args.input.shape[1] == args.depth(), "input has the encoder's depth");
  require(args.depth() <= workspace.depth(), "the workspace of an encode has room for the depth");
  require(out.rows() == args.input.shape[0], "codes have one row for each input row");
  const int64_t latents = args.local_latents();
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
