// Tensors of a model file into memory, widened: for a device what is stored is copied there and widened
// there, so that a quantised model crosses in its own size.
//
// One tensor at a time through buffers that are kept. Not thread-safe.
#pragma once

#include <string>

#include "models/formats/model_file.h"
#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::models {

class TensorUpload {
 public:
  // All outlive the object. On a Memory that counts only the file's header is looked at.
  TensorUpload(const ModelFile& file, Memory& memory, Stream& stream)
      : file_(file), memory_(memory), stream_(stream) {}

  // `into` [rows, columns] in the memory; a vector is one column. There once the stream has come so far.
  void read(const std::string& name, Matrix<float> into);

 private:
  void widen(const StoredTensor& stored, Matrix<float> into);
  void copy_read(const std::string& name, Matrix<float> into);

  const ModelFile& file_;
  Memory& memory_;
  Stream& stream_;
  Tensor<std::byte, 1> blocks_;  // as stored
  Tensor<float, 1> widened_;     // rows in the order of the file
  Tensor<int32_t, 1> order_;     // of the rows
  Buffer host_values_;           // of a tensor that only the file can widen
};

}  // namespace orthant::models
