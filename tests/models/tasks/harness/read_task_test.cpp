#include "models/tasks/harness/read_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "models/tasks/harness/gsm8k.h"
#include "runtime/core/error.h"
#include "tests/models/tasks/harness/sha256_of.h"
#include "tests/support/code_of.h"
#include "tests/support/shared_files.h"
#include "tests/support/temp_dir.h"

namespace orthant::models {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::TempDir;

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string item(const std::string& goal, const std::string& more = "") {
  return R"({"goal":")" + goal + R"(","sol1":"a","sol2":"b")" + more + "}\n";
}

std::vector<TaskDocument> read(const std::string& task, const TempDir& folder, int64_t limit = 0) {
  return read_task(find_task(task), folder.path().string(), limit);
}

ExitCode refusal(const std::string& task, const TempDir& folder, std::string& message, int64_t limit = 0) {
  return testing::code_of([&] { (void)read(task, folder, limit); }, &message);
}

TEST(ReadTask, ReadsTheOriginalFilesOfPiqa) {
  const TempDir folder;
  write(folder.path() / "valid.jsonl", item("x") + "\n" + item("y") + item("z"));
  write(folder.path() / "valid-labels.lst", "0\r\n1\n1");
  const auto documents = read("piqa", folder);
  ASSERT_EQ(documents.size(), 3u);
  EXPECT_EQ(documents[0].gold, 0);
  EXPECT_EQ(documents[1].gold, 1);
  EXPECT_EQ(documents[2].requests[1].context, "Question: z\nAnswer:");
  EXPECT_EQ(read("piqa", folder, 2).size(), 2u);
  EXPECT_EQ(read("piqa", folder, 9).size(), 3u);
}

TEST(ReadTask, ReadsTheJsonLinesOfATask) {
  const TempDir folder;
  write(folder.path() / "piqa.jsonl", item("x", R"(,"label":1)") + item("y", R"(,"label":0,"id":"q")"));
  EXPECT_EQ(read("piqa", folder).size(), 2u);
  EXPECT_EQ(read("piqa", folder, 1).front().gold, 1);
}

TEST(ReadTask, LooksIntoTheFolderOfTheTaskFirst) {
  const TempDir folder;
  const std::string problem = R"({"question":"q","answer":"#### 1"})";
  write(folder.path() / "gsm8k" / "test.jsonl", problem);
  write(folder.path() / "test.jsonl", "{}");
  EXPECT_EQ(read("gsm8k_answers", folder).front().requests[0].continuation, " #### 1");
  write(folder.path() / "gsm8k_answers" / "gsm8k_answers.jsonl", R"({"question":"q","answer":"#### 2"})");
  EXPECT_EQ(read("gsm8k_answers", folder).front().answer, "#### 2");
}

TEST(ReadTask, NamesFileLineAndField) {
  const TempDir folder;
  std::string message;
  write(folder.path() / "piqa.jsonl", item("x", R"(,"label":1)") + "\n" + item("y"));
  EXPECT_EQ(refusal("piqa", folder, message), ExitCode::kData);
  EXPECT_THAT(message, AllOf(HasSubstr("piqa.jsonl, line 3"), HasSubstr("\"label\"")));
  EXPECT_EQ(read("piqa", folder, 1).size(), 1u);  // the line is not needed
  write(folder.path() / "piqa.jsonl", item("x", R"(,"label":1)") + "{\"goal\":\n");
  EXPECT_EQ(refusal("piqa", folder, message), ExitCode::kData);
  EXPECT_THAT(message, HasSubstr("piqa.jsonl, line 2"));
  write(folder.path() / "piqa.jsonl", item("x", R"(,"label":1)") + "[1]\n");
  EXPECT_EQ(refusal("piqa", folder, message), ExitCode::kData);
  EXPECT_THAT(message, HasSubstr("piqa.jsonl, line 2"));
  write(folder.path() / "piqa.jsonl", item("x", R"(,"label":1)") + item("\xff", R"(,"label":1)"));
  EXPECT_EQ(refusal("piqa", folder, message), ExitCode::kData);
  EXPECT_THAT(message, AllOf(HasSubstr("piqa.jsonl, line 2"), HasSubstr("UTF-8")));
}

TEST(ReadTask, RefusesLabelsThatDoNotFit) {
  const TempDir folder;
  std::string message;
  write(folder.path() / "valid.jsonl", item("x") + item("y"));
  EXPECT_EQ(refusal("piqa", folder, message), ExitCode::kIo);
  EXPECT_THAT(message, HasSubstr("valid-labels.lst"));
  for (const char* const labels : {"0\n", "0\n1\n1\n"}) {
    write(folder.path() / "valid-labels.lst", labels);
    EXPECT_EQ(refusal("piqa", folder, message), ExitCode::kData);
    EXPECT_THAT(message, HasSubstr("items"));
  }
  write(folder.path() / "valid-labels.lst", "0\n2\n");
  EXPECT_EQ(refusal("piqa", folder, message), ExitCode::kData);
  EXPECT_THAT(message, HasSubstr("valid-labels.lst, line 2"));
}

TEST(ReadTask, RefusesFoldersWithoutTheData) {
  const TempDir folder;
  std::string message;
  EXPECT_EQ(refusal("mmlu", folder, message), ExitCode::kConfig);
  EXPECT_THAT(message, HasSubstr("mmlu.jsonl"));
  write(folder.path() / "mmlu.jsonl", " \n");
  EXPECT_EQ(refusal("mmlu", folder, message), ExitCode::kConfig);
  EXPECT_EQ(refusal("mmlu", folder, message, -1), ExitCode::kConfig);
  EXPECT_EQ(testing::code_of([&] { (void)read_task(find_task("mmlu"), folder.file("absent"), 0); }),
            ExitCode::kIo);
}

TEST(ReadTask, PutsExamplesOfTheTrainSplitBeforeQuestions) {
  const TempDir folder;
  std::string train, message;
  for (int i = 0; i < 6; ++i) {
    train += R"({"question":"t)" + std::to_string(i) + R"(","answer":"#### )" + std::to_string(i) + "\"}\n";
  }
  const std::string question = R"({"question":"q","answer":"#### 9"})";
  write(folder.path() / "test.jsonl", question + "\n" + question);
  EXPECT_EQ(refusal("gsm8k", folder, message), ExitCode::kConfig);
  EXPECT_THAT(message, HasSubstr("train.jsonl"));
  write(folder.path() / "train.jsonl", train);
  const auto documents = read("gsm8k", folder);
  const auto shots = gsm8k_shots(6, 2, 5);
  for (size_t d = 0; d < 2; ++d) {
    std::string expected;
    for (const int64_t shot : shots[d]) {
      expected += "Question: t" + std::to_string(shot) + "\nAnswer: #### " + std::to_string(shot) + "\n\n";
    }
    EXPECT_EQ(documents[d].requests[0].context, expected + "Question: q\nAnswer:");
    EXPECT_EQ(documents[d].answer, "#### 9");
  }
  write(folder.path() / "test.jsonl", R"({"question":"t3","answer":"#### 3"})");  // drawn for itself
  EXPECT_EQ(shots[0], (std::vector<int64_t>{3, 0, 4, 5, 2}));
  EXPECT_THAT(read("gsm8k", folder)[0].requests[0].context,
              AllOf(StartsWith("Question: t0\n"), EndsWith("#### 2\n\nQuestion: t3\nAnswer:")));
  write(folder.path() / "test.jsonl", question);
  TaskSpec bare = find_task("gsm8k");
  bare.shots = 0;
  EXPECT_EQ(read_task(bare, folder.path().string(), 1)[0].requests[0].context, "Question: q\nAnswer:");
  bare.shots = 7;
  EXPECT_EQ(testing::code_of([&] { (void)read_task(bare, folder.path().string(), 1); }), ExitCode::kConfig);
}

TEST(ReadTask, ReadsPagesFromBothForms) {
  const TempDir folder;
  const std::string text = " = A = \n x , y \n = B = \n z ";
  write(folder.path() / "test.txt", text);
  const auto pages = read("wikitext", folder);
  ASSERT_EQ(pages.size(), 2u);
  EXPECT_EQ(pages[0].page, " = A = \n x , y ");
  EXPECT_EQ(pages[0].requests[0].continuation, " = A =\nx, y ");
  EXPECT_EQ(read("wikitext", folder, 1).size(), 1u);
  const auto whole = read("window_perplexity", folder, 1);
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_EQ(whole[0].page, text);
  write(folder.path() / "wikitext.jsonl", "{\"page\":\"p\"}\n{\"page\":\"q\"}\n{\"page\":\"r\"}\n");
  EXPECT_EQ(read("wikitext", folder).size(), 3u);
  std::string message;
  write(folder.path() / "test.txt", "");
  EXPECT_EQ(refusal("window_perplexity", folder, message), ExitCode::kConfig);
}

std::string shared_data() {
  return (testing::shared_folder() / "data").string();
}

// The hash is of the strings that Python makes of the files.
TEST(ReadTask, ReadsAllOfPiqa) {
  ORTHANT_NEEDS_SHARED("data/piqa/valid.jsonl");
  const auto documents = read_task(find_task("piqa"), shared_data(), 0);
  ASSERT_EQ(documents.size(), 1838u);
  std::vector<std::string> texts;
  for (const TaskDocument& document : documents) {
    texts.push_back(document.requests[0].context + "\x01" + document.requests[0].continuation + "\x01" +
                    document.requests[1].continuation);
    EXPECT_EQ(document.requests[0].context, document.requests[1].context);
  }
  EXPECT_EQ(testing::sha256_of(texts), "ff617b144bc95e0b9e171822aa830137968140d4da851b7f7f9b1d759835909f");
}

// The hash is of the prompts that Python makes of the files with random.Random(1234).sample.
TEST(ReadTask, MakesTheFiveShotPromptsOfGsm8k) {
  ORTHANT_NEEDS_SHARED("data/gsm8k/train.jsonl");
  std::vector<std::string> prompts;
  for (const TaskDocument& document : read_task(find_task("gsm8k"), shared_data(), 0)) {
    prompts.push_back(document.requests[0].context);
  }
  EXPECT_EQ(prompts.size(), 1319u);
  EXPECT_EQ(testing::sha256_of(prompts), "84119a05b6c77e92415182c7963444e153dd2df04e05e238744f26b105c0a8b6");
  prompts.resize(3);
  EXPECT_EQ(testing::sha256_of(prompts), "b7bf55a33198583c45d10f6c3525c1487eb29ca65f7670b398880e55dba703d9");
}

TEST(ReadTask, ReadsTheSharedTexts) {
  ORTHANT_NEEDS_SHARED("data/wikitext-2/test.txt");
  EXPECT_EQ(read_task(find_task("wikitext"), shared_data(), 0).size(), 62u);
  EXPECT_EQ(read_task(find_task("window_perplexity"), shared_data(), 0).front().page.size(), 1256449u);
  EXPECT_EQ(read_task(find_task("gsm8k_answers"), shared_data(), 7).size(), 7u);
}

}  // namespace
}  // namespace orthant::models
