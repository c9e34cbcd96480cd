#include "sae/dictionary/exchange_pipeline.h"

#include <algorithm>

namespace orthant::sae {

ExchangePipeline::ExchangePipeline(Memory& memory, int64_t block_rows, int64_t row_entries)
    : block_rows_(block_rows), lane_(memory.working_device()) {
  for (Part& part : parts_) {
    part = {.codes = kernels::Codes(memory, block_rows, block_rows * row_entries),
            .encoded = Event(memory.working_device()),
            .taken = Event(memory.working_device())};
  }
}

void ExchangePipeline::run(int64_t rows, const Work& encode, const Work& exchange, Stream& main) {
  const int64_t blocks = (rows + block_rows_ - 1) / block_rows_;
  const auto rows_of = [&](int64_t block) {
    const int64_t first = block * block_rows_;
    return Share{first, std::min(block_rows_, rows - first)};
  };
  const auto start = [&](int64_t block) {
    Part& part = part_of(block);
    part.taken.hold(main);
    const Share own = rows_of(block);
    encode(own, part.codes.view(own.count), main);
    part.encoded.record(main);
  };
  start(0);
  for (int64_t block = 0; block < blocks; ++block) {
    if (block + 1 < blocks) start(block + 1);
    Part& part = part_of(block);
    part.encoded.hold(lane_.stream());
    const Share own = rows_of(block);
    exchange(own, part.codes.view(own.count), lane_.stream());
    part.taken.record(lane_.stream());
  }
  lane_.join(main);
}

}  // namespace orthant::sae
