// A regular expression over UTF-8 text, compiled to machine code where PCRE2 can.
//
// Written as the pre-tokenizers of Hugging Face write it: \p{..}, look-ahead, and \s with the White_Space
// property of Unicode. Immutable; thread-safe.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace orthant::models {

class Pattern {
 public:
  // Throws Error(kConfig) naming the expression and where it is wrong.
  explicit Pattern(const std::string& expression);
  ~Pattern();
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;

  // Calls `visit` with every match that is not empty, left to right; `text` is well-formed UTF-8. Throws
  // Error(kData) when the expression backtracks without bound.
  void for_each_match(std::string_view text,
                      const std::function<void(size_t begin, size_t end)>& visit) const;

  // The expression that matches exactly `text`.
  [[nodiscard]] static std::string quote(std::string_view text);

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

}  // namespace orthant::models
