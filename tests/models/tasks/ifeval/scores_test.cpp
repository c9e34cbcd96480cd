#include "models/tasks/ifeval/scores.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/core/error.h"

namespace orthant {
namespace {

using models::ifeval_scores;
using models::IfevalDocument;
using models::IfevalScores;
using models::IfevalVerdicts;

const models::Instruction kNoComma{"punctuation:no_comma", {}};
const models::Instruction kQuoted{"startend:quotation", {}};
const models::Instruction kLower{"change_case:english_lowercase", {}};

// Prompt: followed strictly, loosely. 1: both of two, both. 2: one of two, both. 3: none, none. 4: is not
// counted.
const std::vector<IfevalDocument> kDocuments = {{1, "a", {kNoComma, kQuoted}, 0},
                                                {2, "b", {kNoComma, kLower}, 1},
                                                {3, "c", {kQuoted}, 0},
                                                {4, "d", {}, 2}};
const std::vector<std::string> kResponses = {"\"One.\"", "Sure!\nno capital", "\"", "anything"};

TEST(IfevalScores, AreThoseOfTheDefinition) {
  const IfevalScores scores = ifeval_scores(kDocuments, kResponses);
  EXPECT_DOUBLE_EQ(scores.prompt_strict, 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(scores.prompt_loose, 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(scores.instruction_strict, 3.0 / 5.0);
  EXPECT_DOUBLE_EQ(scores.instruction_loose, 4.0 / 5.0);
  EXPECT_EQ(scores.prompts, 3);
  EXPECT_EQ(scores.instructions, 5);
  EXPECT_EQ(scores.unchecked_prompts, 1);
  EXPECT_EQ(scores.unchecked_instructions, 3);
}

TEST(IfevalScores, ErrorsAreOverPrompts) {
  const IfevalScores scores = ifeval_scores(kDocuments, kResponses);
  // sqrt(p (1 - p) / (3 - 1)) with p = 1/3 and 2/3.
  EXPECT_NEAR(scores.prompt_strict_error, 1.0 / 3.0, 1e-15);
  EXPECT_NEAR(scores.prompt_loose_error, 1.0 / 3.0, 1e-15);
  // Residuals of 2, 1 and 0 followed of 2, 2 and 1 at 0.6: 0.8, -0.2, -0.6. Of 2, 2, 0 at 0.8: 0.4, 0.4,
  // -0.8.
  EXPECT_NEAR(scores.instruction_strict_error, std::sqrt(1.5 * 1.04) / 5.0, 1e-15);
  EXPECT_NEAR(scores.instruction_loose_error, std::sqrt(1.5 * 0.96) / 5.0, 1e-15);
}

TEST(IfevalScores, VerdictsAreKeptInTheOrderOfTheInstructions) {
  const IfevalScores scores = ifeval_scores(kDocuments, kResponses);
  ASSERT_EQ(scores.documents.size(), 4u);
  EXPECT_EQ(scores.documents[0].strict, (std::vector<uint8_t>{1, 1}));
  EXPECT_EQ(scores.documents[1].strict, (std::vector<uint8_t>{1, 0}));
  EXPECT_EQ(scores.documents[1].loose, (std::vector<uint8_t>{1, 1}));
  EXPECT_FALSE(scores.documents[1].all_strict());
  EXPECT_TRUE(scores.documents[1].all_loose());
  EXPECT_EQ(scores.documents[2].loose, (std::vector<uint8_t>{0}));
  EXPECT_TRUE(scores.documents[3].strict.empty());
}

TEST(IfevalScores, ArePureFunctionsOfTheVerdicts) {
  std::vector<IfevalVerdicts> verdicts;
  for (size_t i = 0; i < kDocuments.size(); ++i) {
    verdicts.push_back(models::ifeval_verdicts(kDocuments[i], kResponses[i]));
  }
  const IfevalScores at_once = ifeval_scores(kDocuments, kResponses);
  const IfevalScores later = ifeval_scores(verdicts);
  EXPECT_EQ(later.prompt_strict, at_once.prompt_strict);
  EXPECT_EQ(later.instruction_loose_error, at_once.instruction_loose_error);
  EXPECT_EQ(later.unchecked_instructions, at_once.unchecked_instructions);
}

TEST(IfevalScores, OfNothingThereIsNone) {
  EXPECT_TRUE(std::isnan(ifeval_scores({}, {}).prompt_strict));
  const IfevalScores unchecked = ifeval_scores({{IfevalVerdicts{}}});
  EXPECT_TRUE(std::isnan(unchecked.instruction_loose));
  EXPECT_EQ(unchecked.unchecked_prompts, 1);
  const IfevalScores one = ifeval_scores({kDocuments.begin(), 1}, {kResponses.begin(), 1});
  EXPECT_EQ(one.prompt_strict, 1.0);
  EXPECT_TRUE(std::isnan(one.prompt_strict_error));
}

TEST(IfevalScores, EveryPromptHasAResponse) {
  EXPECT_THROW(static_cast<void>(ifeval_scores(kDocuments, {kResponses.begin(), 3})), Error);
}

}  // namespace
}  // namespace orthant
