#include "models/text/document_template.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <fstream>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"
#include "tests/support/temp_dir.h"

namespace orthant::models {
namespace {

const OpenThoughtsPrompts kPrompts = {.system = "\nbe\nthorough\n",
                                      .math = "in a box: ",
                                      .code_from_input = "read: ",
                                      .code_of_function = "define: "};

std::string composed(const std::string& line) {
  const boost::json::object object = boost::json::parse(line).as_object();
  return openthoughts_document(kPrompts, object,
                               [&](const char* name) { return std::string(object.at(name).as_string()); });
}

std::string line_of(const std::string& domain, const std::string& more = "") {
  return "{\"domain\":\"" + domain +
         "\",\"problem\":\"PROBLEM\",\"deepseek_reasoning\":\"REASONING\",\"deepseek_solution\":"
         "\"SOLUTION\"" +
         more + "}";
}

// What stands between the turns of the user and of the assistant.
std::string user_turn(const std::string& document) {
  const std::string user = "<｜User｜>", assistant = "<｜Assistant｜>";
  const size_t begin = document.find(user) + user.size();
  return document.substr(begin, document.find(assistant) - begin);
}

TEST(OpenThoughtsDocument, HasTheTurnsInTheirOrder) {
  EXPECT_EQ(composed(line_of("physics")),
            "\nbe\nthorough\n<｜User｜>PROBLEM<｜Assistant｜><think>\nREASONING\n</think>\nSOLUTION");
}

TEST(OpenThoughtsDocument, TheUserTurnDependsOnTheDomain) {
  for (const char* const bare : {"puzzle", "biology", "chemistry", "physics"}) {
    EXPECT_EQ(user_turn(composed(line_of(bare))), "PROBLEM");
  }
  EXPECT_EQ(user_turn(composed(line_of("math"))), "in a box: PROBLEM");
  EXPECT_EQ(user_turn(composed(line_of("code", R"(,"test_cases":"{}","starter_code":null)"))),
            "read: PROBLEM");
  EXPECT_EQ(user_turn(composed(
                line_of("code", R"(,"test_cases":"{\"fn_name\":\"f\"}","starter_code":"def f():")"))),
            "define: PROBLEM\ndef f():");
}

TEST(OpenThoughtsDocument, RefusesAnotherDomain) {
  EXPECT_EQ(testing::code_of([] { (void)composed(line_of("poetry")); }), ExitCode::kConfig);
}

TEST(TemplatePrompts, AreReadFromAFile) {
  const testing::TempDir folder;
  const std::string path = folder.file("prompts.json");
  std::ofstream(path) << R"({"system":"s\n","math":"m","code_from_input":"i","code_of_function":"f"})";
  EXPECT_FALSE(template_prompts("field", "").has_value());
  const auto prompts = template_prompts("openthoughts", path);
  ASSERT_TRUE(prompts.has_value());
  EXPECT_EQ(prompts->system, "s\n");
  EXPECT_EQ(prompts->code_of_function, "f");
}

TEST(TemplatePrompts, RefuseWhatIsMissing) {
  const testing::TempDir folder;
  const std::string path = folder.file("prompts.json");
  std::ofstream(path) << R"({"system":"s","math":"m","code_from_input":"i"})";
  std::string message;
  EXPECT_EQ(testing::code_of([&] { (void)template_prompts("openthoughts", path); }, &message),
            ExitCode::kData);
  EXPECT_NE(message.find("code_of_function"), std::string::npos);
  EXPECT_EQ(testing::code_of([] { (void)template_prompts("openthoughts", ""); }), ExitCode::kConfig);
  EXPECT_EQ(testing::code_of([] { (void)template_prompts("alpaca", ""); }), ExitCode::kConfig);
}

}  // namespace
}  // namespace orthant::models
