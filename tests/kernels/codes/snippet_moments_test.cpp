#include "kernels/codes/snippet_moments.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/support/random_codes.h"

namespace orthant::kernels {
namespace {

using testing::random_codes;
using testing::with_threads;

struct Moments {
  explicit Moments(int64_t latents, int64_t groups = 2)
      : sums(testing::test_memory(), "test", {latents, groups}),
        squares(testing::test_memory(), "test", {latents, groups}),
        snippets(testing::make_vector<int64_t>(groups)),
        largest(testing::make_vector<float>(latents)) {
    sums.zero();
    squares.zero();
  }
  [[nodiscard]] SnippetMoments view() {
    return {sums.view(), squares.view(), snippets.view(), largest.view()};
  }
  bool operator==(const Moments& other) const {
    return testing::same_bits(sums.view(), other.sums.view()) &&
           testing::same_bits(squares.view(), other.squares.view()) &&
           testing::same_bits(snippets.view(), other.snippets.view()) &&
           testing::same_bits(largest.view(), other.largest.view());
  }
  Tensor<double, 2> sums, squares;
  Tensor<int64_t, 1> snippets;
  Tensor<float, 1> largest;
};

// Snippets of five rows, every eleventh row in none.
struct Cut {
  explicit Cut(int64_t rows) {
    for (int64_t r = 0; r < rows; ++r) {
      if (r % 5 == 0) groups.push_back(static_cast<int32_t>(r / 5 % 3 == 0));
      of_row.push_back(r % 11 == 3 ? -1 : static_cast<int32_t>(r / 5));
    }
  }
  std::vector<int32_t> of_row, groups;
};

void expect_formula(int64_t rows, int64_t latents, int64_t most, int64_t first_latent) {
  Codes codes = random_codes(rows, first_latent + latents, most, 6);
  const CodesView view = codes.view();
  const Cut cut(rows);
  Moments found(latents);
  add_snippet_moments(view, cut.of_row, cut.groups, first_latent, found.view());

  Moments expected(latents);
  for (size_t s = 0; s < cut.groups.size(); ++s) {
    std::vector<double> largest(static_cast<size_t>(latents), 0.0);
    for (int64_t r = 0; r < rows; ++r) {
      if (cut.of_row[static_cast<size_t>(r)] != static_cast<int32_t>(s)) continue;
      for (int64_t n = view.row_offsets.data[r]; n < view.row_offsets.data[r + 1]; ++n) {
        const int64_t latent = view.latents.data[n] - first_latent;
        if (latent < 0) continue;
        auto& value = largest[static_cast<size_t>(latent)];
        value = std::max(value, static_cast<double>(view.values.data[n]));
      }
    }
    ++expected.snippets.data()[cut.groups[s]];
    for (int64_t i = 0; i < latents; ++i) {
      const double value = largest[static_cast<size_t>(i)];
      expected.sums.view().row(i)[cut.groups[s]] += value;
      expected.squares.view().row(i)[cut.groups[s]] += value * value;
    }
  }
  EXPECT_TRUE(found == expected) << rows << " rows, " << latents << " latents";
}

TEST(SnippetMoments, MatchTheFormula) {
  expect_formula(1, 1, 1, 0);
  expect_formula(13, 7, 4, 0);
  expect_formula(64, 200, 30, 0);
  expect_formula(37, 20, 9, 15);
  expect_formula(0, 5, 1, 0);
}

TEST(SnippetMoments, SameBitsWithAnyThreads) {
  Codes codes = random_codes(60, 33, 20, 4);
  const Cut cut(60);
  Moments one(33);
  with_threads(1, [&] { add_snippet_moments(codes.view(), cut.of_row, cut.groups, 0, one.view()); });
  for (const int threads : {2, 3, 7}) {
    Moments many(33);
    with_threads(threads, [&] { add_snippet_moments(codes.view(), cut.of_row, cut.groups, 0, many.view()); });
    EXPECT_TRUE(many == one) << threads;
  }
}

TEST(SnippetMoments, ASnippetWithoutRowsCountsAsZeros) {
  Codes codes(testing::test_memory(), 0, 0);
  codes.view().row_offsets.data[0] = 0;
  Moments found(3);
  add_snippet_moments(codes.view(), {}, std::vector<int32_t>{1, 1}, 0, found.view());
  EXPECT_EQ(found.snippets.data()[1], 2);
  EXPECT_EQ(found.sums.data()[1], 0.0);
}

}  // namespace
}  // namespace orthant::kernels
