#include "sae/measure/splice_edit.h"

#include <algorithm>
#include <cmath>

#include "kernels/isa/vector.h"
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
      gathered_(memory, "splice", {kRowBlock, dictionary.d_model}) {
  require(dictionary.local_latents() == dictionary.latents, "a dictionary that is spliced in is whole");
}

void SpliceEdit::apply(Matrix<float> residual, std::span<const int32_t> token_ids,
                       std::span<const int32_t> positions, std::span<const int32_t>) {
  require(residual.shape[1] == dictionary_->d_model, "the residual stream has the dictionary's width");
  const auto row_bytes = residual.shape[1] * static_cast<int64_t>(sizeof(float));
  for (int64_t r = 0; r < residual.shape[0]; ++r) {
    const auto at = static_cast<size_t>(r);
    ++rows_;
    if (is_untouched(residual.row(r), token_ids[at], positions[at])) continue;
    copy_bytes(gathered_.view().row(static_cast<int64_t>(pending_.size())), kCpu, residual.row(r), kCpu,
               row_bytes);
    pending_.push_back(r);
    if (static_cast<int64_t>(pending_.size()) == kRowBlock) replace_pending(residual);
  }
  if (!pending_.empty()) replace_pending(residual);
}

bool SpliceEdit::is_untouched(const float* row, int32_t token_id, int32_t position) {
  if (contains(untouched_.token_ids, token_id) || contains(untouched_.positions, position)) return true;
  if (untouched_.norm_limit <= 0.0) return false;
  const double norm =
      std::sqrt(static_cast<double>(kernels::vector_ops().squared_norm(row, dictionary_->d_model)));
  if (norm <= untouched_.norm_limit) return false;
  ++rows_over_norm_limit_;
  return true;
}

void SpliceEdit::replace_pending(Matrix<float> residual) {
  const Matrix<float> rows = gathered_.view().rows(0, static_cast<int64_t>(pending_.size()));
  const auto row_bytes = residual.shape[1] * static_cast<int64_t>(sizeof(float));
  inference_.encode(rows);
  inference_.decode(rows);
  for (size_t i = 0; i < pending_.size(); ++i) {
    copy_bytes(residual.row(pending_[i]), kCpu, rows.row(static_cast<int64_t>(i)), kCpu, row_bytes);
  }
  pending_.clear();
}

void ZeroEdit::apply(Matrix<float> residual, std::span<const int32_t>, std::span<const int32_t>,
                     std::span<const int32_t>) {
  zero_bytes(residual.data, residual.device, residual.bytes());
}

}  // namespace orthant::sae
