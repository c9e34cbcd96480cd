#include "kernels/ref/decode.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/codes/decode_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::absolute;
using testing::as_vector;
using testing::copy_of;
using testing::DeviceArray;
using testing::DeviceCodes;
using testing::in_every_order;
using testing::kHalfUnit;
using testing::on_device;
using testing::random_codes;
using testing::random_matrix;
using testing::zero_matrix;

struct Shape {
  int64_t rows, latents, d_model, most;
  int64_t offset = 0;  // of every array, in elements
};

constexpr Shape kShapes[] = {{1, 1, 1, 1},      {8, 7, 3, 2},      {9, 40, 37, 6},   {7, 20, 64, 9},
                             {7, 20, 64, 9, 1}, {3, 300, 576, 40}, {2, 20, 1028, 9}, {2, 20, 1030, 5, 3}};

// Terms in the longest chain of a sum over `width` columns of a block's or a warp's threads, and the tree
// after it.
double chain(int64_t width) {
  return static_cast<double>(width) / 32.0 + 4.0 + 6.0;
}

void expect_near(const std::vector<float>& found, const std::vector<double>& expected,
                 const std::vector<double>& size, double roundings) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], roundings * kHalfUnit * size[i] + 1e-37) << i;
  }
}

using DecodeKernels = testing::KernelShapes<Shape>;

TEST_P(DecodeKernels, DecodeMatchesTheReference) {
  const auto [rows, latents, d_model, most, offset] = GetParam();
  Codes host = random_codes(rows, latents, most, 1);
  const DeviceCodes codes(host.view());
  const Tensor<float, 2> decoder = random_matrix(latents, d_model, 2), bias = random_matrix(1, d_model, 3);
  const Tensor<float, 2> before = random_matrix(rows, d_model, 4);
  const Tensor<float, 2> sizes = absolute(decoder), bias_sizes = absolute(bias),
                         before_sizes = absolute(before);
  const auto device_decoder = on_device(decoder, offset), device_bias = on_device(bias, offset);
  for (const DecodeStart start : {DecodeStart::kZero, DecodeStart::kBias, DecodeStart::kOut}) {
    const std::vector<float> found = in_every_order([&] {
      DeviceArray<float> out(rows * d_model, offset);
      if (start == DecodeStart::kOut) out = on_device(before, offset);
      cuda::decode(codes.view(), 0, device_decoder.matrix(d_model), start, device_bias.vector(),
                   out.matrix(d_model), stream_);
      return out.values();
    });
    expect_near(found, ref::decode(host.view(), 0, decoder.view(), start, as_vector(bias), before.view()),
                ref::decode(host.view(), 0, sizes.view(), start, as_vector(bias_sizes), before_sizes.view()),
                static_cast<double>(most) + 1.0);
  }
}

TEST_P(DecodeKernels, TwoSlicesGiveTheBitsOfTheWhole) {
  const auto [rows, latents, d_model, most, offset] = GetParam();
  Codes host = random_codes(rows, latents, most, 5);
  const DeviceCodes codes(host.view());
  const auto decoder = on_device(random_matrix(latents, d_model, 6), offset);
  DeviceArray<float> whole(rows * d_model, offset), parts(rows * d_model, offset);
  const int64_t cut = latents / 3;
  const Matrix<const float> all = decoder.matrix(d_model);
  cuda::decode(codes.view(), 0, all, DecodeStart::kZero, {}, whole.matrix(d_model), stream_);
  cuda::decode(codes.view(), 0, all.rows(0, cut), DecodeStart::kZero, {}, parts.matrix(d_model), stream_);
  cuda::decode(codes.view(), cut, all.rows(cut, latents - cut), DecodeStart::kOut, {}, parts.matrix(d_model),
               stream_);
  EXPECT_TRUE(testing::same_bytes(whole.values(), parts.values()));
}

