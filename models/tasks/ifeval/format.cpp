#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>

#include "models/tasks/ifeval/checks.h"
#include "models/tasks/ifeval/text_search.h"

namespace orthant::models {
namespace {

constexpr std::array<std::string_view, 3> kConstrainedResponses = {"My answer is yes.", "My answer is no.",
                                                                   "My answer is maybe."};
// Python gives up at a depth of about a thousand.
constexpr int kDeepestJson = 1000;

bool has_text_between_marks(std::string_view highlight) {
  return !is_blank(strip(highlight, '*'));
}

std::string_view without_fence(std::string_view text) {
  for (const std::string_view fence : {"```json", "```Json", "```JSON", "```"}) {
    if (text.starts_with(fence)) text.remove_prefix(fence.size());
  }
  if (text.ends_with("```")) text.remove_suffix(3);
  return python_strip(text);
}

}  // namespace

// Lists of "*" that is not doubled, and of "-".
bool has_bullet_lists(const Instruction& instruction, const std::string& response) {
  static const Pattern star(fmt::format(R"((?m)^[{}]*\*[^\*].*$)", kPythonSpace));
  static const Pattern dash(fmt::format(R"((?m)^[{}]*-.*$)", kPythonSpace));
  const auto bullets = find_all(star, response).size() + find_all(dash, response).size();
  return static_cast<int64_t>(bullets) == count_argument(instruction, "num_bullets");
}

bool is_constrained_response(const Instruction& /*instruction*/, const std::string& response) {
  return std::ranges::any_of(kConstrainedResponses, [&](std::string_view answer) {
    return response.find(answer) != std::string::npos;
  });
}

// A section in double asterisks is found by both expressions where the inner one fits, as in the reference.
bool has_highlighted_sections(const Instruction& instruction, const std::string& response) {
  static const Pattern single(R"(\*[^\n\*]*\*)");
  static const Pattern twofold(R"(\*\*[^\n\*]*\*\*)");
  const auto highlights = std::ranges::count_if(find_all(single, response), has_text_between_marks) +
                          std::ranges::count_if(find_all(twofold, response), has_text_between_marks);
  return highlights >= count_argument(instruction, "num_highlights");
}

bool has_sections(const Instruction& instruction, const std::string& response) {
  const std::string mark = text_argument(instruction, "section_spliter");
  const Pattern heading(fmt::format(R"([{0}]?{1}[{0}]?\d+[{0}]?)", kPythonSpace, python_strip(mark)));
  return std::ssize(find_all(heading, response)) >= count_argument(instruction, "num_sections");
}

bool is_json(const Instruction& /*instruction*/, const std::string& response) {
  boost::json::parse_options options;
  options.max_depth = kDeepestJson;
  boost::system::error_code error;
  boost::json::parse(without_fence(python_strip(response)), error, {}, options);
  return !error;
}

bool has_title(const Instruction& /*instruction*/, const std::string& response) {
  static const Pattern title(R"(<<[^\n]+>>)");
  return std::ranges::any_of(find_all(title, response), [](std::string_view found) {
    while (found.starts_with('<')) found.remove_prefix(1);
    while (found.ends_with('>')) found.remove_suffix(1);
    return !is_blank(found);
  });
}

}  // namespace orthant::models
