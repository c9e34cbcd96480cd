#include "models/tasks/harness/task_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"

namespace orthant::models {
namespace {

using ::testing::HasSubstr;
using Counts = std::vector<int64_t>;

TaskDocument document_of(const std::string& task, const std::string& row) {
  const boost::json::value value = boost::json::parse(row);
  const std::string name = task + ".jsonl, line 3";
  return document_of_row(find_task(task), JsonFields(value, name, "the row"));
}

void expect_requests(const TaskDocument& document,
                     const std::vector<std::pair<std::string, std::string>>& requests) {
  ASSERT_EQ(document.requests.size(), requests.size());
  for (size_t r = 0; r < requests.size(); ++r) {
    EXPECT_EQ(document.requests[r].context, requests[r].first) << r;
    EXPECT_EQ(document.requests[r].continuation, requests[r].second) << r;
  }
}

TEST(TaskRows, PiqaKeepsItsSolutionsAsTheyAre) {
  const TaskDocument document =
      document_of("piqa", R"({"goal":"dresser","sol1":"use é ","sol2":"a\nb","label":1})");
  expect_requests(document,
                  {{"Question: dresser\nAnswer:", " use é "}, {"Question: dresser\nAnswer:", " a\nb"}});
  EXPECT_EQ(document.gold, 1);
  EXPECT_EQ(document.choice_characters, (Counts{6, 3}));
}

TEST(TaskRows, ArcFindsItsKeyAmongTheLabels) {
  const std::string digits =
      R"({"question":"Why?","choices":{"text":["w","x","y"],"label":["1","2","3"]},"answerKey":"3"})";
  for (const char* const task : {"arc_easy", "arc_challenge"}) {
    const TaskDocument document = document_of(task, digits);
    const std::string context = "Question: Why?\nAnswer:";
    expect_requests(document, {{context, " w"}, {context, " x"}, {context, " y"}});
    EXPECT_EQ(document.gold, 2);
  }
  const TaskDocument five = document_of("arc_easy",
                                        R"({"question":"Q","choices":{"text":["a","b","c","d","e"],
                                            "label":["A","B","C","D","E"]},"answerKey":"A"})");
  EXPECT_EQ(five.requests.size(), 5u);
  EXPECT_EQ(five.gold, 0);
}

TEST(TaskRows, OpenbookqaHasABareStem) {
  const TaskDocument document = document_of(
      "openbookqa",
      R"({"question_stem":"The sun is","choices":{"text":["hot","cold"],"label":["A","B"]},"answerKey":" B"})");
  expect_requests(document, {{"The sun is", " hot"}, {"The sun is", " cold"}});
  EXPECT_EQ(document.gold, 1);
}

TEST(TaskRows, BoolqAlwaysAddsAQuestionMark) {
  const TaskDocument document = document_of("boolq", R"({"passage":"P.","question":"is it so?","label":1})");
  expect_requests(document, {{"P.\nQuestion: is it so??\nAnswer:", " no"},
                             {"P.\nQuestion: is it so??\nAnswer:", " yes"}});
  EXPECT_EQ(document.gold, 1);
}

TEST(TaskRows, RteEntailsWithLabelZero) {
  const TaskDocument document = document_of("rte", R"({"sentence1":"One.","sentence2":"Two.","label":0})");
  const std::string context = "One.\nQuestion: Two. True or False?\nAnswer:";
  expect_requests(document, {{context, " True"}, {context, " False"}});
  EXPECT_EQ(document.gold, 0);
}

TEST(TaskRows, WinograndeVariesTheContext) {
  const TaskDocument document = document_of(
      "winogrande",
      R"({"sentence":"The cup fell off the shelf because _ was loose.","option1":"cup","option2":"shelf","answer":"2"})");
  expect_requests(document, {{"The cup fell off the shelf because cup", " was loose."},
                             {"The cup fell off the shelf because shelf", " was loose."}});
  EXPECT_EQ(document.gold, 1);
}

TEST(TaskRows, WinograndeFillsTheFirstGapAndStripsTheRest) {
  const TaskDocument document =
      document_of("winogrande", R"({"sentence":" A _  b _ c \n","option1":"x ","option2":"y","answer":"1"})");
  expect_requests(document, {{" A x ", " b _ c"}, {" A y", " b _ c"}});
}

TEST(TaskRows, HellaswagIsCleaned) {
  EXPECT_EQ(hellaswag_clean("How to cook [title] Boil water [step] Add  salt."),
            "How to cook. Boil water Add salt.");
  EXPECT_EQ(hellaswag_clean("  A [substeps] b   c "), "A b  c");
  EXPECT_EQ(hellaswag_clean("a [b\nc] d [e] f] [g"), "a [b\nc] d f] [g");
  EXPECT_EQ(hellaswag_clean("[a[b]c]"), "c]");
}

TEST(TaskRows, HellaswagCapitalizesTheSecondContext) {
  const TaskDocument document =
      document_of("hellaswag",
                  R"({"activity_label":"Cooking","ctx_a":"A man stands.","ctx_b":"the Man COOKS",
          "endings":["is [step] é","b","c"," d "],"label":"3"})");
  const std::string context = "Cooking: A man stands. The man cooks";
  expect_requests(document, {{context, " is é"}, {context, " b"}, {context, " c"}, {context, " d"}});
  EXPECT_EQ(document.choice_characters, (Counts{4, 1, 1, 1}));
  EXPECT_EQ(document.gold, 3);
}