TEST_P(DecodeKernels, ValueGradientsMatchTheReferenceInEverySlice) {
  const auto [rows, latents, d_model, most, offset] = GetParam();
  Codes host = random_codes(rows, latents, most, 7);
  const int64_t entries = host.view().entries();
  const DeviceCodes codes(host.view());
  const Tensor<float, 2> decoder = random_matrix(latents, d_model, 8),
                         gradient = random_matrix(rows, d_model, 9);
  const Tensor<float, 2> sizes = absolute(decoder), gradient_sizes = absolute(gradient);
  const auto device_decoder = on_device(decoder, offset), device_gradient = on_device(gradient, offset);
  for (const int64_t first : {int64_t{0}, latents / 2}) {
    const int64_t count = first == 0 ? latents : latents - first - latents / 4;
    const std::vector<float> found = in_every_order([&] {
      DeviceArray<float> products(entries);
      const Matrix<const float> all = device_decoder.matrix(d_model);
      cuda::value_gradients(codes.view(), first, all.rows(first, count), device_gradient.matrix(d_model),
                            products.vector(), stream_);
      return products.values();
    });
    Tensor<float, 1> of_cpu = testing::make_vector<float>(entries);
    Stream cpu;
    value_gradients(host.view(), first, decoder.view().rows(first, count), gradient.view(), of_cpu.view(),
                    cpu);
    EXPECT_TRUE(testing::same_bytes(found, std::vector<float>(of_cpu.data(), of_cpu.data() + entries)));
    expect_near(
        found, ref::value_gradients(host.view(), first, decoder.view().rows(first, count), gradient.view()),
        ref::value_gradients(host.view(), first, sizes.view().rows(first, count), gradient_sizes.view()),
        chain(d_model));
  }
}

TEST_P(DecodeKernels, ErrorMatchesTheReferenceInPlace) {
  const auto [rows, latents, d_model, most, offset] = GetParam();
  const Tensor<float, 2> input = random_matrix(rows, d_model, 12), output = random_matrix(rows, d_model, 13);
  const auto device_input = on_device(input, offset);
  const auto [gradient, errors] = in_every_order([&] {
    const auto in_place = on_device(output, offset);
    const DeviceArray<double> squared(rows);
    cuda::reconstruction_error(device_input.matrix(d_model), in_place.matrix(d_model), 0.125f,
                               in_place.matrix(d_model), squared.vector(), stream_);
    return std::tuple(in_place.values(), squared.values());
  });
  Tensor<float, 2> of_cpu = testing::copy_of(output);
  Tensor<double, 1> squared_of_cpu = testing::make_vector<double>(rows);
  Stream cpu;
  reconstruction_error(input.view(), of_cpu.view(), 0.125f, of_cpu.view(), squared_of_cpu.view(), cpu);
  EXPECT_TRUE(
      testing::same_bytes(gradient, std::vector<float>(of_cpu.data(), of_cpu.data() + rows * d_model)));
  EXPECT_TRUE(
      testing::same_bytes(errors, std::vector<double>(squared_of_cpu.data(), squared_of_cpu.data() + rows)));
  const ref::ErrorRows expected = ref::reconstruction_error(input.view(), output.view(), 0.125);
  for (size_t i = 0; i < gradient.size(); ++i) {
    ASSERT_NEAR(gradient[i], expected.gradient[i], kHalfUnit * std::abs(expected.gradient[i])) << i;
  }
  for (size_t r = 0; r < errors.size(); ++r) {
    ASSERT_NEAR(errors[r], expected.squared_error[r],
                (chain(d_model) + 2.0) * kHalfUnit * expected.squared_error[r])
        << r;
  }
}

