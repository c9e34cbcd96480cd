#include "sae/training/replica_exchange.h"

#include "runtime/core/error.h"

namespace orthant::sae {

std::span<const int64_t> ReplicaExchange::row_counts(int64_t width) {
  for (int r = 0; r < replicas_->size(); ++r) {
    counts_[static_cast<size_t>(r)] = share_of(rows_, replicas_->size(), r).count * width;
  }
  return counts_;
}

void ReplicaExchange::gather_rows(Matrix<float> all, Stream& stream) {
  if (replicas_->size() == 1) return;
  replicas_->all_gather_uneven(all.row(own_rows().first), all.data, row_counts(all.shape[1]), Dtype::kF32,
                               stream);
}

void ReplicaExchange::gather_values(Vector<double> all, Stream& stream) {
  if (replicas_->size() == 1) return;
  replicas_->all_gather_uneven(all.data + own_rows().first, all.data, row_counts(1), Dtype::kF64, stream);
}

ReplicaExchange::GatheredCodes ReplicaExchange::gather_codes(kernels::CodesView own,
                                                             Vector<const float> own_gradients,
                                                             kernels::CodesView all,
                                                             Vector<float> all_gradients, Stream& stream) {
  if (replicas_->size() == 1) return {own, own_gradients};
  // Lengths of the rows first; their sums are the offsets and the counts of what follows.
  const Share rows = own_rows();
  int64_t* offsets = all.row_offsets.data;
  for (int64_t r = 0; r < rows.count; ++r) {
    offsets[1 + rows.first + r] = own.row_offsets.data[r + 1] - own.row_offsets.data[r];
  }
  replicas_->all_gather_uneven(offsets + 1 + rows.first, offsets + 1, row_counts(1), Dtype::kI64, stream);
  offsets[0] = 0;
  for (int64_t r = 0; r < rows_; ++r) offsets[r + 1] += offsets[r];
  require(offsets[rows_] <= all.capacity(), "the codes of all replicas fit");
  for (int q = 0; q < replicas_->size(); ++q) {
    const Share share = share_of(rows_, replicas_->size(), q);
    counts_[static_cast<size_t>(q)] = offsets[share.end()] - offsets[share.first];
  }
  const int64_t first = own.row_offsets.data[0];
  replicas_->all_gather_uneven(own.latents.data + first, all.latents.data, counts_, Dtype::kI32, stream);
  replicas_->all_gather_uneven(own.values.data + first, all.values.data, counts_, Dtype::kF32, stream);
  replicas_->all_gather_uneven(own_gradients.data + first, all_gradients.data, counts_, Dtype::kF32, stream);
  all.row_offsets.shape[0] = rows_ + 1;
  return {all, all_gradients};
}

}  // namespace orthant::sae
