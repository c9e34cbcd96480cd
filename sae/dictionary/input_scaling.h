// Scaling of the encoder's input and of what it reconstructs. Row by row; independent of ranks and threads.
#pragma once

#include "kernels/dense/gemm.h"
#include "runtime/job/activation_source.h"
#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

// The scaling of one dictionary at work on batches. Allocated at construction; not thread-safe.
class InputScaler {
 public:
  // Batches of at most `rows` rows. The dictionary outlives this.
  InputScaler(Memory& memory, std::string_view segment, const Dictionary& dictionary, int64_t rows,
              kernels::ProductOrder order = kernels::ProductOrder::kLibrary);
  // Before the first batch and whenever the dictionary's whitening has changed.
  void prepare(Stream& stream);

  // x becomes what the dictionary is trained on.
  void scale(Matrix<float> x /* [rows, d_model] */, Stream& stream);
  // The inverse, for reconstructions of the rows that were scaled last.
  void unscale(Matrix<float> x /* [rows, d_model] */, Stream& stream);

 private:
  [[nodiscard]] bool scales_rows() const { return mean_.shape()[0] > 0; }
  [[nodiscard]] bool whitens() const { return dictionary_->whitening.d_model() > 0; }
  void multiply(const kernels::PackedWeights& weights, Matrix<float> x, Stream& stream);

  const Dictionary* dictionary_;
  Tensor<float, 1> mean_;            // [rows] that scaling of rows took away: x = scaled * deviation + mean
  Tensor<float, 1> deviation_;       // [rows]
  kernels::PackedWeights whiten_;    // [d_model, d_model], where the input is whitened
  kernels::PackedWeights unwhiten_;  // [d_model, d_model]
  Tensor<float, 2> factors_;         // [d_model, d_model] on their way into the packed ones
  Tensor<float, 2> block_;           // [some rows, d_model] before they are whitened
};

// What one pass over a presample of the training rows gives.
struct PresampleStatistics {
  double mean_square = 0.0;  // over rows and coordinates
  double mean_norm = 0.0;    // over rows
  std::vector<double> mean;  // [d_model]
  int64_t rows = 0;
};

// Collective. The first `rows` training rows (fewer where the source has fewer), read by all ranks in parts;
// sums are formed over fixed blocks in order, so the result does not depend on the number of ranks.
[[nodiscard]] PresampleStatistics presample(ActivationSource& source, int64_t rows, Communicator& world);

// The scalar of unit_mean_square or expected_average_only_in; 1 for the other kinds.
[[nodiscard]] double input_scale_of(InputScaling scaling, const PresampleStatistics& statistics,
                                    int64_t d_model);

}  // namespace orthant::sae
