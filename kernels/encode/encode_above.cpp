#include <omp.h>

#include <algorithm>

#include "kernels/encode/encode.h"
#include "kernels/encode/encode_beside.h"
#include "kernels/encode/encode_block.h"
#include "kernels/encode/encode_cuda.h"
#include "kernels/isa/isa.h"

namespace orthant::kernels {
namespace {

// Where the entries of one row go: as many as there is room for, all of them counted.
struct RowSink {
  int32_t* latents;
  float* values;
  int64_t room;
};

// All entries above the thresholds of each row of one block.
class AboveOfBlock {
 public:
  AboveOfBlock(const EncodeArgs& args, const FilterOps& filter, float threshold,
               Vector<const float> thresholds, const EncodeBlock& block, const EncodeScratch& scratch)
      : args_(args),
        filter_(filter),
        threshold_(threshold),
        thresholds_(thresholds),
        block_(block),
        pending_(scratch.pending) {}

  // counts[r] = entries of row r of the block; sink(r) says where they go; also(r, row, first latent) sees
  // every tile.
  template <typename SinkOf, typename Also>
  void run(int64_t* counts, const SinkOf& sink_of, const Also& also) const {
    std::fill_n(counts, block_.rows(), 0);
    std::fill_n(pending_.counts, block_.rows(), 0);
    block_.each_row_of_each_tile([&](int64_t r, FilterRow& row, int64_t first_latent) {
      uint64_t words[kTileWords];
      row.threshold = threshold_;
      if (thresholds_.shape[0] > 0) row.thresholds = thresholds_.data + first_latent;
      filter_.above(row, words);
      if (block_.screen() == nullptr) {
        take(row, words, sink_of(r), counts[r],
             [&](int64_t i) { return latent_number(args_, first_latent + i); });
      } else {
        suspect(r, row, words, first_latent);
        settle(r, PendingLatents::kTogether, sink_of(r), counts[r]);
      }
      also(r, row, first_latent);
    });
    for (int64_t r = 0; r < block_.rows() && block_.screen() != nullptr; ++r)
      settle(r, 1, sink_of(r), counts[r]);
  }

 private:
  template <typename LatentAt>
  void take(const FilterRow& row, const uint64_t* words, const RowSink& sink, int64_t& total,
            const LatentAt& latent_at) const {
    int64_t count = total;
    each_set_bit(words, row.count, [&](int64_t i) {
      if (count < sink.room) {
        sink.latents[count] = latent_at(i);
        sink.values[count] = activation_of(row, i);
      }
      ++count;
    });
    total = count;
  }

  // Keeps the latents that the screen left until their products are formed.
  void suspect(int64_t r, const FilterRow& row, const uint64_t* words, int64_t first_latent) const {
    int32_t* const latents = pending_.latents + r * PendingLatents::kRoom;
    int32_t count = pending_.counts[r];
    each_set_bit(words, row.count,
                 [&](int64_t i) { latents[count++] = static_cast<int32_t>(first_latent + i); });
    pending_.counts[r] = count;
  }

  // Takes those of the waiting latents of row r that are above, while at least `least` wait.
  void settle(int64_t r, int32_t least, const RowSink& sink, int64_t& total) const {
    constexpr int32_t kTogether = PendingLatents::kTogether;
    int32_t* const latents = pending_.latents + r * PendingLatents::kRoom;
    int32_t done = 0;
    for (; pending_.counts[r] - done >= least; done += std::min(kTogether, pending_.counts[r] - done)) {
      settle_together(r, latents + done, std::min(kTogether, pending_.counts[r] - done), sink, total);
    }
    std::copy(latents + done, latents + pending_.counts[r], latents);
    pending_.counts[r] -= done;
  }

  void settle_together(int64_t r, const int32_t* latents, int32_t count, const RowSink& sink,
                       int64_t& total) const {
    float products[PendingLatents::kTogether], bias[PendingLatents::kTogether],
        scale[PendingLatents::kTogether], thresholds[PendingLatents::kTogether];
    block_.screen()->products(r, latents, count, products);
    const auto chosen = [&](Vector<const float> from, float* into) -> const float* {
      if (from.shape[0] == 0) return nullptr;
      for (int32_t i = 0; i < count; ++i) into[i] = from.data[latents[i]];
      return into;
    };
    const FilterRow row = {.products = products,
                           .count = count,
                           .bias = chosen(args_.bias, bias),
                           .scale = chosen(args_.selection_scale, scale),
                           .thresholds = chosen(thresholds_, thresholds),
                           .threshold = threshold_};
    uint64_t words[1];
    filter_.above(row, words);
    take(row, words, sink, total, [&](int64_t i) { return latent_number(args_, latents[i]); });
  }

