#include "kernels/neighbour/neighbour.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/neighbour/neighbour_cuda.h"
#include "runtime/core/share.h"
#include "tests/emulation/dense_weights.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::DeviceWeights;
using testing::in_every_order;
using testing::on_device;
using testing::random_matrix;
using testing::same_bytes;
using testing::test_memory;

struct Shape {
  int64_t rows, candidates, depth;
  TileShape tile;
};

constexpr Shape kShapes[] = {{1, 1, 1, {1, 4}},     {3, 2, 5, {2, 4}},     {9, 70, 4, {4, 24}},
                             {20, 131, 3, {7, 36}}, {40, 40, 6, {16, 16}}, {5, 600, 2, {5, 600}}};

// Their products are the same on every device, and many are equal.
Tensor<float, 2> whole_numbers(int64_t rows, int64_t columns, uint64_t seed) {
  Tensor<float, 2> matrix = random_matrix(rows, columns, seed);
  for (float& x : matrix.view().span()) x = std::round(x);
  return matrix;
}

class TileOfTest {
 public:
  explicit TileOfTest(TileShape shape) : shape_(shape), products_(shape.elements()) {}
  [[nodiscard]] TileView view() const { return {products_.data(), shape_}; }

 private:
  TileShape shape_;
  DeviceArray<float> products_;
};

using Bests = std::tuple<std::vector<float>, std::vector<int64_t>>;

Bests nothing(int64_t rows) {
  return {std::vector<float>(static_cast<size_t>(rows), -std::numeric_limits<float>::infinity()),
          std::vector<int64_t>(static_cast<size_t>(rows), -1)};
}

template <typename Value, typename Index>
Bests found_by(const DeviceArray<Value>& values, const DeviceArray<Index>& indices) {
  return {values.values(), indices.values()};
}

using NeighbourKernels = testing::KernelShapes<Shape>;

TEST_P(NeighbourKernels, FindTheNeighboursThatTheCpuFindsPieceByPiece) {
  const Shape shape = GetParam();
  Tensor<float, 2> queries = whole_numbers(shape.rows, shape.depth, 1);
  const Tensor<float, 2> candidates = whole_numbers(shape.candidates, shape.depth, 2);
  if (shape.rows > 8) queries.view().row(3)[0] = std::numeric_limits<float>::quiet_NaN();
  std::vector<int64_t> excluded;
  for (int64_t q = 0; q < shape.rows; ++q) excluded.push_back(q % 4 == 0 ? -1 : 100 + q);
  auto [values, indices] = nothing(shape.rows);
  const auto device_queries = on_device(queries);
  const DeviceArray<int64_t> device_excluded{std::span<const int64_t>(excluded)};
  const TileOfTest tile(shape.tile);
  const int64_t cut = shape.candidates / 3;
  const Share pieces[] = {{cut, shape.candidates - cut}, {0, cut}};
  const auto piece_of = [&](Share piece) {
    Tensor<float, 2> rows(test_memory(), "test", {piece.count, shape.depth});
    copy_bytes(rows.data(), kCpu, candidates.view().row(piece.first), kCpu, rows.view().bytes());
    return rows;
  };
  ProductTile none;
  Stream host_stream;
  for (const Share piece : pieces) {
    PackedWeights packed(test_memory(), "test", piece.count, shape.depth);
    packed.pack(std::as_const(candidates).view().rows(piece.first, piece.count), host_stream);
    nearest_neighbour(queries.view(), packed, 100 + piece.first, {excluded.data(), {shape.rows}}, none,
                      {values.data(), {shape.rows}}, {indices.data(), {shape.rows}}, host_stream);
  }
  const DeviceWeights first(piece_of(pieces[0]), Precision::kF32, stream_),
      second(piece_of(pieces[1]), Precision::kF32, stream_);
  const auto work = [&] {
    const auto [none_value, none_index] = nothing(shape.rows);
    const DeviceArray<float> best{std::span<const float>(none_value)};
    const DeviceArray<int64_t> index{std::span<const int64_t>(none_index)};
    cuda::nearest_neighbour(device_queries.matrix(shape.depth), first.view(), 100 + pieces[0].first,
                            device_excluded.vector(), tile.view(), best.vector(), index.vector(), stream_);
    cuda::nearest_neighbour(device_queries.matrix(shape.depth), second.view(), 100 + pieces[1].first,
                            device_excluded.vector(), tile.view(), best.vector(), index.vector(), stream_);
    return found_by(best, index);
  };
  EXPECT_TRUE(same_bytes(in_every_order(work), Bests(values, indices)));
  if (testing::can_leave_out_barriers() && shape.tile.columns > 500) {
    EXPECT_TRUE(testing::needs_its_barriers(work));
  }
}

