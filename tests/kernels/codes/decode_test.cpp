#include "kernels/codes/decode.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/ref/decode.h"
#include "tests/support/random_codes.h"

namespace orthant::kernels {
namespace {

using testing::absolute;
using testing::as_vector;
using testing::copy_of;
using testing::random_codes;
using testing::random_matrix;
using testing::same_bits;
using testing::with_threads;
using testing::zero_matrix;

constexpr double kRounding = 6e-8;  // half a unit in the last place of f32

struct Shape {
  int64_t rows, latents, d_model, most;
};

constexpr Shape kShapes[] = {
    {1, 1, 1, 1}, {8, 7, 3, 2}, {20, 40, 37, 6}, {33, 300, 576, 40}, {3, 20, 2050, 9}};

class DecodeShapes : public ::testing::TestWithParam<Shape> {
 protected:
  Stream stream_;
};

TEST_P(DecodeShapes, MatchesTheReference) {
  const auto [rows, latents, d_model, most] = GetParam();
  Codes codes = random_codes(rows, latents, most, 1);
  const Tensor<float, 2> decoder = random_matrix(latents, d_model, 2), bias = random_matrix(1, d_model, 3);
  const Tensor<float, 2> before = random_matrix(rows, d_model, 4);
  const Tensor<float, 2> sizes = absolute(decoder), bias_sizes = absolute(bias),
                         before_sizes = absolute(before);
  for (const DecodeStart start : {DecodeStart::kZero, DecodeStart::kBias, DecodeStart::kOut}) {
    Tensor<float, 2> out = copy_of(before);
    decode(codes.view(), 0, decoder.view(), start, as_vector(bias), out.view(), stream_);
    const std::vector<double> expected =
        ref::decode(codes.view(), 0, decoder.view(), start, as_vector(bias), before.view());
    const std::vector<double> size =
        ref::decode(codes.view(), 0, sizes.view(), start, as_vector(bias_sizes), before_sizes.view());
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(out.data()[i], expected[i], (static_cast<double>(most) + 1.0) * kRounding * size[i]) << i;
    }
  }
}

TEST_P(DecodeShapes, TwoSlicesOneAfterTheOtherGiveTheBitsOfTheWhole) {
  const auto [rows, latents, d_model, most] = GetParam();
  Codes codes = random_codes(rows, latents, most, 5);
  const Tensor<float, 2> decoder = random_matrix(latents, d_model, 6);
  const int64_t cut = latents / 3;
  Tensor<float, 2> whole = zero_matrix(rows, d_model), parts = zero_matrix(rows, d_model);
  decode(codes.view(), 0, decoder.view(), DecodeStart::kZero, {}, whole.view(), stream_);
  decode(codes.view(), 0, decoder.view().rows(0, cut), DecodeStart::kZero, {}, parts.view(), stream_);
  decode(codes.view(), cut, decoder.view().rows(cut, latents - cut), DecodeStart::kOut, {}, parts.view(),
         stream_);
  EXPECT_TRUE(same_bits(whole.view(), parts.view()));
}

TEST_P(DecodeShapes, ValueGradientsMatchTheReferenceInEverySlice) {
  const auto [rows, latents, d_model, most] = GetParam();
  Codes codes = random_codes(rows, latents, most, 7);
  const CodesView view = codes.view();
  const Tensor<float, 2> decoder = random_matrix(latents, d_model, 8),
                         gradient = random_matrix(rows, d_model, 9);
  const Tensor<float, 2> sizes = absolute(decoder), gradient_sizes = absolute(gradient);
  for (const int64_t first : {int64_t{0}, latents / 2}) {
    const int64_t count = first == 0 ? latents : latents - first - latents / 4;
    Tensor<float, 1> products = testing::make_vector<float>(view.capacity());
    value_gradients(view, first, decoder.view().rows(first, count), gradient.view(), products.view(),
                    stream_);
    const auto expected =
        ref::value_gradients(view, first, decoder.view().rows(first, count), gradient.view());
    const auto size =
        ref::value_gradients(view, first, sizes.view().rows(first, count), gradient_sizes.view());
    for (size_t e = 0; e < expected.size(); ++e) {
      const double chain = static_cast<double>(d_model) / 16.0 + 5.0;
      ASSERT_NEAR(products.data()[e], expected[e], chain * kRounding * size[e]) << e;
    }
  }
}

TEST_P(DecodeShapes, OnePassHasTheBitsOfDecodeErrorAndValueGradients) {
  const auto [rows, latents, d_model, most] = GetParam();
  Codes codes = random_codes(rows, latents, most, 15);
  const Tensor<float, 2> decoder = random_matrix(latents, d_model, 16), bias = random_matrix(1, d_model, 17);
  const Tensor<float, 2> input = random_matrix(rows, d_model, 18);
  for (const Vector<const float> start : {as_vector(bias), Vector<const float>{}}) {
    Tensor<float, 2> steps = zero_matrix(rows, d_model), pass = zero_matrix(rows, d_model);
    Tensor<float, 1> steps_products = testing::make_vector<float>(rows * most);
    Tensor<float, 1> pass_products = testing::make_vector<float>(rows * most);
    Tensor<double, 1> steps_error = testing::make_vector<double>(rows),
                      pass_error = testing::make_vector<double>(rows);
    decode(codes.view(), 0, decoder.view(), start.data == nullptr ? DecodeStart::kZero : DecodeStart::kBias,
           start, steps.view(), stream_);
    reconstruction_error(input.view(), steps.view(), 0.5f, steps.view(), steps_error.view(), stream_);
    value_gradients(codes.view(), 0, decoder.view(), steps.view(), steps_products.view(), stream_);
    decode_with_gradients(codes.view(), 0, decoder.view(), start, input.view(), 0.5f, pass.view(),
                          pass_error.view(), pass_products.view(), stream_);
    EXPECT_TRUE(same_bits(steps.view(), pass.view()));
    EXPECT_TRUE(same_bits(steps_error.view(), pass_error.view()));
    EXPECT_TRUE(same_bits(steps_products.view(), pass_products.view()));
  }
}

TEST_P(DecodeShapes, ThreadsDoNotChangeBits) {
  const auto [rows, latents, d_model, most] = GetParam();
  Codes codes = random_codes(rows, latents, most, 10);
  const Tensor<float, 2> decoder = random_matrix(latents, d_model, 11);
  Tensor<float, 2> out[2] = {zero_matrix(rows, d_model), zero_matrix(rows, d_model)};
  Tensor<float, 1> products[2] = {testing::make_vector<float>(rows * most),
                                  testing::make_vector<float>(rows * most)};
  Tensor<double, 1> sums[2] = {testing::make_vector<double>(d_model), testing::make_vector<double>(d_model)};
  for (const int t : {0, 1}) {
    with_threads(t + 1, [&] {
      decode(codes.view(), 0, decoder.view(), DecodeStart::kZero, {}, out[t].view(), stream_);
      value_gradients(codes.view(), 0, decoder.view(), out[t].view(), products[t].view(), stream_);
      column_sums(out[t].view(), sums[t].view(), stream_);
    });
  }
  EXPECT_TRUE(same_bits(out[0].view(), out[1].view()));
  EXPECT_TRUE(same_bits(products[0].view(), products[1].view()));
  EXPECT_TRUE(same_bits(sums[0].view(), sums[1].view()));
}

TEST_P(DecodeShapes, ErrorMatchesTheReferenceInPlace) {
  const int64_t rows = GetParam().rows, d_model = GetParam().d_model;
  const Tensor<float, 2> input = random_matrix(rows, d_model, 12);
  Tensor<float, 2> output = random_matrix(rows, d_model, 13);
  Tensor<double, 1> errors = testing::make_vector<double>(rows);
  const ref::ErrorRows expected = ref::reconstruction_error(input.view(), output.view(), 0.125);
  reconstruction_error(input.view(), output.view(), 0.125f, output.view(), errors.view(), stream_);
  for (size_t i = 0; i < expected.gradient.size(); ++i) {
    ASSERT_NEAR(output.data()[i], expected.gradient[i], kRounding * std::abs(expected.gradient[i])) << i;
  }
  for (size_t r = 0; r < expected.squared_error.size(); ++r) {
    const double chain = static_cast<double>(d_model) / 16.0 + 3.0;
    ASSERT_NEAR(errors.data()[r], expected.squared_error[r], chain * kRounding * expected.squared_error[r])
        << r;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, DecodeShapes, ::testing::ValuesIn(kShapes));

TEST(Decode, NoRowsAndNoEntriesAreFine) {
  Stream stream;
  Codes none = random_codes(0, 5, 3, 1);
  Codes empty = random_codes(2, 5, 0, 1);
  const Tensor<float, 2> decoder = random_matrix(5, 6, 2), bias = random_matrix(1, 6, 3);
  Tensor<float, 2> no_rows = zero_matrix(0, 6), out = zero_matrix(2, 6);
  decode(none.view(), 0, decoder.view(), DecodeStart::kZero, {}, no_rows.view(), stream);
  decode(empty.view(), 0, decoder.view(), DecodeStart::kBias, as_vector(bias), out.view(), stream);
  for (int64_t i = 0; i < 12; ++i) EXPECT_EQ(out.data()[i], bias.data()[i % 6]);
  Tensor<float, 1> products = testing::make_vector<float>(0);
  value_gradients(empty.view(), 0, decoder.view(), out.view(), products.view(), stream);
}

TEST(Decode, ValueGradientsAreZeroUnlessTheValueIsPositive) {
  Stream stream;
  Codes codes(testing::test_memory(), 1, 4);
  const CodesView view = codes.view();
  view.row_offsets.data[0] = 0;
  view.row_offsets.data[1] = 4;
  const float values[] = {-1.0f, 0.0f, 2.0f, std::numeric_limits<float>::quiet_NaN()};
  for (int32_t i = 0; i < 4; ++i) {
    view.latents.data[i] = i;
    view.values.data[i] = values[i];
  }
  const Tensor<float, 2> decoder = random_matrix(4, 3, 1), gradient = random_matrix(1, 3, 2);
  Tensor<float, 1> products = testing::make_vector<float>(4);
  value_gradients(view, 0, decoder.view(), gradient.view(), products.view(), stream);
  EXPECT_EQ(products.data()[0], 0.0f);
  EXPECT_EQ(products.data()[1], 0.0f);
  EXPECT_NE(products.data()[2], 0.0f);
  EXPECT_EQ(products.data()[3], 0.0f);
}

TEST(Decode, ColumnSumsAreThoseOfTheReference) {
  Stream stream;
  for (const int64_t rows : {0, 1, 64, 200}) {
    const Tensor<float, 2> matrix = random_matrix(rows, 71, 14);
    Tensor<double, 1> sums = testing::make_vector<double>(71);
    column_sums(matrix.view(), sums.view(), stream);
    const std::vector<double> expected = ref::column_sums(matrix.view());
    for (size_t c = 0; c < expected.size(); ++c) EXPECT_NEAR(sums.data()[c], expected[c], 1e-12);
  }
}

TEST(Decode, RejectsShapesThatDoNotFit) {
  Stream stream;
  Codes codes = random_codes(4, 5, 2, 1);
  const Tensor<float, 2> decoder = random_matrix(5, 6, 2);
  Tensor<float, 2> narrow = zero_matrix(4, 5), few = zero_matrix(3, 6), right = zero_matrix(4, 6);
  const auto run = [&](Tensor<float, 2>& out, DecodeStart start) {
    decode(codes.view(), 0, decoder.view(), start, {}, out.view(), stream);
  };
  EXPECT_THROW(run(narrow, DecodeStart::kZero), Error);
  EXPECT_THROW(run(few, DecodeStart::kZero), Error);
  EXPECT_THROW(run(right, DecodeStart::kBias), Error);
  EXPECT_NO_THROW(run(right, DecodeStart::kZero));
}

}  // namespace
}  // namespace orthant::kernels
