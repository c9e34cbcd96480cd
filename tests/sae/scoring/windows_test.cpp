#include "sae/scoring/windows.h"

#include <gtest/gtest.h>

#include "tests/support/code_of.h"

namespace orthant::sae {
namespace {

std::vector<int64_t> tokens_with(const std::vector<uint64_t>& masks, int64_t bit) {
  std::vector<int64_t> found;
  for (size_t i = 0; i < masks.size(); ++i) {
    if ((masks[i] >> bit & 1) != 0) found.push_back(static_cast<int64_t>(i));
  }
  return found;
}

std::vector<uint64_t> masks_of(const WindowMarker& marker, const std::vector<int32_t>& ids) {
  std::vector<uint64_t> masks(ids.size(), ~uint64_t{0});
  marker.mark(ids, masks);
  return masks;
}

using Tokens = std::vector<int64_t>;

// Specification of ReasonScore, section 6.1.
const std::vector<int32_t> kIds = {0, 5, 7, 3, 3, 6, 6, 8, 9, 4, 4, 4, 6, 6, 7, 2};
const std::vector<TokenGroup> kGroups = {{"seven", {{7}}}, {"eight nine", {{8, 9}}}};

TEST(Windows, GoldenCaseOneTwo) {
  const WindowMarker marker(kGroups, {0}, {.left = 1, .right = 2});
  const auto masks = masks_of(marker, kIds);
  EXPECT_EQ(tokens_with(masks, 0), (Tokens{1, 2, 3, 4, 13, 14, 15}));
  EXPECT_EQ(tokens_with(masks, 1), (Tokens{6, 7, 8, 9, 10}));
  EXPECT_EQ(tokens_with(masks, marker.near_bit()), (Tokens{1, 2, 3, 4, 6, 7, 8, 9, 10, 13, 14, 15}));
  EXPECT_EQ(tokens_with(masks, marker.far_bit()), (Tokens{5, 11, 12}));
  EXPECT_EQ(masks[0], 0u) << "a special token counts nowhere";
}

TEST(Windows, GoldenCaseZeroOne) {
  const WindowMarker marker(kGroups, {0}, {.left = 0, .right = 1});
  const auto masks = masks_of(marker, kIds);
  EXPECT_EQ(tokens_with(masks, 0), (Tokens{2, 3, 14, 15}));
  EXPECT_EQ(tokens_with(masks, 1), (Tokens{7, 8, 9}));
  EXPECT_EQ(tokens_with(masks, marker.far_bit()), (Tokens{1, 4, 5, 6, 10, 11, 12, 13}));
}

// Section 5: hits at 0, 1 and 20.
TEST(Windows, CompatLosesHitsAfterTwoThatBeginAtTheSameToken) {
  std::vector<int32_t> ids(24, 1);
  ids[0] = ids[1] = ids[20] = 7;
  const std::vector<TokenGroup> groups = {{"seven", {{7}}}};
  const WindowMarker right(groups, {}, {.left = 1, .right = 2});
  EXPECT_EQ(tokens_with(masks_of(right, ids), 0), (Tokens{0, 1, 2, 3, 19, 20, 21, 22}));
  const WindowMarker compat(groups, {}, {.left = 1, .right = 2, .compat = true});
  EXPECT_EQ(tokens_with(masks_of(compat, ids), 0), (Tokens{0, 1, 2}));
}

TEST(Windows, EveryTokenOfAnOccurrenceIsAHitAndOccurrencesMayOverlap) {
  const WindowMarker marker({{"twice", {{4, 4}}}}, {}, {.left = 0, .right = 0});
  EXPECT_EQ(tokens_with(masks_of(marker, {4, 4, 4, 1, 4, 1, 4, 4}), 0), (Tokens{0, 1, 2, 6, 7}));
}

TEST(Windows, SpecialTokensInsideAWindowCountNowhere) {
  const WindowMarker marker({{"seven", {{7}}}}, {0}, {.left = 2, .right = 2});
  const auto masks = masks_of(marker, {1, 0, 7, 0, 1, 1, 0});
  EXPECT_EQ(tokens_with(masks, 0), (Tokens{0, 2, 4}));
  EXPECT_EQ(tokens_with(masks, marker.far_bit()), (Tokens{5}));
}

TEST(Windows, FormsOfAGroupAreJoinedAndGroupsMayShareTokens) {
  const WindowMarker marker({{"a", {{1}, {2}}}, {"b", {{2, 3}}}}, {}, {.left = 0, .right = 0});
  const auto masks = masks_of(marker, {1, 2, 3, 4});
  EXPECT_EQ(tokens_with(masks, 0), (Tokens{0, 1}));
  EXPECT_EQ(tokens_with(masks, 1), (Tokens{1, 2}));
  EXPECT_EQ(tokens_with(masks, marker.near_bit()), (Tokens{0, 1, 2}));
}

TEST(Windows, EmptySequenceHasNoMasks) {
  const WindowMarker marker(kGroups, {}, {});
  EXPECT_TRUE(masks_of(marker, {}).empty());
}

TEST(Windows, RefusesWhatCannotBeScored) {
  std::string message;
  EXPECT_EQ(testing::code_of([] { WindowMarker({{"hollow", {{}}}}, {}, {}); }, &message), ExitCode::kConfig);
  EXPECT_NE(message.find("hollow"), std::string::npos);
  EXPECT_EQ(testing::code_of([] { WindowMarker({{"formless", {}}}, {}, {}); }), ExitCode::kConfig);
  EXPECT_EQ(testing::code_of([] { WindowMarker({}, {}, {}); }), ExitCode::kConfig);
  const std::vector<TokenGroup> most(kMostWindowGroups, {"g", {{1}}});
  EXPECT_EQ(testing::code_of([&] { WindowMarker(most, {}, {}); }), ExitCode::kDone);
  const std::vector<TokenGroup> many(kMostWindowGroups + 1, {"g", {{1}}});
  EXPECT_EQ(testing::code_of([&] { WindowMarker(many, {}, {}); }), ExitCode::kConfig);
}

}  // namespace
}  // namespace orthant::sae
