#include "models/transformer/tensor_upload.h"

#include "kernels/dense/dequantise.h"
#include "kernels/transformer/chosen_rows.h"

namespace orthant::models {
namespace {

template <typename T>
void grow(Tensor<T, 1>& tensor, int64_t elements, Memory& memory) {
  if (tensor.shape()[0] < elements) tensor = {memory, "loading", {elements}};
}

}  // namespace

void TensorUpload::read(const std::string& name, Matrix<float> into) {
  if (memory_.device() == kCpu) {
    if (!memory_.counts_only()) file_.read(name, into.span());
    return;
  }
  if (const auto stored = file_.stored(name)) return widen(*stored, into);
  if (!memory_.counts_only()) copy_read(name, into);
}

void TensorUpload::widen(const StoredTensor& stored, Matrix<float> into) {
  const auto bytes = static_cast<int64_t>(stored.blocks.size());
  const auto rows = static_cast<int64_t>(stored.rows.size());
  grow(blocks_, bytes, memory_);
  if (rows > 0) {
    grow(widened_, into.elements(), memory_);
    grow(order_, rows, memory_);
  }
  if (memory_.counts_only()) return;
  const Vector<std::byte> blocks = blocks_.view().rows(0, bytes);
  const Vector<float> values{rows > 0 ? widened_.data() : into.data, {into.elements()}, into.device};
  copy_bytes(blocks.data, blocks.device, stored.blocks.data(), kCpu, bytes);
  kernels::dequantise(stored.type, blocks, values, stream_);
  if (rows == 0) return;
  const Vector<int32_t> order = order_.view().rows(0, rows);
  copy_bytes(order.data, order.device, stored.rows.data(), kCpu, order.bytes());
  kernels::gather_rows({values.data, into.shape, into.device}, order, into, stream_);
}

void TensorUpload::copy_read(const std::string& name, Matrix<float> into) {
  if (host_values_.bytes() < into.bytes()) host_values_ = Buffer(kCpu, into.bytes());
  auto* const values = reinterpret_cast<float*>(host_values_.data());
  file_.read(name, {values, static_cast<size_t>(into.elements())});
  copy_bytes(into.data, into.device, values, kCpu, into.bytes());
}

}  // namespace orthant::models
