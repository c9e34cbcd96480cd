#include "runtime/comm/ordered_sum.h"

#include <algorithm>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/share.h"

namespace orthant {
namespace {

constexpr int64_t kPieceElements = 1 << 16;

// Adds the rows of `parts` [rows, stride] in the tree; the sum is left in the first row's first `count`
// elements.
template <typename T>
void add_in_tree(T* parts, int rows, int64_t stride, int64_t count) {
  while (rows > 1) {
    const int pairs = rows / 2;
    for (int pair = 0; pair < pairs; ++pair) {
      const T* const left = parts + 2 * pair * stride;
      const T* const right = left + stride;
      T* const sum = parts + pair * stride;
      for (int64_t i = 0; i < count; ++i) sum[i] = left[i] + right[i];
    }
    if (rows % 2 == 1) std::copy_n(parts + (rows - 1) * stride, count, parts + pairs * stride);
    rows = pairs + rows % 2;
  }
}

// One piece of the vector: [first, first + count) of `elements`.
template <typename T>
class Piece {
 public:
  Piece(Communicator& group, Matrix<const T> parts, int virtual_shards, int64_t first, int64_t count)
      : group_(group),
        parts_(parts),
        virtual_shards_(virtual_shards),
        own_parts_(virtual_shards / group.size()),
        first_(first),
        count_(count),
        own_(share_of(count, group.size(), group.rank())) {}

  void sum_into(T* out, T* scratch, Stream& stream) const {
    T* const gathered = scratch;                                   // [V, own share]
    T* const packed = scratch + virtual_shards_ * own_capacity();  // [S][V/S, share of the receiver]
    pack(packed);
    std::vector<int64_t> send_counts, shares;
    for (int r = 0; r < group_.size(); ++r) {
      shares.push_back(share_of(count_, group_.size(), r).count);
      send_counts.push_back(own_parts_ * shares.back());
    }
    const std::vector<int64_t> receive_counts(shares.size(), own_parts_ * own_.count);
    group_.all_to_all(packed, send_counts, gathered, receive_counts, dtype_of<T>(), stream);
    add_in_tree(gathered, virtual_shards_, own_.count, own_.count);
    group_.all_gather_uneven(gathered, out + first_, shares, dtype_of<T>(), stream);
  }

 private:
  [[nodiscard]] int64_t own_capacity() const { return share_of(count_, group_.size(), 0).count; }
  void pack(T* packed) const {
    for (int r = 0; r < group_.size(); ++r) {
      const Share share = share_of(count_, group_.size(), r);
      for (int part = 0; part < own_parts_; ++part) {
        packed = std::copy_n(parts_.row(part) + first_ + share.first, share.count, packed);
      }
    }
  }

  Communicator& group_;
  Matrix<const T> parts_;
  int virtual_shards_;
  int own_parts_;
  int64_t first_;
  int64_t count_;
  Share own_;
};

// A world of one holds every part: nothing travels.
template <typename T>
void sum_locally(Matrix<const T> parts, int64_t first, int64_t count, T* out, T* scratch) {
  const auto rows = static_cast<int>(parts.shape[0]);
  for (int part = 0; part < rows; ++part) std::copy_n(parts.row(part) + first, count, scratch + part * count);
  add_in_tree(scratch, rows, count, count);
  std::copy_n(scratch, count, out + first);
}

template <typename T>
void sum_all(Communicator& group, Matrix<const T> parts, int virtual_shards, Vector<T> out, Vector<T> scratch,
             Stream& stream) {
  const int64_t elements = out.shape[0];
  require(deals_evenly(virtual_shards, group.size()), "the number of ranks divides the virtual shards");
  require(parts.shape[0] == virtual_shards / group.size() && parts.shape[1] == elements,
          "a rank brings V/S parts of the length of the sum");
  require(scratch.shape[0] >= ordered_sum_scratch_elements(elements, virtual_shards, group.size()),
          "the scratch of an ordered sum is large enough");
  for (int64_t first = 0; first < elements; first += kPieceElements) {
    const int64_t count = std::min(kPieceElements, elements - first);
    if (group.size() == 1) {
      sum_locally(parts, first, count, out.data, scratch.data);
    } else {
      Piece<T>(group, parts, virtual_shards, first, count).sum_into(out.data, scratch.data, stream);
    }
  }
}

}  // namespace

int64_t ordered_sum_scratch_elements(int64_t elements, int virtual_shards, int ranks) {
  const int64_t count = std::min(kPieceElements, elements);
  if (ranks == 1) return virtual_shards * count;
  return virtual_shards * share_of(count, ranks, 0).count + virtual_shards / ranks * count;
}

void ordered_all_reduce(Communicator& group, Matrix<const float> parts, int virtual_shards, Vector<float> out,
                        Vector<float> scratch, Stream& stream) {
  sum_all(group, parts, virtual_shards, out, scratch, stream);
}

void ordered_all_reduce(Communicator& group, Matrix<const double> parts, int virtual_shards,
                        Vector<double> out, Vector<double> scratch, Stream& stream) {
  sum_all(group, parts, virtual_shards, out, scratch, stream);
}

double ordered_sum(Communicator& group, std::span<const double> parts, int virtual_shards, Stream& stream) {
  require(deals_evenly(virtual_shards, group.size()), "the number of ranks divides the virtual shards");
  require(static_cast<int64_t>(parts.size()) == virtual_shards / group.size(), "a rank brings V/S parts");
  std::vector<double> all(static_cast<size_t>(virtual_shards));
  group.all_gather(parts.data(), all.data(), static_cast<int64_t>(parts.size()), Dtype::kF64, stream);
  add_in_tree(all.data(), virtual_shards, 1, 1);
  return all.front();
}

}  // namespace orthant
