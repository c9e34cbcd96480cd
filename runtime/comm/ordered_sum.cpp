#include "runtime/comm/ordered_sum.h"

#include <algorithm>

#include "runtime/core/error.h"
#include "runtime/core/share.h"

namespace orthant {
namespace {

// Adds the rows of `parts` [rows, elements] in the tree; the sum is left in the first row.
template <typename T>
void add_in_tree(T* parts, int rows, int64_t elements) {
  while (rows > 1) {
    const int pairs = rows / 2;
    for (int pair = 0; pair < pairs; ++pair) {
      const T* const left = parts + 2 * pair * elements;
      const T* const right = left + elements;
      T* const sum = parts + pair * elements;
      for (int64_t i = 0; i < elements; ++i) sum[i] = left[i] + right[i];
    }
    if (rows % 2 == 1) std::copy_n(parts + (rows - 1) * elements, elements, parts + pairs * elements);
    rows = pairs + rows % 2;
  }
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
      scalars_(memory, segment, {virtual_shards}),
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
    const int64_t count = std::min(piece_elements_, elements - first);
    if (group_->size() == 1) {
      sum_piece_alone(parts, first, count, out.data);
    } else {
      sum_piece(parts, first, count, out.data, stream);
    }
  }
}

// A world of one holds every part: nothing travels.
void OrderedSum::sum_piece_alone(Matrix<const float> parts, int64_t first, int64_t count, float* out) {
  float* const all = gathered_.data();
  for (int part = 0; part < own_parts_; ++part)
    std::copy_n(parts.row(part) + first, count, all + part * count);
  add_in_tree(all, own_parts_, count);
  std::copy_n(all, count, out + first);
}

void OrderedSum::sum_piece(Matrix<const float> parts, int64_t first, int64_t count, float* out,
                           Stream& stream) {
  const int64_t own = share_of(count, group_->size(), group_->rank()).count;
  float* packed = packed_.data();
  for (int r = 0; r < group_->size(); ++r) {
    const Share share = share_of(count, group_->size(), r);
    const auto rank = static_cast<size_t>(r);
    shares_[rank] = share.count;
    send_counts_[rank] = own_parts_ * share.count;
    receive_counts_[rank] = own_parts_ * own;
    for (int part = 0; part < own_parts_; ++part) {
      packed = std::copy_n(parts.row(part) + first + share.first, share.count, packed);
    }
  }
  group_->all_to_all(packed_.data(), send_counts_, gathered_.data(), receive_counts_, Dtype::kF32, stream);
  add_in_tree(gathered_.data(), virtual_shards_, own);
  group_->all_gather_uneven(gathered_.data(), out + first, shares_, Dtype::kF32, stream);
}

double OrderedSum::total(std::span<const double> parts, Stream& stream) {
  require(static_cast<int64_t>(parts.size()) == own_parts_, "a rank brings V/S parts");
  group_->all_gather(parts.data(), scalars_.data(), own_parts_, Dtype::kF64, stream);
  add_in_tree(scalars_.data(), virtual_shards_, 1);
  return scalars_.data()[0];
}

}  // namespace orthant