TEST_P(DecodeKernels, OnePassHasTheBitsOfTheThreeStepsAndNeedsItsBarrier) {
  const auto [rows, latents, d_model, most, offset] = GetParam();
  Codes host = random_codes(rows, latents, most, 15);
  const int64_t entries = host.view().entries();
  const DeviceCodes codes(host.view());
  const auto decoder = on_device(random_matrix(latents, d_model, 16), offset),
             bias = on_device(random_matrix(1, d_model, 17), offset),
             input = on_device(random_matrix(rows, d_model, 18), offset);
  const Vector<const float> biases[] = {bias.vector(), {}};
  for (const Vector<const float> start : biases) {
    const auto steps = [&] {
      const DeviceArray<float> row(rows * d_model, offset), products(entries);
      const DeviceArray<double> errors(rows);
      cuda::decode(codes.view(), 0, decoder.matrix(d_model),
                   start.data == nullptr ? DecodeStart::kZero : DecodeStart::kBias, start,
                   row.matrix(d_model), stream_);
      cuda::reconstruction_error(input.matrix(d_model), row.matrix(d_model), 0.5f, row.matrix(d_model),
                                 errors.vector(), stream_);
      cuda::value_gradients(codes.view(), 0, decoder.matrix(d_model), row.matrix(d_model), products.vector(),
                            stream_);
      return std::tuple(row.values(), errors.values(), products.values());
    };
    const auto pass = [&] {
      const DeviceArray<float> row(rows * d_model, offset), products(entries);
      const DeviceArray<double> errors(rows);
      cuda::decode_with_gradients(codes.view(), 0, decoder.matrix(d_model), start, input.matrix(d_model),
                                  0.5f, row.matrix(d_model), errors.vector(), products.vector(), stream_);
      return std::tuple(row.values(), errors.values(), products.values());
    };
    EXPECT_TRUE(testing::same_bytes(in_every_order(steps), in_every_order(pass)));
    if (testing::can_leave_out_barriers() && d_model > 128) {
      EXPECT_TRUE(testing::needs_its_barriers(pass));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, DecodeKernels, ::testing::ValuesIn(kShapes));

using DecodeKernel = testing::KernelTest;

TEST_F(DecodeKernel, ColumnSumsHaveTheBitsOfTheCpu) {
  for (const int64_t rows : {0, 1, 64, 200, 2049}) {
    for (const int64_t columns : {1, 71}) {
      const Tensor<float, 2> matrix = random_matrix(rows, columns, 14);
      const auto copy = on_device(matrix);
      const auto work = [&] {
        const DeviceArray<double> sums(columns);
        cuda::column_sums(Matrix<const float>{copy.data(), {rows, columns}, testing::kernel_device()},
                          sums.vector(), stream_);
        return sums.values();
      };
      Tensor<double, 1> expected = testing::make_vector<double>(columns);
      Stream stream;
      column_sums(matrix.view(), expected.view(), stream);
      EXPECT_TRUE(testing::same_bytes(in_every_order(work),
                                      std::vector<double>(expected.data(), expected.data() + columns)));
      if (testing::can_leave_out_barriers() && rows > 64) {
        EXPECT_TRUE(testing::needs_its_barriers(work));
      }
    }
  }
}

TEST_F(DecodeKernel, NoRowsAndNoEntriesAreFine) {
  Codes none = random_codes(0, 5, 3, 1), empty = random_codes(2, 5, 0, 1);
  const DeviceCodes no_rows(none.view()), no_entries(empty.view());
  const auto decoder = on_device(random_matrix(5, 6, 2)), bias = on_device(random_matrix(1, 6, 3));
  const DeviceArray<float> out(12), products(0);
  cuda::decode(no_rows.view(), 0, decoder.matrix(6), DecodeStart::kZero, {}, out.matrix(6).rows(0, 0),
               stream_);
  cuda::decode(no_entries.view(), 0, decoder.matrix(6), DecodeStart::kBias, bias.vector(), out.matrix(6),
               stream_);
  cuda::value_gradients(no_entries.view(), 0, decoder.matrix(6), out.matrix(6), products.vector(), stream_);
  for (size_t i = 0; i < 12; ++i) EXPECT_EQ(out.values()[i], bias.values()[i % 6]);
  EXPECT_TRUE(products.values().empty());
}

TEST_F(DecodeKernel, ValueGradientsAreZeroUnlessTheValueIsPositive) {
  Codes host(testing::test_memory(), 1, 4);
  const CodesView view = host.view();
  view.row_offsets.data[0] = 0;
  view.row_offsets.data[1] = 4;
  const float values[] = {-1.0f, 0.0f, 2.0f, std::numeric_limits<float>::quiet_NaN()};
  for (int32_t i = 0; i < 4; ++i) {
    view.latents.data[i] = i;
    view.values.data[i] = values[i];
  }
  const DeviceCodes codes(view);
  const auto decoder = on_device(random_matrix(4, 3, 1)), gradient = on_device(random_matrix(1, 3, 2));
  const DeviceArray<float> products(4);
  cuda::value_gradients(codes.view(), 0, decoder.matrix(3), gradient.matrix(3), products.vector(), stream_);
  const std::vector<float> found = products.values();
  EXPECT_EQ(found[0], 0.0f);
  EXPECT_EQ(found[1], 0.0f);
  EXPECT_NE(found[2], 0.0f);
  EXPECT_EQ(found[3], 0.0f);
}

}  // namespace
}  // namespace orthant::kernels
