#include "models/tasks/harness/response.h"

#include <gtest/gtest.h>

#include "tests/support/letter_tokenizer.h"

namespace orthant::models {
namespace {

using Ids = std::vector<int32_t>;
using Texts = std::vector<std::string>;

// Letters from 'a' are tokens from 3; 1 and 2 are special and decode to a point.
class Response : public ::testing::Test {
 protected:
  testing::LetterTokenizer tokenizer_;
};

TEST_F(Response, IsTheTextBeforeAllStops) {
  const std::vector<std::string> stops = {"Question:", "</s>", ""};
  EXPECT_EQ(text_before_stops("a #### 1</s> b Question: c", stops), "a #### 1");
  EXPECT_EQ(text_before_stops("a", stops), "a");
  EXPECT_EQ(text_before_stops("Question:", stops), "");
}

TEST_F(Response, EndsAtStopsOfTheTaskAndTheEndOfText) {
  const TaskSpec task{.stops = {"cd", ""}};
  EXPECT_EQ(stop_texts(task, tokenizer_), (Texts{"cd", "."}));
  EXPECT_EQ(stop_texts(task, testing::LetterTokenizer(false, false)), Texts{"cd"});
}

TEST_F(Response, IsWhatComesBeforeTheFirstStop) {
  const Texts stops = {"cd", "e"};
  EXPECT_EQ(response_text(stops, tokenizer_, Ids{3, 4, 5, 6, 3}), "ab");
  EXPECT_EQ(response_text(stops, tokenizer_, Ids{3, 7, 5, 6}), "a");
  EXPECT_EQ(response_text(stops, tokenizer_, Ids{3, 4}), "ab");
  EXPECT_EQ(response_text(stops, tokenizer_, Ids{}), "");
  EXPECT_TRUE(has_stop(stops, tokenizer_, Ids{3, 5, 6}));
  EXPECT_FALSE(has_stop(stops, tokenizer_, Ids{3, 5, 3, 6}));
}

TEST_F(Response, HasNoSpecialTokensThoughTheyMayStopIt) {
  EXPECT_EQ(response_text(Texts{}, tokenizer_, Ids{1, 3, 2, 4}), "ab");
  EXPECT_TRUE(has_stop(Texts{"."}, tokenizer_, Ids{3, 2}));
  // Letters that a special token stood between are next to each other then.
  EXPECT_FALSE(has_stop(Texts{"cd"}, tokenizer_, Ids{5, 1, 6}));
  EXPECT_EQ(response_text(Texts{"cd"}, tokenizer_, Ids{3, 5, 1, 6}), "a");
}

}  // namespace
}  // namespace orthant::models
