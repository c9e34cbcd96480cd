// Tokenizers against ids that other implementations gave for real models.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "models/tokenizer/tokenizer.h"
#include "tests/support/shared_files.h"
#include "tests/support/test_model.h"

namespace orthant {
namespace {

constexpr const char* kSmolTokenizer = "golden/smollm2_135m/tokenizer.json";
constexpr const char* kGreedy = "golden/smollm2_135m/greedy.json";
constexpr const char* kStories = "golden/smollm2_135m/stories260k.json";
constexpr const char* kStoriesModel = "data/models/stories260K/stories260K.bin";

boost::json::value shared_json(const char* relative) {
  std::ifstream stream(testing::shared_folder() / relative, std::ios::binary);
  return boost::json::parse(
      std::string(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()));
}

std::vector<int32_t> ids_of(const boost::json::value& array) {
  return boost::json::value_to<std::vector<int32_t>>(array);
}

TEST(GoldenSmolLM2, EveryCaseEncodesAndDecodesToTheSame) {
  ORTHANT_NEEDS_SHARED(kSmolTokenizer);
  ORTHANT_NEEDS_TEST_MODEL();
  const auto tokenizer = models::open_tokenizer(testing::test_model());
  const boost::json::value golden = shared_json(kSmolTokenizer);
  int cases = 0;
  for (const auto& example : golden.at("cases").as_array()) {
    const std::string text(example.at("text").as_string());
    EXPECT_EQ(ids_of(example.at("ids")), tokenizer->encode(text)) << text;
    EXPECT_EQ(std::string(example.at("decoded").as_string()), tokenizer->decode(ids_of(example.at("ids"))))
        << text;
    ++cases;
  }
  EXPECT_EQ(60, cases);
  EXPECT_EQ(49152, tokenizer->vocabulary());
  EXPECT_EQ(1, tokenizer->bos());
  EXPECT_EQ(2, tokenizer->eos());
  EXPECT_FALSE(tokenizer->adds_bos());
}

TEST(GoldenSmolLM2, ChatPromptsAreWrittenAndEncodedAlike) {
  ORTHANT_NEEDS_SHARED(kGreedy);
  ORTHANT_NEEDS_TEST_MODEL();
  const auto tokenizer = models::open_tokenizer(testing::test_model());
  const boost::json::value golden = shared_json(kGreedy);
  int chats = 0;
  for (const auto& example : golden.at("cases").as_array()) {
    if (example.at("kind").as_string() != "chat") continue;
    const std::vector<models::ChatMessage> messages = {{"user", std::string(example.at("user").as_string())}};
    const std::string prompt = tokenizer->apply_chat_template(messages);
    EXPECT_EQ(std::string(example.at("prompt").as_string()), prompt);
    EXPECT_EQ(ids_of(example.at("prompt_ids")), tokenizer->encode(prompt));
    ++chats;
  }
  EXPECT_EQ(5, chats);
}

TEST(GoldenStories, EveryCaseEncodesToTheSame) {
  ORTHANT_NEEDS_SHARED(kStories);
  ORTHANT_NEEDS_SHARED(kStoriesModel);
  const auto tokenizer = models::open_tokenizer((testing::shared_folder() / kStoriesModel).string());
  const boost::json::value golden = shared_json(kStories);
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(512, tokenizer->vocabulary());
  for (const auto& example : golden.at("tokenizer").as_array()) {
    const std::string text(example.at("text").as_string());
    std::vector<int32_t> ids = {tokenizer->bos().value()};
    const std::vector<int32_t> rest = tokenizer->encode(text);
    ids.insert(ids.end(), rest.begin(), rest.end());
    EXPECT_EQ(ids_of(example.at("ids_with_bos")), ids) << text;
    EXPECT_EQ(text, tokenizer->decode(rest));
  }
}

TEST(GoldenStories, GeneratedIdsDecodeToTheText) {
  ORTHANT_NEEDS_SHARED(kStories);
  ORTHANT_NEEDS_SHARED(kStoriesModel);
  const auto tokenizer = models::open_tokenizer((testing::shared_folder() / kStoriesModel).string());
  const boost::json::value golden = shared_json(kStories);
  for (const auto& example : golden.at("cases").as_array()) {
    std::vector<int32_t> ids = ids_of(example.at("ids_with_bos"));
    ids.erase(ids.begin());
    const std::vector<int32_t> generated = ids_of(example.at("greedy_ids"));
    ids.insert(ids.end(), generated.begin(), generated.end());
    EXPECT_EQ(std::string(example.at("text").as_string()), tokenizer->decode(ids));
  }
}

}  // namespace
}  // namespace orthant
