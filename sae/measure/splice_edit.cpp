#include "sae/measure/splice_edit.h"

#include <algorithm>
#include <cmath>

#include "kernels/dense/row_moments.h"
#include "kernels/transformer/chosen_rows.h"
#include "runtime/comm/self.h"

namespace orthant::sae {
namespace {

constexpr int64_t kRowBlock = 256;

bool contains(const std::vector<int32_t>& values, int32_t value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

SpliceEdit::SpliceEdit(const Dictionary& dictionary, UntouchedRows untouched, Memory& memory)
    : dictionary_(&dictionary),
      untouched_(std::move(untouched)),
      self_(make_self_communicator()),
      inference_(memory, dictionary, kRowBlock, *self_, 0),
      gathered_(memory, "splice", {kRowBlock, dictionary.d_model}),
      chosen_(memory, "splice", {kRowBlock}),
      squares_(memory, "splice", {kRowBlock}),
      host_squares_(memory.device(), squares_.view().bytes()) {
  require(dictionary.local_latents() == dictionary.latents, "a dictionary that is spliced in is whole");
}

void SpliceEdit::apply(Matrix<float> residual, std::span<const int32_t> token_ids,
                       std::span<const int32_t> positions, std::span<const int32_t>) {
  require(residual.shape[1] == dictionary_->d_model, "the residual stream has the dictionary's width");
  for (int64_t first = 0; first < residual.shape[0]; first += kRowBlock) {
    const Matrix<float> block = residual.rows(first, std::min(kRowBlock, residual.shape[0] - first));
    const Vector<const float> squares = squared_norms(block);
    for (int64_t r = 0; r < block.shape[0]; ++r) {
      const int64_t row = first + r;
      ++rows_;
      if (is_excluded(token_ids[static_cast<size_t>(row)], positions[static_cast<size_t>(row)])) continue;
      if (squares.data != nullptr && !is_within_limit(squares.data[r])) {
        ++rows_over_norm_limit_;
        continue;
      }
      pending_.push_back(static_cast<int32_t>(row));
      if (static_cast<int64_t>(pending_.size()) == kRowBlock) replace_pending(residual);
    }
  }
  if (!pending_.empty()) replace_pending(residual);
}

Vector<const float> SpliceEdit::squared_norms(Matrix<const float> rows) {
  if (untouched_.norm_limit <= 0.0) return {};
  const Vector<float> squares = squares_.view().rows(0, rows.shape[0]);
  kernels::squared_norms(rows, squares, inference_.stream());
  return host_squares_.of(squares, inference_.stream());
}

bool SpliceEdit::is_excluded(int32_t token_id, int32_t position) const {
  return contains(untouched_.token_ids, token_id) || contains(untouched_.positions, position);
}

// False for NaN.
bool SpliceEdit::is_within_limit(float squared_norm) const {
  return std::sqrt(static_cast<double>(squared_norm)) <= untouched_.norm_limit;
}

void SpliceEdit::replace_pending(Matrix<float> residual) {
  const auto count = static_cast<int64_t>(pending_.size());
  const Matrix<float> rows = gathered_.view().rows(0, count);
  const Vector<int32_t> chosen = chosen_.view().rows(0, count);
  copy_bytes(chosen.data, chosen.device, pending_.data(), kCpu, chosen.bytes());
  kernels::gather_rows(residual, chosen, rows, inference_.stream());
  inference_.encode(rows);
  inference_.decode(rows);
  kernels::scatter_rows(rows, chosen, residual, inference_.stream());
  inference_.stream().synchronize();
  pending_.clear();
}

void ZeroEdit::apply(Matrix<float> residual, std::span<const int32_t>, std::span<const int32_t>,
                     std::span<const int32_t>) {
  zero_bytes(residual.data, residual.device, residual.bytes());
}

}  // namespace orthant::sae
