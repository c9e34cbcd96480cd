// Edits of the residual stream that say what a dictionary is worth to the model: put the reconstruction in
// place of the activation, or zero (the reference that CE recovered is held against).
//
// A row's reconstruction does not depend on the other rows of the batch. The dictionary is on the device of
// the model. Not Collective: the dictionary is whole. One thread at a time.
#pragma once

#include <memory>
#include <vector>

#include "runtime/device/host_copy.h"
#include "runtime/job/residual_edit.h"
#include "sae/dictionary/inference.h"

namespace orthant::sae {

// Rows that keep what the model made of them, because the dictionary was not trained on such rows.
struct UntouchedRows {
  std::vector<int32_t> token_ids = {};
  std::vector<int32_t> positions = {};
  double norm_limit = 0.0;  // rows of a larger norm (attention sinks); 0: no limit
};

class SpliceEdit : public ResidualEdit {
 public:
  // `dictionary` is whole, lies in `memory` and outlives the edit.
  SpliceEdit(const Dictionary& dictionary, UntouchedRows untouched, Memory& memory);
  void apply(Matrix<float> residual, std::span<const int32_t> token_ids, std::span<const int32_t> positions,
             std::span<const int32_t> sequences) override;

  // Rows seen so far, and those of them that were left as they were because of their norm alone.
  [[nodiscard]] int64_t rows() const { return rows_; }
  [[nodiscard]] int64_t rows_over_norm_limit() const { return rows_over_norm_limit_; }

 private:
  // |row|^2 of rows, on the host; nothing where there is no limit to compare with.
  [[nodiscard]] Vector<const float> squared_norms(Matrix<const float> rows);
  [[nodiscard]] bool is_excluded(int32_t token_id, int32_t position) const;
  [[nodiscard]] bool is_within_limit(float squared_norm) const;
  void replace_pending(Matrix<float> residual);

  const Dictionary* dictionary_;
  UntouchedRows untouched_;
  std::unique_ptr<Communicator> self_;
  Inference inference_;
  Tensor<float, 2> gathered_;  // [row block, d_model]
  Tensor<int32_t, 1> chosen_;  // [row block] the pending rows, for kernels
  Tensor<float, 1> squares_;   // [row block]
  HostCopy host_squares_;
  std::vector<int32_t> pending_;  // rows of the residual that are to be replaced
  int64_t rows_ = 0;
  int64_t rows_over_norm_limit_ = 0;
};

// Zero at every position, excluded ones too, as SAEBench ablates.
class ZeroEdit : public ResidualEdit {
 public:
  void apply(Matrix<float> residual, std::span<const int32_t> token_ids, std::span<const int32_t> positions,
             std::span<const int32_t> sequences) override;
};

}  // namespace orthant::sae
