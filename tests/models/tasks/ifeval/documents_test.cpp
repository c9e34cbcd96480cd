#include "models/tasks/ifeval/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "runtime/core/error.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using models::read_ifeval;
using ::testing::HasSubstr;

constexpr const char* kHats =
    R"({"key": 7, "prompt": "Write about hats, with no comma.",)"
    R"( "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],)"
    R"( "kwargs": [{}, {"num_words": 20, "relation": "at least", "keywords": null,)"
    R"( "language": "", "num_bullets": 0, "forbidden_words": []}]})";
constexpr const char* kTea =
    R"({"key": 9, "prompt": "Tea, in Danish and in \"quotes\".", "extra": 1,)"
    R"( "instruction_id_list": ["language:response_language", "startend:quotation"],)"
    R"( "kwargs": [{"language": "da"}, {}]})";

class IfevalDocuments : public ::testing::Test {
 protected:
  std::string file(const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  // The line 2 of a file that is otherwise sound.
  std::string refusal(const std::string& line) {
    try {
      static_cast<void>(read_ifeval(file(std::string(kHats) + "\n" + line + "\n"), 0));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData);
      EXPECT_THAT(error.what(), HasSubstr("line 2"));
      return error.what();
    }
    ADD_FAILURE() << "not refused: " << line;
    return {};
  }

  testing::TempDir folder;
  std::string path = folder.file("ifeval.jsonl");
};

TEST_F(IfevalDocuments, AreReadWithoutWhatPythonHoldsForFalse) {
  const auto documents = read_ifeval(file(std::string(kHats) + "\n\n" + kTea), 0);
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].key, 7);
  EXPECT_EQ(documents[0].prompt, "Write about hats, with no comma.");
  ASSERT_EQ(documents[0].instructions.size(), 2u);
  EXPECT_EQ(documents[0].instructions[0].id, "punctuation:no_comma");
  EXPECT_EQ(documents[0].instructions[1].arguments,
            (boost::json::object{{"num_words", 20}, {"relation", "at least"}}));
  EXPECT_EQ(documents[0].unchecked_instructions, 0);
}

TEST_F(IfevalDocuments, TheLanguageIsLeftOutAndCounted) {
  const auto documents = read_ifeval(file(kTea), 0);
  ASSERT_EQ(documents[0].instructions.size(), 1u);
  EXPECT_EQ(documents[0].instructions[0].id, "startend:quotation");
  EXPECT_EQ(documents[0].unchecked_instructions, 1);
}

TEST_F(IfevalDocuments, TheLimitEndsTheReading) {
  const std::string text = std::string(kHats) + "\r\n" + kTea + "\r\nbroken";
  EXPECT_EQ(read_ifeval(file(text), 1).size(), 1u);
  EXPECT_EQ(read_ifeval(file(text), 2).size(), 2u);
  EXPECT_THROW(static_cast<void>(read_ifeval(file(text), 3)), Error);
  EXPECT_THROW(static_cast<void>(read_ifeval(file(text), 0)), Error);
}

TEST_F(IfevalDocuments, BrokenLinesAreRefusedWithTheirNumber) {
  refusal("{");
  EXPECT_THAT(refusal("[1]"), HasSubstr("no JSON object"));
  EXPECT_THAT(refusal(R"({"key": 1})"), HasSubstr("\"prompt\""));
  EXPECT_THAT(refusal(R"({"key": "1", "prompt": "a", "instruction_id_list": [], "kwargs": []})"),
              HasSubstr("\"key\" is of type string"));
  EXPECT_THAT(refusal(R"({"key": 1, "prompt": "a", "instruction_id_list": [], "kwargs": []})"),
              HasSubstr("is empty"));
  EXPECT_THAT(refusal(R"({"key": 1, "prompt": "a", "instruction_id_list": ["punctuation:no_comma"]})"),
              HasSubstr("\"kwargs\""));
  refusal("{\"key\": 1, \"prompt\": \"\xFF\", \"instruction_id_list\": [], \"kwargs\": []}");
}

TEST_F(IfevalDocuments, InstructionsAreRefusedWithTheirLine) {
  const auto with = [](const std::string& ids, const std::string& kwargs) {
    return R"({"key": 1, "prompt": "a", "instruction_id_list": )" + ids + R"(, "kwargs": )" + kwargs + "}";
  };
  EXPECT_THAT(refusal(with(R"(["punctuation:no_coma"])", "[{}]")),
              HasSubstr("did you mean punctuation:no_comma?"));
  EXPECT_THAT(refusal(with(R"(["x"])", "[{}]")), HasSubstr("no instruction \"x\""));
  EXPECT_THAT(refusal(with("[1]", "[{}]")), HasSubstr("no string"));
  EXPECT_THAT(refusal(with(R"(["punctuation:no_comma"])", "[null]")), HasSubstr("no object"));
  EXPECT_THAT(refusal(with(R"(["punctuation:no_comma"])", "[{}, {}]")),
              HasSubstr("1 elements and \"kwargs\" 2"));
  EXPECT_THAT(refusal(with(R"(["length_constraints:number_words"])",
                           R"([{"num_words": 0, "relation": "at least"}])")),
              HasSubstr("\"num_words\" is missing"));
  EXPECT_THAT(
      refusal(with(R"(["length_constraints:number_words"])", R"([{"num_words": 5, "relation": "under"}])")),
      HasSubstr("\"relation\""));
}

TEST_F(IfevalDocuments, NoFileAndNoLineAreErrors) {
  try {
    static_cast<void>(read_ifeval(folder.file("absent.jsonl"), 0));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kIo);
  }
  EXPECT_THROW(static_cast<void>(read_ifeval(file("\n \n"), 0)), Error);
}

}  // namespace
}  // namespace orthant
