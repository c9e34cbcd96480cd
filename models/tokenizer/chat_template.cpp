#include "models/tokenizer/chat_template.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kSpace) - first + 1));
}

// The content of a Jinja string literal, with \n written as an escape or as itself.
std::string unescaped(std::string_view literal) {
  std::string result;
  for (size_t i = 0; i < literal.size(); ++i) {
    if (literal[i] != '\\' || i + 1 == literal.size()) {
      result += literal[i];
      continue;
    }
    const char escaped = literal[++i];
    result += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped;
  }
  return result;
}

// The first string literal of the template that holds `part`.
std::optional<std::string> literal_with(std::string_view jinja, std::string_view part, size_t from = 0) {
  const size_t at = jinja.find(part, from);
  if (at == std::string_view::npos) return std::nullopt;
  const size_t open = jinja.find_last_of("'\"", at);
  if (open == std::string_view::npos) return std::nullopt;
  const size_t close = jinja.find(jinja[open], at + part.size());
  if (close == std::string_view::npos) return std::nullopt;
  return unescaped(jinja.substr(open + 1, close - open - 1));
}

[[noreturn]] void throw_refused(std::string_view form, std::string_view why) {
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("the {} chat template refuses the conversation", form),
               .why = std::string(why),
               .suggestion = "change the order or the roles of the messages"});
}

class Unknown final : public ChatTemplate {
 public:
  explicit Unknown(std::string why) : why_(std::move(why)) {}
  [[nodiscard]] std::string apply(std::span<const ChatMessage>) const override {
    throw Error(ExitCode::kConfig,
                {.problem = "the model's chat template cannot be applied",
                 .why = why_,
                 .suggestion =
                     "supported are ChatML, Llama 3, Llama 2 and Mistral; or give the prompt as plain text"});
  }

 private:
  std::string why_;
};

class ChatMl final : public ChatTemplate {
 public:
  ChatMl(std::optional<std::string> default_system, bool trims)
      : default_system_(std::move(default_system)), trims_(trims) {}

  [[nodiscard]] std::string apply(std::span<const ChatMessage> messages) const override {
    std::string text;
    const bool has_system = !messages.empty() && messages.front().role == "system";
    if (default_system_ && !messages.empty() && !has_system) text += turn("system", *default_system_);
    for (const ChatMessage& message : messages) {
      text += turn(message.role, trims_ ? trimmed(message.content) : message.content);
    }
    return text + "<|im_start|>assistant\n";
  }

 private:
  static std::string turn(std::string_view role, std::string_view content) {
    return fmt::format("<|im_start|>{}\n{}<|im_end|>\n", role, content);
  }
  std::optional<std::string> default_system_;
  bool trims_;
};

// A literal "<|im_start|>system\n...<|im_end|>" with text of its own is the turn that is put in by default.
std::optional<std::string> default_system_turn(std::string_view jinja) {
  constexpr std::string_view kOpen = "<|im_start|>system";
  constexpr std::string_view kClose = "<|im_end|>";
  for (size_t at = jinja.find(kOpen); at != std::string_view::npos; at = jinja.find(kOpen, at + 1)) {
    const auto literal = literal_with(jinja, kOpen, at);
    if (!literal) continue;
    const size_t open = literal->find(kOpen);
    const size_t close = literal->find(kClose, open);
    if (close == std::string::npos) continue;
    const size_t begin = open + kOpen.size() + 1;  // after the line break
    return literal->substr(begin, close - begin);
  }
  return std::nullopt;
}

class Llama3 final : public ChatTemplate {
 public:
  Llama3(std::string bos, std::string preamble) : bos_(std::move(bos)), preamble_(std::move(preamble)) {}

  [[nodiscard]] std::string apply(std::span<const ChatMessage> messages) const override {
    std::string text = bos_;
    if (!preamble_.empty()) {
      const bool has_system = !messages.empty() && messages.front().role == "system";
      text +=
          header("system") + preamble_ + (has_system ? trimmed(messages.front().content) : "") + "<|eot_id|>";
      if (has_system) messages = messages.subspan(1);
    }
    for (const ChatMessage& message : messages) {
      text += header(message.role) + trimmed(message.content) + "<|eot_id|>";
    }
    return text + header("assistant");
  }

 private:
  static std::string header(std::string_view role) {
    return fmt::format("<|start_header_id|>{}<|end_header_id|>\n\n", role);
  }
  std::string bos_;
  std::string preamble_;  // Llama 3.1 begins every system turn with two dates
};

std::string llama3_preamble(std::string_view jinja) {
  if (!contains(jinja, "Cutting Knowledge Date")) return {};
  const std::string knowledge = literal_with(jinja, "Cutting Knowledge Date").value_or("");
  const std::string today = literal_with(jinja, "Today Date").value_or("Today Date: ");
  const size_t assignment = jinja.find("date_string = \"");
  const size_t begin = assignment == std::string_view::npos ? jinja.size() : assignment + 15;
  const std::string date(jinja.substr(begin, jinja.find('"', begin) - begin));
  return knowledge + today + (date.empty() ? "26 Jul 2024" : date) + "\n\n";
}

