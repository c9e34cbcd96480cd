// launch/fetch_tasks.py writes what the tasks read, from data sets that a stand-in for `datasets` gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "models/tasks/harness/read_task.h"
#include "tests/support/program.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using ::testing::HasSubstr;
using testing::Outcome;
using testing::TempDir;

// Six rows of each data set, with a field that no task needs.
constexpr const char* kDataSets = R"(
choices = {"text": ["a", "b"], "label": ["A", "B"]}
rows = {
    ("baber/piqa", None): {"goal": "g", "sol1": "a", "sol2": "b", "label": 1},
    ("allenai/ai2_arc", "ARC-Easy"): {"question": "q", "choices": choices, "answerKey": "B"},
    ("allenai/ai2_arc", "ARC-Challenge"): {"question": "q", "choices": choices, "answerKey": "A"},
    ("aps/super_glue", "boolq"): {"passage": "p", "question": "q", "label": 0},
    ("allenai/winogrande", "winogrande_xl"): {"sentence": "a _ b", "option1": "c", "option2": "d", "answer": "2"},
    ("Rowan/hellaswag", None): {"activity_label": "a", "ctx_a": "b", "ctx_b": "c", "endings": ["d", "e"], "label": "1"},
    ("allenai/openbookqa", "main"): {"question_stem": "q", "choices": choices, "answerKey": "A"},
    ("nyu-mll/glue", "rte"): {"sentence1": "a", "sentence2": "b", "label": 1},
    ("cais/mmlu", "all"): {"question": "q", "subject": "virology", "choices": ["a", "b", "c", "d"], "answer": 3},
    ("EleutherAI/lambada_openai", "default"): {"text": "a b"},
    ("cimec/lambada", None): {"text": "a \u00e9\u2028c", "domain": "x"},
    ("google/IFEval", None): {"key": 1, "prompt": "p", "instruction_id_list": ["punctuation:no_comma"],
                              "kwargs": [{"relation": None}]},
    ("openai/gsm8k", "main"): {"question": "q", "answer": "#### 1"},
    ("EleutherAI/wikitext_document_level", "wikitext-2-raw-v1"): {"page": " = A = \n b , c"},
    ("Salesforce/wikitext", "wikitext-2-raw-v1"): {"text": " = A = \n"},
}

def load_dataset(path, name, split):
    row = dict(rows[path, name])
    if (path, split) == ("openai/gsm8k", "train"):
        row["question"] = "t"
    return [dict(row, id=number) for number in range(6)]
)";

Outcome fetch(const TempDir& folder, const std::string& module, const std::string& arguments) {
  std::ofstream(folder.file("datasets.py")) << module;
  return testing::run_command("PYTHONPATH=" + folder.path().string() +
                              " python3 -B " ORTHANT_SOURCE_DIR "/launch/fetch_tasks.py --out " +
                              folder.file("out") + " " + arguments);
}

bool has_python() {
  return std::system("python3 --version > /dev/null 2>&1") == 0;
}

TEST(FetchTasks, WritesWhatEveryTaskReads) {
  if (!has_python()) GTEST_SKIP() << "python3 is absent";
  const TempDir folder;
  const Outcome outcome = fetch(folder, kDataSets, "");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const models::TaskSpec& task : models::tasks()) {
    const auto documents = models::read_task(task, folder.file("out"), 0);
    EXPECT_EQ(documents.size(), task.form == models::TaskForm::kWindows ? 1u : 6u) << task.name;
  }
  const auto first = [&](const char* task) {
    return models::read_task(models::find_task(task), folder.file("out"), 1).front();
  };
  EXPECT_EQ(first("window_perplexity").page.substr(0, 18), " = A = \n\n\n = A = \n");
  EXPECT_EQ(first("lambada_standard").requests[0].continuation, " é\u2028c");
  EXPECT_EQ(first("hellaswag").gold, 1);
  EXPECT_EQ(first("gsm8k").requests[0].context.substr(0, 36), "Question: t\nAnswer: #### 1\n\nQuestion");
}

TEST(FetchTasks, LeavesFilesThatAreThere) {
  if (!has_python()) GTEST_SKIP() << "python3 is absent";
  const TempDir folder;
  ASSERT_EQ(fetch(folder, kDataSets, "rte gsm8k_answers").code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder.file("out/gsm8k/test.jsonl")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("out/piqa")));
  std::ofstream(folder.file("out/rte/rte.jsonl")) << "mine";
  EXPECT_THAT(fetch(folder, kDataSets, "rte").out, HasSubstr("is there"));
  EXPECT_EQ(testing::content_of(folder.file("out/rte/rte.jsonl")), "mine");
  ASSERT_EQ(fetch(folder, kDataSets, "rte --again").code, 0);
  EXPECT_NE(testing::content_of(folder.file("out/rte/rte.jsonl")), "mine");
}

TEST(FetchTasks, SaysWhatIsMissing) {
  if (!has_python()) GTEST_SKIP() << "python3 is absent";
  const TempDir folder;
  const Outcome absent = fetch(folder, "raise ImportError('none')", "rte");
  EXPECT_EQ(absent.code, 1);
  EXPECT_THAT(absent.err, HasSubstr("pip install datasets"));
  const Outcome unknown = fetch(folder, kDataSets, "retention");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("retention"));
  const Outcome other = fetch(folder, "load_dataset = lambda *a, **k: [{'sentence1': 'a'}]", "rte");
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("sentence2"));
  EXPECT_FALSE(std::filesystem::exists(folder.file("out/rte/rte.jsonl")));
}

}  // namespace
}  // namespace orthant
