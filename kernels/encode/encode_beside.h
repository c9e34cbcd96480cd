// The largest activations among some of the latents, taken beside a selection from the same tiles. Each
// thread works on its own block.
#pragma once

#include <algorithm>

#include "kernels/encode/encode_block.h"
#include "kernels/encode/row_tops.h"

namespace orthant::kernels {

class BesideOfBlock {
 public:
  BesideOfBlock(const EncodeArgs& args, const FilterOps& filter, const EncodeBlock& block,
                const RowCandidates& candidates)
      : wanted_(args.beside),
        tops_(args, filter, block, wanted_ == nullptr ? 0 : wanted_->k(), false, candidates) {}

  void start(int64_t rows) const {
    if (wanted_ != nullptr) tops_.start(rows);
  }

  void collect(int64_t r, const FilterRow& row, int64_t first_latent) const {
    if (wanted_ == nullptr) return;
    const uint64_t* const allowed = wanted_->eligible.data + first_latent / 64;
    const int64_t words = (row.count + 63) / 64;
    if (std::all_of(allowed, allowed + words, [](uint64_t word) { return word == 0; })) return;
    FilterRow by_activation = row;
    by_activation.scale = nullptr;
    by_activation.thresholds = nullptr;
    tops_.collect(r, by_activation, first_latent, allowed);
  }

  void emit(int64_t first_row, int64_t rows) const {
    for (int64_t r = 0; r < rows && wanted_ != nullptr; ++r) {
      const int64_t count = tops_.finish(r), row = first_row + r;
      wanted_->counts.data[row] = static_cast<int32_t>(count);
      std::copy_n(tops_.values(r), count, wanted_->values.row(row));
      for (int64_t i = 0; i < count; ++i) {
        wanted_->latents.row(row)[i] = static_cast<int32_t>(tops_.local_latent(r, i));
      }
    }
  }

 private:
  const TopsBeside* wanted_;
  const RowTops tops_;
};

}  // namespace orthant::kernels
