// Rows of a batch on a device in blocks: while what a block of rows gave travels between the shards in a lane
// of its own, the next block is encoded in the main stream.
//
// Two blocks are in the works at a time, so there is room for the codes of two. Memory is allocated at
// construction. Main thread only; not Collective by itself.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "kernels/codes/codes.h"
#include "runtime/core/share.h"
#include "runtime/device/lane.h"

namespace orthant::sae {

class ExchangePipeline {
 public:
  // Never overlaps anything.
  ExchangePipeline() = default;
  // Blocks of `block_rows` rows of at most `row_entries` codes.
  ExchangePipeline(Memory& memory, int64_t block_rows, int64_t row_entries);

  // Whether a batch of so many rows is cut into blocks.
  [[nodiscard]] bool overlaps(int64_t rows) const { return block_rows_ > 0 && rows > block_rows_; }

  // Work on the rows `rows` of the batch, whose codes are `codes`.
  using Work = std::function<void(Share rows, kernels::CodesView codes, Stream& stream)>;
  // For each block in order encode(), which writes the codes, in `main`, then exchange() in the lane. The
  // host calls encode() of the next block first, so that exchange() may wait. What is put on `main`
  // afterwards starts when all is done.
  void run(int64_t rows, const Work& encode, const Work& exchange, Stream& main);

 private:
  struct Part {
    kernels::Codes codes;
    Event encoded;  // in the main stream
    Event taken;    // in the lane: the codes may be written again
  };
  [[nodiscard]] Part& part_of(int64_t block) { return parts_[static_cast<size_t>(block % 2)]; }
  int64_t block_rows_ = 0;
  std::array<Part, 2> parts_;
  Lane lane_;
};

}  // namespace orthant::sae