  const EncodeArgs& args_;
  const FilterOps& filter_;
  const float threshold_;
  const Vector<const float> thresholds_;
  const EncodeBlock& block_;
  const PendingLatents pending_;
};

// The scratch of a block as sinks: the room of the keys holds latents.
RowSink scratch_sink(const EncodeScratch& scratch, int64_t row) {
  const RowCandidates& selected = scratch.selected;
  return {.latents = reinterpret_cast<int32_t*>(selected.keys + row * selected.room),
          .values = selected.values + row * selected.room,
          .room = selected.room};
}

// Copies the entries of all rows of the block to their places; false where a row had more than its scratch
// holds.
bool copy_from_scratch(const EncodeScratch& scratch, int64_t first_row, int64_t rows, CodesView out) {
  const int64_t* const counts = scratch.selected.counts;
  if (*std::max_element(counts, counts + rows) > scratch.selected.room) return false;
  for (int64_t r = 0; r < rows; ++r) {
    const RowSink sink = scratch_sink(scratch, r);
    const int64_t to = out.row_offsets.data[first_row + r];
    std::copy_n(sink.latents, counts[r], out.latents.data + to);
    std::copy_n(sink.values, counts[r], out.values.data + to);
  }
  return true;
}

}  // namespace

int64_t encode_above(const EncodeArgs& args, float threshold, Vector<const float> thresholds,
                     EncodeWorkspace& workspace, CodesView out, Stream& stream) {
  return encode_above(args, threshold, thresholds, workspace, out, active_isa(), stream);
}

int64_t encode_above(const EncodeArgs& args, float threshold, Vector<const float> thresholds,
                     EncodeWorkspace& workspace, CodesView out, Isa isa, Stream& stream) {
  check_encode(args, workspace, out);
  require(threshold >= 0.0f, "the threshold of an encode is not negative");
  require(thresholds.shape[0] == 0 || thresholds.shape[0] == args.local_latents(),
          "thresholds has one element a latent");
  if (args.input.device.kind == DeviceKind::kCuda) {
    return cuda::encode_above(args, args.encoder->dense(), threshold, thresholds, workspace.on_cuda(), out,
                              stream);
  }
  const int64_t rows = args.input.shape[0];
  const int threads = encode_threads(workspace);
  const int64_t block_rows = encode_block_rows(args, threads, isa);
  int64_t* const offsets = out.row_offsets.data;
  offsets[0] = 0;
#pragma omp parallel for ordered schedule(dynamic, 1) num_threads(threads)
  for (int64_t first = 0; first < rows; first += block_rows) {
    const EncodeScratch scratch(workspace, omp_get_thread_num());
    const EncodeBlock block(args, isa, first, std::min(block_rows, rows - first), scratch);
    const AboveOfBlock selection(args, filter_ops(isa), threshold, thresholds, block, scratch);
    const BesideOfBlock beside(args, filter_ops(isa), block, scratch.beside);
    int64_t* const counts = scratch.selected.counts;
    beside.start(block.rows());
    selection.run(
        counts, [&](int64_t r) { return scratch_sink(scratch, r); },
        [&](int64_t r, FilterRow& row, int64_t latent) { beside.collect(r, row, latent); });
    beside.emit(first, block.rows());
    // Where the block starts is known when all blocks before it have been counted; only this waits.
#pragma omp ordered
    for (int64_t r = 0; r < block.rows(); ++r) offsets[first + r + 1] = offsets[first + r] + counts[r];
    if (offsets[first + block.rows()] > out.capacity()) continue;
    if (copy_from_scratch(scratch, first, block.rows(), out)) continue;
    // A row outgrew its scratch, but now its place is known: once more, straight to it.
    selection.run(
        counts,
        [&](int64_t r) {
          const int64_t to = offsets[first + r];
          return RowSink{out.latents.data + to, out.values.data + to, offsets[first + r + 1] - to};
        },
        [](int64_t, FilterRow&, int64_t) {});
  }
  return offsets[rows];
}

}  // namespace orthant::kernels
