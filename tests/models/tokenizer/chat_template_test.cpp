#include "models/tokenizer/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/core/error.h"

namespace orthant {
namespace {

using models::ChatMessage;
using ::testing::HasSubstr;

const std::vector<ChatMessage> kUser = {{"user", "Hi "}};
const std::vector<ChatMessage> kSystem = {
    {"system", "Be brief."}, {"user", "Hi"}, {"assistant", "Yes?"}, {"user", "Go"}};

std::string applied(std::string_view jinja, const std::vector<ChatMessage>& messages) {
  return models::recognise_chat_template(jinja, "<s>", "</s>")->apply(messages);
}

constexpr std::string_view kSmol =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ "
    "'<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

constexpr std::string_view kQwen =
    R"({%- if tools %}{{- '<|im_start|>system\n' }}{%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] }})"
    R"({%- else %}{{- 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}{%- endif %})"
    R"({{- "\n\n# Tools" }}{%- else %}{%- if messages[0]['role'] == 'system' %})"
    R"({{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}{%- else %})"
    R"({{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }})"
    R"({%- endif %}{%- endif %}{%- for message in messages %}{{- '<|im_start|>' + message.role + '\n' + message.content + )"
    R"('<|im_end|>' + '\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %})";

TEST(ChatTemplate, ChatMlPutsInTheDefaultSystemTurnOfItsTemplate) {
  EXPECT_EQ(
      "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
      "<|im_start|>user\nHi <|im_end|>\n<|im_start|>assistant\n",
      applied(kSmol, kUser));
  EXPECT_EQ(
      "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
      "<|im_start|>user\nHi <|im_end|>\n<|im_start|>assistant\n",
      applied(kQwen, kUser));
  const std::string own =
      "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
      "<|im_start|>assistant\nYes?<|im_end|>\n<|im_start|>user\nGo<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(own, applied(kSmol, kSystem));
  EXPECT_EQ(own, applied(kQwen, kSystem));
}

TEST(ChatTemplate, PlainChatMlHasNoDefault) {
  EXPECT_EQ(
      "<|im_start|>user\nHi <|im_end|>\n<|im_start|>assistant\n",
      applied("{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>'}}", kUser));
}

TEST(ChatTemplate, Llama3) {
  EXPECT_EQ(
      "<s><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_"
      "id|>\n\n",
      applied("'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim "
              "+ '<|eot_id|>'",
              kUser));
}

TEST(ChatTemplate, Llama31BeginsWithItsDates) {
  constexpr std::string_view kJinja =
      R"({{- bos_token }}{%- if not date_string is defined %}{%- set date_string = "26 Jul 2024" %}{%- endif %})"
      R"({{- "<|start_header_id|>system<|end_header_id|>\n\n" }}{{- "Cutting Knowledge Date: December 2023\n" }})"
      R"({{- "Today Date: " + date_string + "\n\n" }}{{- system_message }}{{- "<|eot_id|>" }})";
  const std::string dates =
      "<s><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
      "Today Date: 26 Jul 2024\n\n";
  EXPECT_EQ(dates +
                "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n",
            applied(kJinja, kUser));
  EXPECT_THAT(applied(kJinja, kSystem), HasSubstr(dates + "Be brief.<|eot_id|><|start_header_id|>user"));
}

TEST(ChatTemplate, Llama2) {
  constexpr std::string_view kJinja =
      "'<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' '[INST] ' ' [/INST]'";
  EXPECT_EQ("<s>[INST] Hi [/INST]", applied(kJinja, kUser));
  EXPECT_EQ("<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Yes? </s><s>[INST] Go [/INST]",
            applied(kJinja, kSystem));
  const std::vector<ChatMessage> two_users = {{"user", "a"}, {"user", "b"}};
  EXPECT_THROW(applied(kJinja, two_users), Error);
}

TEST(ChatTemplate, MistralReleasesDifferInTheirSpaces) {
  constexpr std::string_view kFirst =
      "{{ bos_token }}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
      "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + ' ' }}";
  constexpr std::string_view kThird =
      R"({%- if loop.last and system_message is defined %}{{- "[INST] " + system_message + "\n\n" + message["content"] + "[/INST]" }})"
      R"({%- else %}{{- "[INST] " + message["content"] + "[/INST]" }}{{- " " + message["content"] + eos_token }})";
  const std::vector<ChatMessage> turns = {{"user", "Hi"}, {"assistant", "Yes?"}, {"user", "Go"}};
  EXPECT_EQ("<s>[INST] Hi [/INST]Yes?</s> [INST] Go [/INST]", applied(kFirst, turns));
  EXPECT_EQ("<s>[INST] Hi[/INST] Yes?</s>[INST] Be brief.\n\nGo[/INST]", applied(kThird, kSystem));
  EXPECT_THROW(applied(kFirst, kSystem), Error);
}

TEST(ChatTemplate, UnknownFormsSayWhatIsSupported) {
  for (const std::string_view jinja : {"", "{{ '<start_of_turn>' }}", "<|im_start|> {{ '<think>' }}"}) {
    try {
      (void)applied(jinja, kUser);
      FAIL() << jinja;
    } catch (const Error& error) {
      EXPECT_EQ(ExitCode::kConfig, error.code());
      EXPECT_THAT(error.what(), HasSubstr("ChatML, Llama 3, Llama 2 and Mistral"));
    }
  }
}

}  // namespace
}  // namespace orthant
