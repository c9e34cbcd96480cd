#include "sae/diffing/difference.h"

#include <algorithm>
#include <array>

#include "runtime/core/error.h"
#include "sae/diffing/gathered.h"
#include "sae/diffing/latent_scaling.h"
#include "sae/measure/row_inference.h"

namespace orthant::sae {
namespace {

constexpr int64_t kBlockRows = 256;

// A block of rows of both sources and their difference.
class Pair {
 public:
  Pair(Memory& memory, int64_t width)
      : joined_(memory, "measure", {kBlockRows, 2 * width}),
        a_(memory, "measure", {kBlockRows, width}),
        b_(memory, "measure", {kBlockRows, width}),
        difference_(memory, "measure", {kBlockRows, width}) {}

  // Adds to the sums of squares; afterwards a() and b() are times `scale`.
  void read(ActivationSource& joined, Split split, int64_t first, int64_t rows, double scale,
            DifferenceLatents& sums) {
    joined.read(split, first, joined_.view().rows(0, rows), nullptr);
    const int64_t width = a_.shape()[1];
    for (int64_t r = 0; r < rows; ++r) {
      const float* const row = joined_.view().row(r);
      for (int64_t c = 0; c < width; ++c) {
        const double a = row[c], b = row[width + c];
        const float difference = row[width + c] - row[c];
        sums.squares_a += a * a;
        sums.squares_b += b * b;
        sums.squares_difference += static_cast<double>(difference) * difference;
        a_.view().row(r)[c] = static_cast<float>(a * scale);
        b_.view().row(r)[c] = static_cast<float>(b * scale);
        difference_.view().row(r)[c] = difference;
      }
    }
  }
  [[nodiscard]] Matrix<const float> difference(int64_t rows) { return difference_.view().rows(0, rows); }
  [[nodiscard]] std::array<Matrix<const float>, 2> sources(int64_t rows) {
    return {a_.view().rows(0, rows), b_.view().rows(0, rows)};
  }

 private:
  Tensor<float, 2> joined_;              // [kBlockRows, 2 * width]
  Tensor<float, 2> a_, b_, difference_;  // [kBlockRows, width]
};

double squared_norm(Matrix<const float> rows, int64_t row) {
  double sum = 0.0;
  for (int64_t c = 0; c < rows.shape[1]; ++c) sum += static_cast<double>(rows.row(row)[c]) * rows.row(row)[c];
  return sum;
}

}  // namespace

DifferenceLatents difference_latents(const Dictionary& dictionary, ActivationSource& joined, Split split,
                                     int64_t rows, World& world) {
  Communicator& shards = *world.data;
  require(joined.d_model() == 2 * dictionary.d_model, "rows of both sources are joined");
  const int64_t available = joined.rows(split);
  if (rows == 0 || rows > available) rows = available;
  Memory memory;
  Pair pair(memory, dictionary.d_model);
  RowInference inference(dictionary, kBlockRows, shards, 0);
  LatentScaling scaling(dictionary.decoder.view(), dictionary.slice.first, 2, memory);
  DifferenceLatents own;
  own.rows = rows;
  for (int64_t first = 0; first < rows; first += kBlockRows) {
    const int64_t count = std::min(kBlockRows, rows - first);
    agree(*world.control, "read activations",
          [&] { pair.read(joined, split, first, count, dictionary.input_scale, own); });
    scaling.add(inference.encode(pair.difference(count)), pair.sources(count));
  }
  const double whole = own.squares_difference * dictionary.input_scale * dictionary.input_scale;
  for (int64_t i = 0; i < dictionary.local_latents(); ++i) {
    const double written = scaling.squares(i) * squared_norm(dictionary.decoder.view(), i);
    own.firings.push_back(scaling.firings(i));
    own.share.push_back(whole > 0.0 ? static_cast<float>(written / whole) : 0.0f);
    own.beta_a.push_back(static_cast<float>(scaling.beta(i, 0)));
    own.beta_b.push_back(static_cast<float>(scaling.beta(i, 1)));
  }
  own.firings = gathered(own.firings, Dtype::kI64, dictionary, shards);
  for (std::vector<float>* values : {&own.share, &own.beta_a, &own.beta_b}) {
    *values = gathered(*values, Dtype::kF32, dictionary, shards);
  }
  return own;
}

}  // namespace orthant::sae
