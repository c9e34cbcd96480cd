#include "kernels/transformer/embedding.h"

#include <algorithm>

#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels {

void embed(Matrix<const float> table, Vector<const int32_t> token_ids, Matrix<float> out, Stream& stream) {
  require(token_ids.shape[0] == out.shape[0] && table.shape[1] == out.shape[1], "embedding shapes agree");
  if (table.device.kind == DeviceKind::kCuda) return cuda::embed(table, token_ids, out, stream);
  for (int64_t row = 0; row < out.shape[0]; ++row) {
    const int32_t token = token_ids.data[row];
    require(token >= 0 && token < table.shape[0], "token ids lie inside the vocabulary");
    std::copy_n(table.row(token), out.shape[1], out.row(row));
  }
}

}  // namespace orthant::kernels
