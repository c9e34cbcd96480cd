#include "sae/training/replica_exchange.h"

#include "kernels/codes/row_lengths.h"
#include "runtime/core/error.h"
#include "runtime/device/pinned_buffer.h"

namespace orthant::sae {
namespace {

int64_t first_of(Vector<const int64_t> vector, Stream& stream) {
  int64_t value = 0;
  copy_in_order(&value, vector.data, sizeof value, stream);
  return value;
}

}  // namespace

ReplicaExchange::ReplicaExchange(int64_t rows, DataParallel way, Communicator& replicas)
    : rows_(rows), way_(way), replicas_(&replicas), counts_(static_cast<size_t>(replicas.size())) {
  const bool gathers = codes_travel() && replicas.size() > 1;
  offsets_.resize(gathers ? static_cast<size_t>(rows + 1) : 0);
}

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
  const Vector<int64_t> offsets = all.row_offsets.rows(0, rows_ + 1);
  const Vector<int64_t> lengths = offsets.rows(1, rows_);
  kernels::row_lengths(own.row_offsets, lengths.rows(rows.first, rows.count), stream);
  replicas_->all_gather_uneven(lengths.row(rows.first), lengths.data, row_counts(1), Dtype::kI64, stream);
  kernels::lengths_to_offsets(offsets, stream);
  replicas_->wait(stream);
  copy_in_order(offsets_.data(), offsets.data, offsets.bytes(), stream);
  require(offsets_.back() <= all.capacity(), "the codes of all replicas fit");
  for (int q = 0; q < replicas_->size(); ++q) {
    const Share share = share_of(rows_, replicas_->size(), q);
    counts_[static_cast<size_t>(q)] =
        offsets_[static_cast<size_t>(share.end())] - offsets_[static_cast<size_t>(share.first)];
  }
  const int64_t first = first_of(own.row_offsets, stream);
  replicas_->all_gather_uneven(own.latents.data + first, all.latents.data, counts_, Dtype::kI32, stream);
  replicas_->all_gather_uneven(own.values.data + first, all.values.data, counts_, Dtype::kF32, stream);
  replicas_->all_gather_uneven(own_gradients.data + first, all_gradients.data, counts_, Dtype::kF32, stream);
  all.row_offsets.shape[0] = rows_ + 1;
  return {all, all_gradients};
}

}  // namespace orthant::sae
