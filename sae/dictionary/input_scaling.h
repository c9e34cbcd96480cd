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
  // Before the first batch and whenever the dictionary's whitening or its scales of sources have changed.
  void prepare(Stream& stream);

  // x becomes what the dictionary is trained on.
  void scale(Matrix<float> x /* [rows, d_model] */, Stream& stream);
  // The inverse, for reconstructions of the rows that were scaled last.
  void unscale(Matrix<float> x /* [rows, d_model] */, Stream& stream);

 private:
  [[nodiscard]] bool scales_rows() const { return mean_.shape()[0] > 0; }
  [[nodiscard]] bool scales_sources() const { return source_scale_.shape()[0] > 0; }
  void prepare_sources();
  void multiply_sources(const Tensor<float, 1>& factors, Matrix<float> x, Stream& stream);
  [[nodiscard]] bool whitens() const { return dictionary_->whitening.d_model() > 0; }
  void multiply(const kernels::PackedWeights& weights, Matrix<float> x, Stream& stream);

  const Dictionary* dictionary_;
  Tensor<float, 1> mean_;       // [rows] that scaling of rows took away: x = scaled * deviation + mean
  Tensor<float, 1> deviation_;  // [rows]
  // Of several sources, whose rows [rows * sources, width of a source] have a scale each: zeros, the scales
  // and their inverses, the sources of a row one after the other.
  Tensor<float, 1> source_mean_, source_scale_, source_unscale_;  // [rows * sources]; else [0]
  kernels::PackedWeights whiten_;    // [d_model, d_model], where the input is whitened
  kernels::PackedWeights unwhiten_;  // [d_model, d_model]
  Tensor<float, 2> factors_;         // [d_model, d_model] on their way into the packed ones
  Tensor<float, 2> block_;           // [some rows, d_model] before they are whitened
};

// What one pass over a presample of the training rows gives.
struct PresampleStatistics {
  std::vector<double> mean_square;  // [sources] over rows and coordinates
  std::vector<double> mean_norm;    // [sources] over rows
  std::vector<double> mean;         // [d_model]
  int64_t rows = 0;
};

// Collective. Of rows that are joined from `sources` sources. The first `rows` training rows (fewer where the
// source has fewer), read by all ranks in parts; sums are formed over fixed blocks in order, so the result
// does not depend on the number of ranks.
[[nodiscard]] PresampleStatistics presample(ActivationSource& source, int64_t rows, int64_t sources,
                                            Communicator& world);

// The scalars of unit_mean_square or expected_average_only_in, one for each source of `width` coordinates; 1
// for the other kinds. Throws Error(kNonFinite) where the activations are not finite.
[[nodiscard]] std::vector<double> input_scales_of(InputScaling scaling, const PresampleStatistics& statistics,
                                                  int64_t width);

}  // namespace orthant::sae
