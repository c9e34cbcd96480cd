#include "models/tasks/harness/wikitext.h"

#include <algorithm>

#include "models/text/python_text.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

constexpr std::string_view kDegree = "\xC2\xB0";

bool begins_page(std::string_view line) {
  const std::string joined = replace_all(replace_all(line, "= = =", "==="), "= =", "==");
  const std::string_view heading = python_strip(joined);
  return heading.starts_with("= ") && heading.ends_with(" =");
}

// White space next to both delimiters goes; the text between them is the shortest, so it ends at the first
// `close`.
std::string trimmed_inside(std::string_view text, char open, char close) {
  std::string trimmed;
  while (true) {
    const size_t begin = text.find(open);
    const size_t end = begin == std::string_view::npos ? begin : text.find(close, begin + 1);
    if (end == std::string_view::npos) return trimmed.append(text);
    const std::string_view inside = text.substr(begin + 1, end - begin - 1);
    trimmed.append(text.substr(0, begin + 1)).append(python_strip(inside)).push_back(close);
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::vector<std::string> wikitext_pages(std::string_view text) {
  std::vector<std::string> pages;
  std::string page;
  bool is_first = true;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    if (begins_page(line)) {
      if (!is_blank(page)) pages.push_back(page);
      page.clear();
      is_first = true;
    }
    page.append(is_first ? "" : "\n").append(line);
    is_first = false;
  }
  if (!is_blank(page)) pages.push_back(page);
  return pages;
}

std::string wikitext_detokenize(std::string_view page) {
  std::string text = replace_all(page, "s '", "s'");
  for (const char mark : {'-', ',', '.'}) {
    text = replace_all(text, std::string(" @") + mark + "@ ", std::string(1, mark));
  }
  for (const char mark : {':', ';', '.', '!', '?', ','}) {
    text = replace_all(text, std::string(" ") + mark + " ", std::string(1, mark) + " ");
  }
  text = trimmed_inside(text, '(', ')');
  text = trimmed_inside(text, '[', ']');
  text = trimmed_inside(text, '{', '}');
  text = trimmed_inside(text, '"', '"');
  text = trimmed_inside(text, '\'', '\'');
  text = replace_all(text, "= = = =", "====");
  text = replace_all(text, "= = =", "===");
  text = replace_all(text, "= =", "==");
  text = replace_all(text, std::string(" ").append(kDegree).append(" "), kDegree);
  text = replace_all(text, " \n", "\n");
  text = replace_all(text, "\n ", "\n");
  text = replace_all(text, " N ", " 1 ");
  return replace_all(text, " 's", "'s");
}

std::vector<RollingWindow> rolling_windows(std::span<const int32_t> tokens, int32_t prefix,
                                           int64_t max_length) {
  require(max_length >= 1, "a window has at least one token");
  const auto count = static_cast<int64_t>(tokens.size());
  std::vector<RollingWindow> windows;
  for (int64_t scored = 0; scored < count;) {
    const int64_t length = std::min(max_length, count - scored);
    const int64_t end = scored + length;
    // Inputs are the tokens before each scored one and, once there are any, all that fit before those.
    const int64_t first = scored == 0 ? 0 : end - 1 - max_length;
    RollingWindow window{.scored = length};
    if (scored == 0) window.input.push_back(prefix);
    window.input.insert(window.input.end(), tokens.begin() + first, tokens.begin() + end - 1);
    windows.push_back(std::move(window));
    scored = end;
  }
  return windows;
}

}  // namespace orthant::models
