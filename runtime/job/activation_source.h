// Where activations come from: a store, an array, a live model or a synthetic generator.
//
// Trainers, metrics, scorers and studies read only this. What a source gives is a pure function of its
// configuration, the split and the sample number, whatever the ranks that ask. read() is not Collective; one
// thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/device/tensor.h"

namespace orthant {

enum class Split { kTrain, kHoldout };

// Beside each activation row; a source without tokens leaves them empty.
struct RowLabels {
  std::vector<int32_t> token_ids;  // [rows]
  std::vector<int32_t> positions;  // [rows] counted within the row of the language model
  std::vector<int64_t> documents;  // [rows]
};

// What the source left out, for the result.
struct ExcludedRows {
  int64_t token_ids = 0;
  int64_t positions = 0;
  int64_t norm_ratio = 0;
};

class ActivationSource {
 public:
  virtual ~ActivationSource() = default;
  [[nodiscard]] virtual int64_t d_model() const = 0;
  // Rows of one pass over a split; 0: unlimited (a generator).
  [[nodiscard]] virtual int64_t rows(Split split) const = 0;
  // Rows for samples [first, first + into.shape[0]) of `split`, on the CPU. Sample numbers of kTrain go on
  // past rows() into the next pass, in another order; those of kHoldout are in file order and end at rows().
  // `labels` may be null.
  virtual void read(Split split, int64_t first, Matrix<float> into /* [rows, d_model] */,
                    RowLabels* labels) = 0;
  // The labels of samples [first, first + count) alone, without the cost of activations: of a source in file
  // order, within one pass. Left empty where there are no tokens.
  virtual void read_labels(Split /*split*/, int64_t /*first*/, int64_t /*count*/, RowLabels& labels) {
    labels = {};
  }
  // Tokens that a language model was run over so far; 0 where none is.
  [[nodiscard]] virtual int64_t model_tokens() const { return 0; }
  [[nodiscard]] virtual ExcludedRows excluded() const { return {}; }
  // What the data is, for keys and provenance: equal texts mean equal data.
  [[nodiscard]] virtual std::string identity() const = 0;
};

}  // namespace orthant
