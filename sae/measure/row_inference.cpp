#include "sae/measure/row_inference.h"

namespace orthant::sae {
namespace {

// The first `count` values, on the host.
template <typename T>
Vector<T> host_copy(Vector<T> there, int64_t count, std::vector<T>& room) {
  if (static_cast<int64_t>(room.size()) < count) room.resize(static_cast<size_t>(count));
  const Vector<T> part = there.rows(0, count);
  copy_bytes(room.data(), kCpu, part.data, part.device, part.bytes());
  return {room.data(), {count}};
}

}  // namespace

RowInference::RowInference(const Dictionary& dictionary, int64_t rows, Communicator& shards,
                           int virtual_shards)
    : memory_(dictionary.encoder.view().device),
      shards_(&shards),
      inference_(memory_, dictionary, rows, shards, virtual_shards),
      rows_(memory_, "measure", {is_on_host() ? 0 : rows, dictionary.d_model}) {}

kernels::CodesView RowInference::encode(Matrix<const float> x) {
  if (is_on_host()) return inference_.encode(x);
  const Matrix<float> rows = rows_.view().rows(0, x.shape[0]);
  copy_bytes(rows.data, rows.device, x.data, kCpu, x.bytes());
  const kernels::CodesView codes = inference_.encode(rows);
  const Vector<int64_t> offsets = host_copy(codes.row_offsets, x.shape[0] + 1, row_offsets_);
  const int64_t entries = row_offsets_[static_cast<size_t>(x.shape[0])];
  return {offsets, host_copy(codes.latents, entries, latents_), host_copy(codes.values, entries, values_)};
}

void RowInference::decode(Matrix<float> out) {
  if (is_on_host()) return inference_.decode(out);
  const Matrix<float> rows = rows_.view().rows(0, out.shape[0]);
  inference_.decode(rows);
  shards_->wait(inference_.stream());
  copy_bytes(out.data, kCpu, rows.data, rows.device, rows.bytes());
}

}  // namespace orthant::sae
