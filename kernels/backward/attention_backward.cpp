#include "kernels/backward/attention_backward.h"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/isa/vector.h"
#include "kernels/transformer/transformer_rows.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kPanelWidth = 16;
constexpr int64_t kTileRows = 64;

int64_t padded(int64_t count) {
  return (count + kPanelWidth - 1) / kPanelWidth * kPanelWidth;
}

// Sizes of one head's work, in floats.
struct HeadSizes {
  int64_t rows;
  int64_t dim;
  int64_t width;  // dim padded to panels
  int64_t keys;   // rows padded to panels
  HeadSizes(const AttentionShape& shape, int64_t sequence_rows)
      : rows(sequence_rows),
        dim(shape.head_dim),
        width(padded(shape.head_dim)),
        keys(padded(sequence_rows)) {}
  [[nodiscard]] int64_t matrix() const { return rows * width; }
  [[nodiscard]] int64_t panels() const { return keys * dim; }
  [[nodiscard]] int64_t tile() const { return kTileRows * keys; }
  [[nodiscard]] int64_t scratch() const {
    return 3 * matrix() + 2 * panels() + 3 * tile() + kTileRows * width;
  }
};

// A thread's scratch for one query head.
struct HeadScratch {
  float* query;         // [rows, width], divided by sqrt(dim)
  float* key;           // [rows, width]
  float* gradient;      // [rows, width] of the head's output
  float* key_panels;    // [keys / 16, dim, 16]
  float* value_panels;  // [keys / 16, dim, 16]
  float* weights;       // [kTileRows, keys] of the softmax
  float* slopes;        // [kTileRows, keys] gradient of the weights, then of the scores
  float* turned;        // [keys, kTileRows] transposed of one of them
  float* tile;          // [kTileRows, width] gradient of the tile's queries
  HeadScratch(const HeadSizes& sizes, float* begin)
      : query(begin),
        key(query + sizes.matrix()),
        gradient(key + sizes.matrix()),
        key_panels(gradient + sizes.matrix()),
        value_panels(key_panels + sizes.panels()),
        weights(value_panels + sizes.panels()),
        slopes(weights + sizes.tile()),
        turned(slopes + sizes.tile()),
        tile(turned + sizes.tile()) {}
};

// into [rows, width] = columns [first, first + dim) of `from`, times `factor`, padded with zeros.
void copy_head(Matrix<const float> from, int64_t first, const HeadSizes& sizes, float factor, float* into) {
  for (int64_t row = 0; row < sizes.rows; ++row, into += sizes.width) {
    for (int64_t i = 0; i < sizes.dim; ++i) into[i] = from.row(row)[first + i] * factor;
    std::fill(into + sizes.dim, into + sizes.width, 0.0f);
  }
}

// into [keys / 16, dim, 16] = the same columns, rows side by side.
void copy_panels(Matrix<const float> from, int64_t first, const HeadSizes& sizes, float* into) {
  std::fill_n(into, sizes.panels(), 0.0f);
  for (int64_t row = 0; row < sizes.rows; ++row) {
    float* const panel = into + row / kPanelWidth * kPanelWidth * sizes.dim + row % kPanelWidth;
    for (int64_t i = 0; i < sizes.dim; ++i) panel[i * kPanelWidth] = from.row(row)[first + i];
  }
}

// out [rows, keys seen] = a [rows, width] times panels, over the first `dim` of the width.
void multiply_panels(const HeadSizes& sizes, const float* a, const float* panels, int64_t rows, int64_t seen,
                     float* out) {
  for (int64_t key = 0; key < seen; key += kPanelWidth) {
    for (int64_t row = 0; row < rows; ++row) std::fill_n(out + row * sizes.keys + key, kPanelWidth, 0.0f);
    transformer_rows().panel_product({.a = a,
                                      .a_stride = sizes.width,
                                      .b = panels + key * sizes.dim,
                                      .b_stride = kPanelWidth,
                                      .out = out + key,
                                      .out_stride = sizes.keys,
                                      .rows = rows,
                                      .depth = sizes.dim});
  }
}

// out [rows, width] += a [rows, depth] times b [depth, width].
void add_product(const HeadSizes& sizes, const float* a, int64_t a_stride, const float* b, int64_t rows,
                 int64_t depth, float* out) {
  for (int64_t column = 0; column < sizes.width; column += kPanelWidth) {
    transformer_rows().panel_product({.a = a,
                                      .a_stride = a_stride,
                                      .b = b + column,
                                      .b_stride = sizes.width,
                                      .out = out + column,
                                      .out_stride = sizes.width,
                                      .rows = rows,
                                      .depth = depth});
  }
}

void transpose(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* into) {
  for (int64_t column = 0; column < columns; ++column) {
    for (int64_t row = 0; row < rows; ++row)
      into[column * kTileRows + row] = from[row * from_stride + column];
  }
}

// Turns a row of scores into weights of the softmax and the gradient of the weights into that of the scores.
void softmax_backward(float* weights, float* slopes, int64_t visible, int64_t seen) {
  const VectorOps& ops = vector_ops();
  const float sum = ops.exp_and_sum(ops.max(weights, visible), weights, visible);
  ops.scale(1.0f / sum, weights, visible);
  const float mean = ops.dot(weights, slopes, visible);
  for (int64_t key = 0; key < visible; ++key) slopes[key] = weights[key] * (slopes[key] - mean);
  std::fill(weights + visible, weights + seen, 0.0f);
  std::fill(slopes + visible, slopes + seen, 0.0f);
}