// User and assistant alternate, the user first.
void check_alternation(std::string_view form, std::span<const ChatMessage> messages) {
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role == (i % 2 == 0 ? "user" : "assistant")) continue;
    throw_refused(form,
                  "after an optional system message, user and assistant must alternate, the user first");
  }
}

class Llama2 final : public ChatTemplate {
 public:
  Llama2(std::string bos, std::string eos) : bos_(std::move(bos)), eos_(std::move(eos)) {}

  [[nodiscard]] std::string apply(std::span<const ChatMessage> messages) const override {
    std::string system;
    if (!messages.empty() && messages.front().role == "system") {
      system = "<<SYS>>\n" + messages.front().content + "\n<</SYS>>\n\n";
      messages = messages.subspan(1);
    }
    check_alternation("Llama 2", messages);
    std::string text;
    for (size_t i = 0; i < messages.size(); ++i) {
      const std::string content = i == 0 ? system + messages[i].content : messages[i].content;
      if (messages[i].role == "user") {
        text += bos_ + "[INST] " + trimmed(content) + " [/INST]";
      } else {
        text += " " + trimmed(content) + " " + eos_;
      }
    }
    return text;
  }

 private:
  std::string bos_;
  std::string eos_;
};

struct MistralForm {
  std::string open = "[INST] ";
  std::string close = " [/INST]";
  std::string before_answer;
  std::string after_answer;
  bool takes_system = false;
  bool system_goes_last = false;  // into the last user turn instead of the first
};

class Mistral final : public ChatTemplate {
 public:
  Mistral(MistralForm form, std::string bos, std::string eos)
      : form_(std::move(form)), bos_(std::move(bos)), eos_(std::move(eos)) {}

  [[nodiscard]] std::string apply(std::span<const ChatMessage> messages) const override {
    std::string system;
    if (!messages.empty() && messages.front().role == "system") {
      if (!form_.takes_system) throw_refused("Mistral", "it has no place for a system message");
      system = messages.front().content + "\n\n";
      messages = messages.subspan(1);
    }
    check_alternation("Mistral", messages);
    const size_t system_turn = form_.system_goes_last && !messages.empty() ? messages.size() - 1 : 0;
    std::string text = bos_;
    for (size_t i = 0; i < messages.size(); ++i) {
      if (messages[i].role == "user") {
        text += form_.open + (i == system_turn ? system : "") + messages[i].content + form_.close;
      } else {
        text += form_.before_answer + messages[i].content + eos_ + form_.after_answer;
      }
    }
    return text;
  }

 private:
  MistralForm form_;
  std::string bos_;
  std::string eos_;
};

// The releases differ in the spaces around the marks and the answers.
MistralForm mistral_form(std::string_view jinja) {
  MistralForm form;
  form.open = literal_with(jinja, "[INST]").value_or(form.open);
  form.close = literal_with(jinja, "[/INST]").value_or(form.close);
  const auto has_either = [jinja](std::string_view single_quoted, std::string_view double_quoted) {
    return contains(jinja, single_quoted) || contains(jinja, double_quoted);
  };
  if (has_either("' ' + message['content']", "\" \" + message[\"content\"]")) form.before_answer = " ";
  if (has_either("eos_token + ' '", "eos_token + \" \"")) form.after_answer = " ";
  form.takes_system = contains(jinja, "system_message");
  form.system_goes_last = contains(jinja, "loop.last and system_message");
  return form;
}

}  // namespace

std::unique_ptr<ChatTemplate> recognise_chat_template(std::string_view jinja, std::string bos,
                                                      std::string eos) {
  if (jinja.empty()) return std::make_unique<Unknown>("the model has none");
  if (contains(jinja, "<think>") || contains(jinja, "reasoning_content")) {
    return std::make_unique<Unknown>("it is of no known form: it edits the assistant's reasoning");
  }
  if (contains(jinja, "<|im_start|>")) {
    const bool trims = contains(jinja, "| trim") || contains(jinja, "|trim");
    return std::make_unique<ChatMl>(default_system_turn(jinja), trims);
  }
  if (contains(jinja, "<|start_header_id|>") && contains(jinja, "<|eot_id|>")) {
    return std::make_unique<Llama3>(std::move(bos), llama3_preamble(jinja));
  }
  if (contains(jinja, "<<SYS>>")) return std::make_unique<Llama2>(std::move(bos), std::move(eos));
  if (contains(jinja, "[INST]")) {
    return std::make_unique<Mistral>(mistral_form(jinja), std::move(bos), std::move(eos));
  }
  return std::make_unique<Unknown>("it is of no known form");
}

}  // namespace orthant::models
