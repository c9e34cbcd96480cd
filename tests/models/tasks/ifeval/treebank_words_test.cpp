#include "models/tasks/ifeval/treebank_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orthant {
namespace {

using models::treebank_words;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(IfevalTreebankWords, MarksAreWords) {
  EXPECT_THAT(treebank_words("Yes, (really): $5 & 30%!"),
              ElementsAre("Yes", ",", "(", "really", ")", ":", "$", "5", "&", "30", "%", "!"));
  EXPECT_THAT(treebank_words("3,50 at 10:30, so"), ElementsAre("3,50", "at", "10:30", ",", "so"));
  EXPECT_THAT(treebank_words("a--b...c"), ElementsAre("a", "--", "b", "...", "c"));
  EXPECT_THAT(treebank_words("*a*b"), ElementsAre("*", "a", "*", "b"));
  EXPECT_THAT(treebank_words("«É» „x“ “y”"), ElementsAre("«", "É", "»", "„", "x", "“", "“", "y", "”"));
  EXPECT_THAT(treebank_words("it is `x`"), ElementsAre("it", "is", "`", "x", "`"));
}

TEST(IfevalTreebankWords, HyphensAndSlashesStay) {
  EXPECT_THAT(treebank_words("WELL-KNOWN AND/OR a_b"), ElementsAre("WELL-KNOWN", "AND/OR", "a_b"));
  EXPECT_THAT(treebank_words("A—B"), ElementsAre("A—B"));
}

TEST(IfevalTreebankWords, ContractionsAreTakenApart) {
  EXPECT_THAT(treebank_words("DON'T, I'M Bob's we'll"),
              ElementsAre("DO", "N'T", ",", "I", "'M", "Bob", "'s", "we", "'ll"));
  EXPECT_THAT(treebank_words("cannot GONNA lemme"), ElementsAre("can", "not", "GON", "NA", "lem", "me"));
  EXPECT_THAT(treebank_words("'TIS more'n 'twas"), ElementsAre("'T", "IS", "more", "'n", "'t", "was"));
  EXPECT_THAT(treebank_words("the dogs' bowl"), ElementsAre("the", "dogs", "'", "bowl"));
  EXPECT_THAT(treebank_words("IT’S"), ElementsAre("IT", "’", "S"));
}

TEST(IfevalTreebankWords, NothingHasNone) {
  EXPECT_THAT(treebank_words(""), IsEmpty());
  EXPECT_THAT(treebank_words(" \n\t\xC2\xA0"), IsEmpty());
}

}  // namespace
}  // namespace orthant
