#include "models/tasks/harness/gsm8k.h"

#include <gtest/gtest.h>

#include "models/text/python_text.h"
#include "models/text/text_file.h"
#include "tests/models/tasks/harness/sha256_of.h"
#include "tests/support/shared_files.h"

namespace orthant::models {
namespace {

TEST(Gsm8k, PutsExamplesBeforeTheQuestion) {
  EXPECT_EQ(gsm8k_prompt({}, "Why?"), "Question: Why?\nAnswer:");
  const std::vector<Gsm8kProblem> examples = {{"1+1?", "2\n#### 2"}, {"0?", "#### 0"}};
  EXPECT_EQ(gsm8k_prompt(examples, "Why?"),
            "Question: 1+1?\nAnswer: 2\n#### 2\n\nQuestion: 0?\nAnswer: #### 0\n\nQuestion: Why?\nAnswer:");
}

TEST(Gsm8k, DrawsForEachQuestionAfterTheOneBefore) {
  const auto shots = gsm8k_shots(7473, 2, 5);
  ASSERT_EQ(shots.size(), 2u);
  EXPECT_EQ(shots[0], (std::vector<int64_t>{6374, 3610, 957, 61, 742}));
  EXPECT_EQ(shots[1], (std::vector<int64_t>{7462, 6610, 4769, 286, 5501}));
  EXPECT_EQ(gsm8k_shots(3, 2, 0), (std::vector<std::vector<int64_t>>{{}, {}}));
}

struct Marked {
  const char* response;
  const char* answer;
  bool strict;
  bool flexible;
};

// As the harness's expressions mark them in Python.
TEST(Gsm8k, MarksByBothFilters) {
  const std::vector<Marked> cases = {{"so #### 1,234. done", "#### 1234", true, true},
                                     {"x #### -5", "a\n#### -5", true, true},
                                     {"#### 18 #### 20", "#### 18", true, false},
                                     {"#### 18 #### 20", "#### 20", false, true},
                                     {"it is $18.", "#### 18", false, true},
                                     {"it is 17, no, 18", "#### 18", false, true},
                                     {"about 7", "#### 7", false, true},
                                     {"no digits", "#### 7", false, false},
                                     {"1 2 3.", "#### 3", false, true},
                                     {"#### $5", "#### 5", false, true},
                                     {"a .. b", "#### ..", false, true},
                                     {"- 5 -6", "#### -6", false, true},
                                     {"#### 7", "#### $7,000", false, false},
                                     {"#### 7000", "one\n#### 7,\n#### $7,000.", true, true},
                                     {"", "#### 7", false, false}};
  for (const Marked& each : cases) {
    const Gsm8kMatch match = gsm8k_matches(each.response, each.answer);
    EXPECT_EQ(match.strict, each.strict) << each.response << " | " << each.answer;
    EXPECT_EQ(match.flexible, each.flexible) << each.response << " | " << each.answer;
  }
}

// The published solutions carry their authors' verdict; "A: " was "#### " in the data set.
TEST(Gsm8k, AgreesWithThePublishedVerdicts) {
  ORTHANT_NEEDS_SHARED("data/gsm8k/example_model_solutions.jsonl");
  const std::string path = (testing::shared_folder() / "data/gsm8k/example_model_solutions.jsonl").string();
  int64_t replaced = 0, solutions = 0, right = 0, otherwise = 0;
  const auto marked = [](const boost::json::value& text) {
    return replace_all(std::string_view(text.as_string()), "\nA: ", "\n#### ");
  };
  visit_json_lines(path, replaced, [&](const boost::json::value& line, int64_t) {
    const std::string answer = marked(line.at("ground_truth"));
    for (const char* const model :
         {"6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"}) {
      const boost::json::value& solution = line.at(model);
      const Gsm8kMatch match = gsm8k_matches(marked(solution.at("solution")), answer);
      const bool is_correct = solution.at("is_correct").as_bool();
      solutions += 1;
      right += match.strict ? 1 : 0;
      otherwise += match.strict != is_correct || match.flexible != is_correct ? 1 : 0;
    }
    return true;
  });
  EXPECT_EQ(solutions, 5276);
  EXPECT_EQ(right, 2001);
  EXPECT_EQ(otherwise, 0);
}

}  // namespace
}  // namespace orthant::models
