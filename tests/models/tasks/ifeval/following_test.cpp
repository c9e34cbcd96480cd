#include "models/tasks/ifeval/following.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "models/tasks/ifeval/check_table.h"
#include "runtime/core/error.h"
#include "tests/models/tasks/ifeval/instruction_case.h"

namespace orthant {
namespace {

using models::Instruction;
using ::testing::HasSubstr;
using testing::only_loosely;

Instruction only_bullets(int64_t count) {
  return {"detectable_format:number_bullet_lists", {{"num_bullets", count}}};
}

std::string refusal(const Instruction& instruction, ExitCode code) {
  std::string message;
  try {
    static_cast<void>(models::follows(instruction, "text"));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    message = error.what();
  }
  EXPECT_THROW(static_cast<void>(models::follows_loosely(instruction, "text")), Error);
  return message;
}

TEST(IfevalFollowing, LooselyDropsTheFirstAndTheLastLine) {
  EXPECT_TRUE(only_loosely(only_bullets(1), "- intro\n- one"));
  EXPECT_TRUE(only_loosely(only_bullets(2), "- intro\n- one\n- two"));
  EXPECT_TRUE(only_loosely(only_bullets(1), "- intro\n- one\n- outro"));
  EXPECT_FALSE(models::follows_loosely(only_bullets(4), "- intro\n- one\n- outro"));
  const Instruction lower{"change_case:english_lowercase", {}};
  EXPECT_TRUE(only_loosely(lower, "Intro\ntext\nOutro"));
  EXPECT_TRUE(only_loosely(lower, "text\nOutro"));
  EXPECT_FALSE(models::follows_loosely(lower, "Intro\nMore\ntext\nOutro"));
}

TEST(IfevalFollowing, LooselyDropsAsterisks) {
  const Instruction end{"startend:end_checker", {{"end_phrase", "the end"}}};
  EXPECT_TRUE(only_loosely(end, "It is *the* **end**"));
  EXPECT_TRUE(only_loosely(end, "It is *the* **end**\nBye"));
  EXPECT_FALSE(models::follows_loosely(end, "It is _the_ end."));
}

TEST(IfevalFollowing, OneLineHasNoVariantWithoutIt) {
  const Instruction none{"punctuation:no_comma", {}};
  EXPECT_FALSE(models::follows_loosely(none, "a, b"));
  EXPECT_FALSE(models::follows_loosely(none, "a, b\n")) << "the rest is blank";
  EXPECT_TRUE(models::follows_loosely(none, "***")) << "as it is, although nothing is left without asterisks";
}

TEST(IfevalFollowing, BlankResponsesFollowNothing) {
  for (const models::Check& check : models::checks()) {
    Instruction instruction{std::string(check.id), {}};
    for (const models::Argument& argument : check.arguments) {
      using enum models::ArgumentKind;
      if (argument.kind == kCount) instruction.arguments[argument.name] = 1;
      if (argument.kind == kRelation) instruction.arguments[argument.name] = "less than";
      if (argument.kind == kCharacter) instruction.arguments[argument.name] = "a";
      if (argument.kind == kText || argument.kind == kExpression) instruction.arguments[argument.name] = "x";
      if (argument.kind == kExpressions) instruction.arguments[argument.name] = {"x"};
    }
    for (const char* blank : {"", " ", "\n\n", "\t\r\n\v\f", "\xE2\x80\x83\xC2\xA0", "\x1C\x1D"}) {
      EXPECT_FALSE(models::follows(instruction, blank)) << check.id;
      EXPECT_FALSE(models::follows_loosely(instruction, blank)) << check.id;
    }
  }
}

TEST(IfevalFollowing, IllFormedTextIsReplaced) {
  const Instruction words{"length_constraints:number_words", {{"num_words", 2}, {"relation", "at least"}}};
  EXPECT_TRUE(models::follows(words, "one\xFFtwo"));
  EXPECT_FALSE(models::follows(words, "one\xFF\xC3"));
}

TEST(IfevalFollowing, UnknownInstructionsAndArgumentsAreRefused) {
  EXPECT_THAT(refusal({"language:response_language", {{"language", "de"}}}, ExitCode::kConfig),
              HasSubstr("detector of languages"));
  EXPECT_THAT(refusal({"keywords:all", {}}, ExitCode::kConfig), HasSubstr("keywords:all"));
  EXPECT_THAT(refusal({"keywords:existence", {}}, ExitCode::kData), HasSubstr("\"keywords\" is missing"));
}

}  // namespace
}  // namespace orthant
