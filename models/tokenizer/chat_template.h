// Chat templates written natively: the form is recognised from the text of the model's Jinja template.
//
// Known forms: ChatML (SmolLM2, Qwen 2 and 2.5, each with the default system turn its template holds), Llama
// 3, 3.1 and 3.2, Llama 2, Mistral. A date in the text is the template's own default, never today's, so that
// results can be repeated. Immutable; thread-safe.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "models/tokenizer/tokenizer.h"

namespace orthant::models {

class ChatTemplate {
 public:
  virtual ~ChatTemplate() = default;
  // Ends where the assistant begins to speak. Throws Error(kConfig) for a conversation the template refuses.
  [[nodiscard]] virtual std::string apply(std::span<const ChatMessage> messages) const = 0;
};

// `bos` and `eos` are the texts of the tokens. An empty or unknown template gives one whose apply() throws
// Error(kConfig) naming what is supported.
[[nodiscard]] std::unique_ptr<ChatTemplate> recognise_chat_template(std::string_view jinja, std::string bos,
                                                                    std::string eos);

}  // namespace orthant::models
