// A block has one row of the codes: its threads add the decoder rows that the row's entries name, each for
// its own columns, and fours of lanes take the entries in turn for the products with the gradient.
#include "kernels/codes/codes.cuh"
#include "kernels/codes/decode_cuda.h"
#include "kernels/cuda/row.cuh"

namespace orthant::kernels::cuda {
namespace {

constexpr int kGroup = 4;  // decoder rows in flight

struct SlicedCodes {
  CodesPointers all;
  const float* decoder;  // [local_latents, width]
  int64_t first_latent;
  int64_t last_latent;
  int64_t width;

  __device__ const float* decoder_row(int64_t entry) const {
    return decoder + (all.latents[entry] - first_latent) * width;
  }
};

SlicedCodes sliced(const CodesView& codes, int64_t first_latent, Matrix<const float> decoder) {
  return {pointers_of(codes), decoder.data, first_latent, first_latent + decoder.shape[0], decoder.shape[1]};
}

__device__ Entries entries_of(const SlicedCodes& codes, int64_t row) {
  return row_entries(codes.all, row, codes.first_latent, codes.last_latent);
}

template <bool kWhole>
__device__ Four decoded_columns(const SlicedCodes& codes, Entries entries, int64_t column, Four sum) {
  int64_t e = entries.first;
  for (; e + kGroup <= entries.last; e += kGroup) {
    Four rows[kGroup];
    for (int i = 0; i < kGroup; ++i)
      rows[i] = load_columns<kWhole>(codes.decoder_row(e + i), column, codes.width);
    for (int i = 0; i < kGroup; ++i) sum = fused(codes.all.values[e + i], rows[i], sum);
  }
  for (; e < entries.last; ++e) {
    sum = fused(codes.all.values[e], load_columns<kWhole>(codes.decoder_row(e), column, codes.width), sum);
  }
  return sum;
}

template <bool kWhole>
__device__ Four start_columns(DecodeStart start, const float* bias, const float* out, int64_t column,
                              int64_t width) {
  if (start == DecodeStart::kBias) return load_columns<kWhole>(bias, column, width);
  if (start == DecodeStart::kOut) return load_columns<kWhole>(out, column, width);
  return {};
}

// errors = reconstruction - input, gradient = scale * errors; `errors` are the block's.
template <bool kWhole>
__device__ void store_error(const float* input, Four reconstruction, float scale, int64_t column,
                            int64_t width, float* errors, float* gradient) {
  const Four wanted = load_columns<kWhole>(input, column, width);
  Four error;
  for (int i = 0; i < 4; ++i) error.of[i] = reconstruction.of[i] - wanted.of[i];
  store_columns<kWhole>(errors, column, width, error);
  for (int i = 0; i < 4; ++i) error.of[i] = scale * error.of[i];
  store_columns<kWhole>(gradient, column, width, error);
}

// By the first warp, of errors that all threads have stored.
template <bool kWhole>
__device__ void store_squared_error(const float* errors, int64_t width, double* squared_error) {
  if (threadIdx.x >= kWarp) return;
  const double sum = quad_dot<kWhole, double>(errors, errors, width);
  if (threadIdx.x == 0) *squared_error = sum;
}

template <bool kWhole>
__device__ void store_value_gradients(const SlicedCodes& codes, int64_t row, const float* gradient,
                                      float* products) {
  const Entries entries = entries_of(codes, row);
  const int thread = static_cast<int>(threadIdx.x), quads = static_cast<int>(blockDim.x) / kQuad;
  const int64_t first = codes.all.row_offsets[row], end = codes.all.row_offsets[row + 1];
  // Every warp takes part in every round, because its lanes multiply together.
  for (int64_t round = first; round < end; round += quads) {
    const int64_t e = round + thread / kQuad;
    const bool counts = e >= entries.first && e < entries.last && codes.all.values[e] > 0.0f;
    const float* const decoder = counts ? codes.decoder_row(e) : nullptr;
    const float product = quad_dot<kWhole>(gradient, decoder, counts ? codes.width : 0);
    if (e < end && thread % kQuad == 0) products[e] = product;
  }
}

template <bool kWhole>
__global__ void decode_row(SlicedCodes codes, DecodeStart start, const float* bias, float* out) {
  const int64_t row = blockIdx.x;
  float* into = out + row * codes.width;
  const Entries entries = entries_of(codes, row);
  for (int64_t c = first_column(); c < codes.width; c = next_column(c)) {
    const Four sum = start_columns<kWhole>(start, bias, into, c, codes.width);
    store_columns<kWhole>(into, c, codes.width, decoded_columns<kWhole>(codes, entries, c, sum));
  }
}

template <bool kWhole>
__global__ void error_row(const float* input, const float* reconstruction, float scale, int64_t width,
                          float* gradient, double* squared_error) {
  const int64_t row = blockIdx.x, at = row * width;
  float* const errors = dynamic_shared<float>();
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    const Four decoded = load_columns<kWhole>(reconstruction + at, c, width);
    store_error<kWhole>(input + at, decoded, scale, c, width, errors, gradient + at);
  }
  __syncthreads();
  store_squared_error<kWhole>(errors, width, squared_error + row);
}

template <bool kWhole>
__global__ void value_gradient_row(SlicedCodes codes, const float* gradient, float* products) {
  store_value_gradients<kWhole>(codes, blockIdx.x, gradient + blockIdx.x * codes.width, products);
}

template <bool kWhole>
__global__ void decode_row_with_gradients(SlicedCodes codes, const float* bias, const float* input,
                                          float scale, float* gradient, double* squared_error,
                                          float* products) {
  const int64_t row = blockIdx.x, at = row * codes.width;
  const Entries entries = entries_of(codes, row);
  const DecodeStart start = bias == nullptr ? DecodeStart::kZero : DecodeStart::kBias;
  float* const errors = dynamic_shared<float>();
  for (int64_t c = first_column(); c < codes.width; c = next_column(c)) {
    const Four sum = start_columns<kWhole>(start, bias, nullptr, c, codes.width);
    const Four decoded = decoded_columns<kWhole>(codes, entries, c, sum);
    store_error<kWhole>(input + at, decoded, scale, c, codes.width, errors, gradient + at);
  }
  // The errors and the gradient of the row are seen by all.
  __syncthreads();
  store_squared_error<kWhole>(errors, codes.width, squared_error + row);
  store_value_gradients<kWhole>(codes, row, gradient + at, products);
}

int64_t row_bytes(int64_t width) {
  return width * static_cast<int64_t>(sizeof(float));
}

constexpr int kSumColumns = 32;    // of a block, one a lane
constexpr int kSumBlocks = 32;     // of rows that a block sums at a time, one a warp
constexpr int kSumBlockRows = 64;  // decode.h

struct BlockSums {
  double of[kSumBlocks][kSumColumns];
};

__device__ double sum_of_block(const float* matrix, int64_t rows, int64_t width, int64_t first,
                               int64_t column) {
  const int64_t end = first + kSumBlockRows < rows ? first + kSumBlockRows : rows;
  double sum = 0.0;
  for (int64_t r = first; r < end; ++r) sum += static_cast<double>(matrix[r * width + column]);
  return sum;
}

__global__ void __launch_bounds__(kSumBlocks* kSumColumns)
    sum_columns(const float* matrix, int64_t rows, int64_t width, double* sums) {
  BlockSums& parts = block_shared<BlockSums>();
  const int lane = static_cast<int>(threadIdx.x) % kSumColumns;
  const int block = static_cast<int>(threadIdx.x) / kSumColumns;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kSumColumns + lane;
  double total = 0.0;
  for (int64_t first = 0; first < rows; first += kSumBlocks * kSumBlockRows) {
    const int64_t own = first + block * kSumBlockRows;
    parts.of[block][lane] = column < width ? sum_of_block(matrix, rows, width, own, column) : 0.0;
    __syncthreads();
    for (int i = 0; block == 0 && i < kSumBlocks && first + i * kSumBlockRows < rows; ++i) {
      total += parts.of[i][lane];
    }
    __syncthreads();
  }
  if (block == 0 && column < width) sums[column] = total;
}

}  // namespace

