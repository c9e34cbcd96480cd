#include "sae/dictionary/ordered_sum.h"

#include <algorithm>

#include "kernels/dense/elementwise.h"
#include "kernels/dense/ordered_sums.h"
#include "runtime/core/error.h"
#include "runtime/core/share.h"

namespace orthant::sae {
namespace {

double tree_sum(std::span<double> parts) {
  size_t count = parts.size();
  while (count > 1) {
    const size_t pairs = count / 2;
    for (size_t pair = 0; pair < pairs; ++pair) parts[pair] = parts[2 * pair] + parts[2 * pair + 1];
    if (count % 2 == 1) parts[pairs] = parts[count - 1];
    count = pairs + count % 2;
  }
  return parts.front();
}

}  // namespace

OrderedSum::OrderedSum(Memory& memory, std::string_view segment, int64_t most_elements, int virtual_shards,
                       Communicator& group)
    : group_(&group),
      virtual_shards_(virtual_shards),
      own_parts_(virtual_shards / group.size()),
      piece_elements_(std::min(kOrderedSumPiece, most_elements)),
      gathered_(memory, segment, {virtual_shards * share_of(piece_elements_, group.size(), 0).count}),
      packed_(memory, segment, {group.size() == 1 ? 0 : own_parts_ * piece_elements_}),
      scalars_(static_cast<size_t>(virtual_shards)),
      shares_(static_cast<size_t>(group.size())),
      send_counts_(static_cast<size_t>(group.size())),
      receive_counts_(static_cast<size_t>(group.size())) {
  require(deals_evenly(virtual_shards, group.size()), "the number of ranks divides the virtual shards");
}

void OrderedSum::all_reduce(Matrix<const float> parts, Vector<float> out, Stream& stream) {
  const int64_t elements = out.shape[0];
  require(parts.shape[0] == own_parts_ && parts.shape[1] == elements,
          "a rank brings V/S parts of the length of the sum");
  for (int64_t first = 0; first < elements; first += piece_elements_) {
    const Vector<float> piece = out.rows(first, std::min(piece_elements_, elements - first));
    if (group_->size() == 1) {
      sum_piece_alone(parts, first, piece, stream);
    } else {
      sum_piece(parts, first, piece, stream);
    }
  }
}

// A world of one holds every part: nothing travels.
void OrderedSum::sum_piece_alone(Matrix<const float> parts, int64_t first, Vector<float> out,
                                 Stream& stream) {
  const Matrix<float> all{gathered_.data(), {own_parts_, out.shape[0]}, out.device};
  kernels::copy_columns(parts, first, all, stream);
  kernels::add_in_tree(all, stream);
  kernels::copy({all.data, out.shape, out.device}, out, stream);
}

void OrderedSum::sum_piece(Matrix<const float> parts, int64_t first, Vector<float> out, Stream& stream) {
  const int64_t count = out.shape[0], own = share_of(count, group_->size(), group_->rank()).count;
  float* packed = packed_.data();
  for (int r = 0; r < group_->size(); ++r) {
    const Share share = share_of(count, group_->size(), r);
    const auto rank = static_cast<size_t>(r);
    shares_[rank] = share.count;
    send_counts_[rank] = own_parts_ * share.count;
    receive_counts_[rank] = own_parts_ * own;
    kernels::copy_columns(parts, first + share.first, {packed, {own_parts_, share.count}, out.device},
                          stream);
    packed += send_counts_[rank];
  }
  group_->all_to_all(packed_.data(), send_counts_, gathered_.data(), receive_counts_, Dtype::kF32, stream);
  kernels::add_in_tree({gathered_.data(), {virtual_shards_, own}, out.device}, stream);
  group_->all_gather_uneven(gathered_.data(), out.data, shares_, Dtype::kF32, stream);
}

double OrderedSum::total(std::span<const double> parts, Stream& stream) {
  require(static_cast<int64_t>(parts.size()) == own_parts_, "a rank brings V/S parts");
  group_->all_gather(parts.data(), scalars_.data(), own_parts_, Dtype::kF64, stream);
  return tree_sum(scalars_);
}

}  // namespace orthant::sae