TEST_P(NeighbourKernels, FindThePairsThatTheCpuFinds) {
  const Shape shape = GetParam();
  const int64_t count = std::min<int64_t>(shape.candidates, 61);
  Tensor<float, 2> rows = whole_numbers(count, shape.depth, 3);
  if (count > 30) rows.view().row(5)[0] = std::numeric_limits<float>::quiet_NaN();
  PairWorkspace workspace(test_memory(), omp_get_max_threads(), count);
  PackedWeights packed(test_memory(), "test", count, shape.depth);
  Stream host_stream;
  packed.pack(std::as_const(rows).view(), host_stream);
  const auto device_rows = on_device(rows);
  const DeviceWeights same(rows, Precision::kF32, stream_);
  const TileOfTest tile(shape.tile);
  for (const int64_t band : {int64_t{0}, (count + 1) / 2, count}) {
    auto [values, indices] = nothing(count);
    nearest_of_pairs(rows.view(), packed, band, workspace, {values.data(), {count}},
                     {indices.data(), {count}}, host_stream);
    const auto work = [&] {
      const DeviceArray<float> best(count);
      const DeviceArray<int64_t> index(count);
      cuda::nearest_of_pairs(device_rows.matrix(shape.depth), same.view(), band, tile.view(), best.vector(),
                             index.vector(), stream_);
      return found_by(best, index);
    };
    EXPECT_TRUE(same_bytes(work(), Bests(values, indices))) << "band " << band;
    if (band < count) continue;
    (void)in_every_order(work);
    if (testing::can_leave_out_barriers() && count > 60) {
      EXPECT_TRUE(testing::needs_its_barriers(work));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, NeighbourKernels, ::testing::ValuesIn(kShapes));

using NeighbourKernel = testing::KernelTest;

TEST_F(NeighbourKernel, UnitRowsHaveTheBitsOfTheCpu) {
  for (const int64_t width : {1, 15, 16, 130}) {
    for (const int64_t count : {1, 16, 19}) {
      Tensor<float, 2> rows = random_matrix(count, width, 4);
      std::fill_n(rows.view().row(count / 2), width, count == 1 ? 1e-20f : 0.0f);
      if (count > 16) rows.view().row(1)[0] = 1e30f;
      const auto device_rows = on_device(rows);
      Tensor<float, 2> unit = testing::zero_matrix(count, width);
      Tensor<float, 1> norms = testing::make_vector<float>(count);
      Stream host_stream;
      unit_rows(rows.view(), unit.view(), norms.view(), host_stream);
      const auto work = [&] {
        const DeviceArray<float> found(count * width), found_norms(count);
        cuda::unit_rows(device_rows.matrix(width), found.matrix(width), found_norms.vector(), stream_);
        return std::tuple(found.values(), found_norms.values());
      };
      EXPECT_TRUE(same_bytes(in_every_order(work),
                             std::tuple(std::vector<float>(unit.data(), unit.data() + count * width),
                                        std::vector<float>(norms.data(), norms.data() + count))));
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