void decode(CodesView codes, int64_t first_latent, Matrix<const float> decoder, DecodeStart start,
            Vector<const float> bias, Matrix<float> out, Stream& stream) {
  const int64_t width = decoder.shape[1];
  const auto kernel =
      is_whole(width, decoder.data, bias.data, out.data) ? decode_row<true> : decode_row<false>;
  launch(kernel, {.blocks = codes.rows(), .threads = row_threads(width)}, stream,
         sliced(codes, first_latent, decoder), start, bias.data, out.data);
}

void reconstruction_error(Matrix<const float> input, Matrix<const float> reconstruction, float scale,
                          Matrix<float> gradient, Vector<double> squared_error, Stream& stream) {
  const int64_t width = input.shape[1];
  const bool whole = is_whole(width, input.data, reconstruction.data, gradient.data);
  launch(whole ? error_row<true> : error_row<false>,
         {.blocks = input.shape[0], .threads = row_threads(width), .shared_bytes = row_bytes(width)}, stream,
         input.data, reconstruction.data, scale, width, gradient.data, squared_error.data);
}

void value_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                     Matrix<const float> gradient, Vector<float> value_gradients, Stream& stream) {
  const int64_t width = decoder.shape[1];
  const bool whole = is_whole(width, decoder.data, gradient.data);
  launch(whole ? value_gradient_row<true> : value_gradient_row<false>,
         {.blocks = codes.rows(), .threads = row_threads(width)}, stream,
         sliced(codes, first_latent, decoder), gradient.data, value_gradients.data);
}

void decode_with_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                           Vector<const float> bias, Matrix<const float> input, float scale,
                           Matrix<float> gradient, Vector<double> squared_error,
                           Vector<float> value_gradients, Stream& stream) {
  const int64_t width = decoder.shape[1];
  const float* start = bias.shape[0] == 0 ? nullptr : bias.data;
  const bool whole = is_whole(width, decoder.data, start, input.data, gradient.data);
  launch(whole ? decode_row_with_gradients<true> : decode_row_with_gradients<false>,
         {.blocks = codes.rows(), .threads = row_threads(width), .shared_bytes = row_bytes(width)}, stream,
         sliced(codes, first_latent, decoder), start, input.data, scale, gradient.data, squared_error.data,
         value_gradients.data);
}

void column_sums(Matrix<const float> matrix, Vector<double> sums, Stream& stream) {
  launch(sum_columns,
         {.blocks = (matrix.shape[1] + kSumColumns - 1) / kSumColumns, .threads = kSumBlocks * kSumColumns},
         stream, matrix.data, matrix.shape[0], matrix.shape[1], sums.data);
}

}  // namespace orthant::kernels::cuda
