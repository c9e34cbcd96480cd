// Whether text is well-formed XML: elements nest and close, attributes are quoted, references are known, and
// no bare < or & stands in text. For pages that the program writes; comments and CDATA are not expected in
// them.
#pragma once

#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orthant::testing {

class XmlCheck {
 public:
  explicit XmlCheck(std::string_view text) : text_(text) {}

  // "" when well-formed, else what is wrong and at which byte.
  [[nodiscard]] std::string problem() {
    if (text_.starts_with("<!DOCTYPE html>")) at_ = 15;
    while (at_ < text_.size() && problem_.empty()) {
      text_[at_] == '<' ? tag() : text_[at_] == '&' ? reference() : character();
    }
    if (problem_.empty() && !open_.empty()) fail("unclosed <" + open_.back() + ">");
    if (problem_.empty() && roots_ != 1) fail("not one root element");
    return problem_;
  }

 private:
  void fail(const std::string& what) {
    if (problem_.empty()) problem_ = what + " at byte " + std::to_string(at_);
  }
  [[nodiscard]] char here() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space() {
    while (std::isspace(static_cast<unsigned char>(here())) != 0) ++at_;
  }
  std::string name() {
    const size_t begin = at_;
    while (std::isalnum(static_cast<unsigned char>(here())) != 0 || here() == '-' || here() == '_') ++at_;
    if (at_ == begin) fail("no name");
    return std::string(text_.substr(begin, at_ - begin));
  }
  void character() {
    const auto byte = static_cast<unsigned char>(here());
    if (open_.empty() && std::isspace(byte) == 0) fail("text outside the root");
    if (byte < 0x20 && byte != '\n' && byte != '\t' && byte != '\r') fail("control character");
    if (text_.substr(at_).starts_with("]]>")) fail("]]> in text");
    ++at_;
  }
  void reference() {
    static const std::set<std::string_view> kKnown = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    const size_t end = text_.find(';', at_);
    const bool is_known = end != std::string_view::npos && kKnown.contains(text_.substr(at_, end - at_ + 1));
    if (!is_known) return fail("unknown reference");
    at_ = end + 1;
  }
  void tag() {
    ++at_;
    if (here() == '/') {
      ++at_;
      const std::string closed = name();
      if (open_.empty() || open_.back() != closed) return fail("</" + closed + "> closes nothing");
      open_.pop_back();
      if (here() != '>') return fail("no > after a name");
      ++at_;
      return;
    }
    const std::string element = name();
    roots_ += open_.empty() ? 1 : 0;
    if (!attributes()) return;
    const bool is_empty = here() == '/';
    at_ += is_empty ? 1 : 0;
    if (here() != '>') return fail("no > at the end of <" + element);
    ++at_;
    if (!is_empty) open_.push_back(element);
  }
  bool attributes() {
    std::set<std::string> seen;
    for (skip_space(); here() != '>' && here() != '/' && problem_.empty(); skip_space()) {
      if (!seen.insert(name()).second) fail("an attribute twice");
      if (here() != '=') fail("an attribute without a value");
      ++at_;
      if (here() != '"') fail("an unquoted attribute");
      ++at_;
      while (here() != '"' && problem_.empty()) {
        if (here() == '<' || here() == '\0') fail("bad attribute");
        here() == '&' ? reference() : void(++at_);
      }
      ++at_;
    }
    return problem_.empty();
  }

  std::string_view text_;
  size_t at_ = 0;
  int roots_ = 0;
  std::vector<std::string> open_;
  std::string problem_;
};

inline std::string xml_problem(std::string_view text) {
  return XmlCheck(text).problem();
}

inline size_t occurrences(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace orthant::testing
