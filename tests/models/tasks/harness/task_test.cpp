#include "models/tasks/harness/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/tasks/harness/mmlu_subjects.h"
#include "runtime/core/error.h"
#include "tests/support/code_of.h"

namespace orthant::models {
namespace {

using ::testing::HasSubstr;

TEST(HarnessTask, IsFoundByItsName) {
  EXPECT_EQ(tasks().size(), 16u);
  for (const TaskSpec& task : tasks()) {
    EXPECT_EQ(&find_task(task.name), &task);
    EXPECT_FALSE(task.metrics.empty());
    EXPECT_FALSE(task.files.empty());
    EXPECT_EQ(task.folders.front(), task.name);
    EXPECT_EQ(task.max_new_tokens > 0, task.form == TaskForm::kGeneration);
  }
}

TEST(HarnessTask, HasTheVersionAndHeadlineOfTheHarness) {
  EXPECT_EQ(find_task("boolq").version, "2.0");
  EXPECT_EQ(find_task("ifeval").version, "4.0");
  EXPECT_EQ(find_task("mmlu").version, "2");
  EXPECT_EQ(find_task("gsm8k").version, "3.0");
  EXPECT_EQ(find_task("wikitext").version, "2.0");
  EXPECT_EQ(find_task("piqa").version, "1.0");
  EXPECT_EQ(find_task("hellaswag").metrics, (std::vector<std::string>{"acc", "acc_norm"}));
  EXPECT_EQ(find_task("winogrande").metrics, (std::vector<std::string>{"acc"}));
  EXPECT_EQ(find_task("lambada_openai").metrics.front(), "acc");
}

TEST(HarnessTask, AnUnknownNameGetsTheNearest) {
  std::string message;
  EXPECT_EQ(testing::code_of([] { (void)find_task("arc_esay"); }, &message), ExitCode::kConfig);
  EXPECT_THAT(message, HasSubstr("arc_easy?"));
  EXPECT_EQ(testing::code_of([] { (void)find_task(""); }), ExitCode::kConfig);
}

TEST(MmluSubjects, Are57InFourCategories) {
  size_t subjects = 0;
  for (const MmluCategory& category : mmlu_categories()) subjects += category.subjects.size();
  EXPECT_EQ(mmlu_categories().size(), 4u);
  EXPECT_EQ(subjects, 57u);
  EXPECT_TRUE(is_mmlu_subject("virology"));
  EXPECT_FALSE(is_mmlu_subject("stem"));
}

}  // namespace
}  // namespace orthant::models