TEST(TaskRows, MmluDescribesTheSubject) {
  const TaskDocument document = document_of(
      "mmlu",
      R"({"question":" Which? \n","subject":"high_school_us_history","choices":["w ","x","y","z"],"answer":2})");
  const std::string context =
      "The following are multiple choice questions (with answers) about high school us history.\n\n"
      "Which?\nA. w \nB. x\nC. y\nD. z\nAnswer:";
  expect_requests(document, {{context, " A"}, {context, " B"}, {context, " C"}, {context, " D"}});
  EXPECT_EQ(document.gold, 2);
  EXPECT_EQ(document.group, "high_school_us_history");
}

TEST(TaskRows, LambadaSplitsOnSingleSpaces) {
  for (const char* const task : {"lambada_openai", "lambada_standard"}) {
    expect_requests(document_of(task, R"({"text":"two  spaces\nand the end"})"),
                    {{"two  spaces\nand the", " end"}});
    expect_requests(document_of(task, R"({"text":"a "})"), {{"a", " "}});
    expect_requests(document_of(task, R"({"text":"word"})"), {{"", " word"}});
  }
}

TEST(TaskRows, IfevalAsksWithThePromptAlone) {
  const TaskDocument document = document_of(
      "ifeval",
      R"({"key":1,"prompt":"Write.","instruction_id_list":["punctuation:no_comma"],"kwargs":[{}]})");
  expect_requests(document, {{"Write.", ""}});
}

TEST(TaskRows, Gsm8kAsksAndAnswers) {
  const std::string row = R"({"question":"1+1?","answer":"It is 2.\n#### 2"})";
  expect_requests(document_of("gsm8k", row), {{"Question: 1+1?\nAnswer:", ""}});
  EXPECT_EQ(document_of("gsm8k", row).answer, "It is 2.\n#### 2");
  expect_requests(document_of("gsm8k_answers", row), {{"Question: 1+1?\nAnswer:", " It is 2.\n#### 2"}});
}

TEST(TaskRows, WikitextScoresTheDetokenizedPage) {
  const TaskDocument document = document_of("wikitext", R"({"page":"a , b"})");
  expect_requests(document, {{"", "a, b"}});
  EXPECT_EQ(document.page, "a , b");
}

TEST(TaskRows, RefusesWhatIsAbsentOrMistyped) {
  const std::vector<std::array<std::string, 3>> refused = {
      {"piqa", R"({"goal":"a","sol1":"b","label":0})", "sol2"},
      {"piqa", R"({"goal":"a","sol1":1,"sol2":"c","label":0})", "sol1"},
      {"piqa", R"({"goal":"a","sol1":"b","sol2":"c","label":2})", "label"},
      {"piqa", R"({"goal":"a","sol1":"b","sol2":"c","label":"x"})", "label"},
      {"piqa", R"({"goal":"a","sol1":"b","sol2":"c","label":-1})", "label"},
      {"piqa", R"({"goal":"a","sol1":"b","sol2":"c","label":null})", "label"},
      {"arc_easy", R"({"question":"q","choices":["a"],"answerKey":"A"})", "choices"},
      {"arc_easy", R"({"question":"q","choices":{"text":["a"],"label":["A","B"]},"answerKey":"A"})",
       "choices"},
      {"arc_easy", R"({"question":"q","choices":{"text":["a"]},"answerKey":"A"})", "label"},
      {"arc_easy", R"({"question":"q","choices":{"text":["a"],"label":["A"]},"answerKey":"B"})", "answerKey"},
      {"winogrande", R"({"sentence":"no gap","option1":"a","option2":"b","answer":"1"})", "sentence"},
      {"winogrande", R"({"sentence":"_","option1":"a","option2":"b","answer":"0"})", "answer"},
      {"hellaswag", R"({"activity_label":"a","ctx_a":"b","ctx_b":"c","endings":["d",2],"label":"0"})",
       "endings"},
      {"mmlu", R"({"question":"q","subject":"cooking","choices":["a","b","c","d"],"answer":0})", "subject"},
      {"mmlu", R"({"question":"q","subject":"virology","choices":["a","b","c"],"answer":0})", "choices"},
      {"lambada_openai", R"({"word":"a"})", "text"},
      {"ifeval", R"({"prompt":"a","instruction_id_list":[1],"kwargs":[]})", "instruction_id_list"},
      {"gsm8k", R"({"question":"a"})", "answer"},
      {"wikitext", R"({"text":"a"})", "page"}};
  for (const auto& [task, row, field] : refused) {
    std::string message;
    EXPECT_EQ(testing::code_of([&] { (void)document_of(task, row); }, &message), ExitCode::kData) << row;
    EXPECT_THAT(message, HasSubstr("\"" + field + "\"")) << row;
    EXPECT_THAT(message, HasSubstr(task + ".jsonl, line 3")) << row;
  }
  EXPECT_EQ(testing::code_of([] { (void)document_of("piqa", "[]"); }), ExitCode::kData);
}

}  // namespace
}  // namespace orthant::models
