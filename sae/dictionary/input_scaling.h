// Scaling of the encoder's input and of what it reconstructs. Row by row; independent of ranks and threads.
#pragma once

#include "runtime/comm/control_group.h"
#include "runtime/job/activation_source.h"
#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

// What per-row scaling took away: x = scaled * deviation + mean.
struct RowScaling {
  Tensor<float, 1> mean;       // [rows]
  Tensor<float, 1> deviation;  // [rows]
};

[[nodiscard]] bool scales_rows(InputScaling scaling);

// x becomes what the dictionary is trained on. `scaling` is written for per-row kinds only.
void scale_input(const Dictionary& dictionary, Matrix<float> x /* [rows, d_model] */, RowScaling& scaling);
// The inverse, for reconstructions.
void unscale_output(const Dictionary& dictionary, Matrix<float> x /* [rows, d_model] */,
                    const RowScaling& scaling);

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
