#include <omp.h>

#include <algorithm>

#include "kernels/encode.h"
#include "kernels/encode_beside.h"
#include "kernels/encode_block.h"
#include "kernels/gemm_plan.h"
#include "kernels/isa.h"

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
               Vector<const float> thresholds)
      : args_(args), filter_(filter), threshold_(threshold), thresholds_(thresholds) {}

  // counts[r] = entries of row r of the block; sink(r) says where they go; then also(r, row, first latent).
  template <typename SinkOf, typename Also>
  void run(const EncodeBlock& block, int64_t* counts, const SinkOf& sink_of, const Also& also) const {
    std::fill_n(counts, block.rows(), 0);
    block.each_row_of_each_tile([&](int64_t r, FilterRow& row, int64_t first_latent) {
      uint64_t words[kTileWords];
      row.threshold = threshold_;
      if (thresholds_.shape[0] > 0) row.thresholds = thresholds_.data + first_latent;
      filter_.above(row, words);
      const RowSink sink = sink_of(r);
      int64_t count = counts[r];
      each_set_bit(words, row.count, [&](int64_t i) {
        if (count < sink.room) {
          sink.latents[count] = latent_number(args_, first_latent + i);
          sink.values[count] = activation_of(row, i);
        }
        ++count;
      });
      counts[r] = count;
      also(r, row, first_latent);
    });
  }

 private:
  const EncodeArgs& args_;
  const FilterOps& filter_;
  const float threshold_;
  const Vector<const float> thresholds_;
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
                     EncodeWorkspace& workspace, CodesView out, Isa isa, Stream&) {
  check_encode(args, workspace, out);
  require(threshold >= 0.0f, "the threshold of an encode is not negative");
  require(thresholds.shape[0] == 0 || thresholds.shape[0] == args.encoder->columns(),
          "thresholds has one element a latent");
  const int64_t rows = args.input.shape[0];
  const int threads = encode_threads(workspace);
  const int64_t block_rows = block_rows_of(rows, threads, gemm_ops(isa).strip_rows, kEncodeRows);
  const AboveOfBlock selection(args, filter_ops(isa), threshold, thresholds);
  int64_t* const offsets = out.row_offsets.data;
  offsets[0] = 0;
#pragma omp parallel for ordered schedule(dynamic, 1) num_threads(threads)
  for (int64_t first = 0; first < rows; first += block_rows) {
    const EncodeScratch scratch(workspace, omp_get_thread_num());
    const BesideOfBlock beside(args, filter_ops(isa), scratch.beside);
    int64_t* const counts = scratch.selected.counts;
    const EncodeBlock block(args, isa, first, std::min(block_rows, rows - first), scratch);
    beside.start(block.rows());
    selection.run(
        block, counts, [&](int64_t r) { return scratch_sink(scratch, r); },
        [&](int64_t r, FilterRow& row, int64_t latent) { beside.collect(r, row, latent); });
    beside.emit(first, block.rows());
    // Where the block starts is known when all blocks before it have been counted; only this waits.
#pragma omp ordered
    for (int64_t r = 0; r < block.rows(); ++r) offsets[first + r + 1] = offsets[first + r] + counts[r];
    if (offsets[first + block.rows()] > out.capacity()) continue;
    if (copy_from_scratch(scratch, first, block.rows(), out)) continue;
    // A row outgrew its scratch, but now its place is known: once more, straight to it.
    selection.run(
        block, counts,
        [&](int64_t r) {
          const int64_t to = offsets[first + r];
          return RowSink{out.latents.data + to, out.values.data + to, offsets[first + r + 1] - to};
        },
        [](int64_t, FilterRow&, int64_t) {});
  }
  return offsets[rows];
}

}  // namespace orthant::kernels