// Query rows [first, first + rows) of a head: their gradient into scratch.tile, and what they add to
// `into_key` and `into_value` [sequence rows, width].
void tile_backward(const HeadSizes& sizes, int64_t first, int64_t rows, const HeadScratch& scratch,
                   float* into_key, float* into_value) {
  const int64_t seen = first + rows;
  const float* const query = scratch.query + first * sizes.width;
  const float* const gradient = scratch.gradient + first * sizes.width;
  multiply_panels(sizes, query, scratch.key_panels, rows, seen, scratch.weights);
  multiply_panels(sizes, gradient, scratch.value_panels, rows, seen, scratch.slopes);
  for (int64_t row = 0; row < rows; ++row) {
    softmax_backward(scratch.weights + row * sizes.keys, scratch.slopes + row * sizes.keys, first + row + 1,
                     seen);
  }
  std::fill_n(scratch.tile, rows * sizes.width, 0.0f);
  add_product(sizes, scratch.slopes, sizes.keys, scratch.key, rows, seen, scratch.tile);
  transpose(scratch.weights, sizes.keys, rows, seen, scratch.turned);
  add_product(sizes, scratch.turned, kTileRows, gradient, seen, rows, into_value);
  transpose(scratch.slopes, sizes.keys, rows, seen, scratch.turned);
  add_product(sizes, scratch.turned, kTileRows, query, seen, rows, into_key);
}

// All of one query head. `into_key`, `into_value` [rows, width] are its part of the gradients of its keys and
// values.
void head_backward(const AttentionShape& shape, const AttentionOperands& operands,
                   Matrix<const float> gradient, int64_t head, const HeadScratch& scratch,
                   Matrix<float> into_query, float* into_key, float* into_value) {
  const HeadSizes sizes(shape, gradient.shape[0]);
  const float factor = 1.0f / std::sqrt(static_cast<float>(sizes.dim));
  const int64_t own = head * sizes.dim;
  const int64_t shared = head / (shape.heads / shape.kv_heads) * sizes.dim;
  copy_head(operands.query, own, sizes, factor, scratch.query);
  copy_head(operands.key, shared, sizes, 1.0f, scratch.key);
  copy_head(gradient, own, sizes, 1.0f, scratch.gradient);
  copy_panels(operands.key, shared, sizes, scratch.key_panels);
  copy_panels(operands.value, shared, sizes, scratch.value_panels);
  std::fill_n(into_key, sizes.matrix(), 0.0f);
  std::fill_n(into_value, sizes.matrix(), 0.0f);
  for (int64_t first = 0; first < sizes.rows; first += kTileRows) {
    const int64_t rows = std::min(kTileRows, sizes.rows - first);
    tile_backward(sizes, first, rows, scratch, into_key, into_value);
    for (int64_t row = 0; row < rows; ++row) {
      float* const to = into_query.row(first + row) + own;
      for (int64_t i = 0; i < sizes.dim; ++i) to[i] = scratch.tile[row * sizes.width + i] * factor;
    }
  }
}

// into [rows, kv_heads * dim] = the sums over the query heads of each group of their parts [heads, rows,
// width].
void add_heads(const AttentionShape& shape, const HeadSizes& sizes, const float* parts, Matrix<float> into) {
  const int64_t group = shape.heads / shape.kv_heads;
#pragma omp parallel for schedule(static) if (into.elements() > 65536)
  for (int64_t row = 0; row < sizes.rows; ++row) {
    for (int64_t head = 0; head < shape.heads; ++head) {
      const float* const part = parts + head * sizes.matrix() + row * sizes.width;
      float* const to = into.row(row) + head / group * sizes.dim;
      for (int64_t i = 0; i < sizes.dim; ++i) to[i] = head % group == 0 ? part[i] : to[i] + part[i];
    }
  }
}

}  // namespace

int64_t attention_backward_floats(const AttentionShape& shape, int64_t rows, int64_t threads) {
  const HeadSizes sizes(shape, rows);
  return 2 * shape.heads * sizes.matrix() + threads * sizes.scratch();
}

void attention_backward(const AttentionShape& shape, const AttentionOperands& operands,
                        Matrix<const float> gradient, const AttentionGradients& into, Vector<float> workspace,
                        Stream&) {
  require(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0, "key-value heads divide the heads");
  require(operands.query.shape == gradient.shape && into.query.shape == gradient.shape &&
              gradient.shape[1] == shape.heads * shape.head_dim &&
              operands.key.shape == operands.value.shape && into.key.shape == operands.key.shape &&
              into.value.shape == operands.key.shape && operands.key.shape[0] == gradient.shape[0] &&
              operands.key.shape[1] == shape.kv_heads * shape.head_dim,
          "attention_backward shapes agree");
  if (gradient.device.kind == DeviceKind::kCuda) throw_no_body("attention_backward", gradient.device);
  const HeadSizes sizes(shape, gradient.shape[0]);
  if (sizes.rows == 0) return;
  const int64_t parts = shape.heads * sizes.matrix();
  const int64_t threads =
      std::min<int64_t>((workspace.shape[0] - 2 * parts) / sizes.scratch(), omp_get_max_threads());
  require(threads >= 1, "the workspace has room for a thread");
  float* const key_parts = workspace.data;
  float* const value_parts = key_parts + parts;
  float* const scratch = value_parts + parts;
#pragma omp parallel for schedule(dynamic, 1) num_threads(static_cast <int>(threads))
  for (int64_t head = 0; head < shape.heads; ++head) {
    head_backward(shape, operands, gradient, head,
                  HeadScratch(sizes, scratch + omp_get_thread_num() * sizes.scratch()), into.query,
                  key_parts + head * sizes.matrix(), value_parts + head * sizes.matrix());
  }
  add_heads(shape, sizes, key_parts, into.key);
  add_heads(shape, sizes, value_parts, into.value);
}

}  // namespace orthant::kernels
