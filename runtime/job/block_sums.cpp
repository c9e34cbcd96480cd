#include "runtime/job/block_sums.h"

#include <algorithm>

namespace orthant {

BlockSums::BlockSums(std::string name, int64_t sums, int rank)
    : name_(std::move(name)),
      writes_(rank == 0),
      own_(static_cast<size_t>(sums), 0.0),
      total_(static_cast<size_t>(sums), 0.0) {}

void BlockSums::add(Communicator& ranks) {
  Stream stream;
  of_ranks_.resize(own_.size() * static_cast<size_t>(ranks.size()));
  ranks.all_gather(own_.data(), of_ranks_.data(), static_cast<int64_t>(own_.size()), Dtype::kF64, stream);
  for (size_t i = 0; i < of_ranks_.size(); ++i) total_[i % total_.size()] += of_ranks_[i];
  std::fill(own_.begin(), own_.end(), 0.0);
}

std::vector<TensorSlice> BlockSums::state() {
  const auto count = static_cast<int64_t>(total_.size());
  return {{.name = name_,
           .dtype = Dtype::kF64,
           .shape = {count},
           .rows = count,
           .data = total_.data(),
           .writes = writes_}};
}

}  // namespace orthant
