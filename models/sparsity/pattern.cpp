#include "models/sparsity/pattern.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

[[noreturn]] void throw_pattern(std::string_view name, const std::string& why) {
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("pattern {}", name),
               .why = why,
               .suggestion = "use dense, N:M such as 8:16, or a share of zeros such as 50%"});
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

SparsityPattern parse_pattern(std::string_view name) {
  if (name == "dense") return {};
  if (const size_t colon = name.find(':'); colon != std::string_view::npos) {
    const auto keep = number<int64_t>(name.substr(0, colon)), group = number<int64_t>(name.substr(colon + 1));
    if (!keep || !group) throw_pattern(name, "N and M are whole numbers");
    if (*group < 1 || *keep < 0) throw_pattern(name, "M is at least 1 and N at least 0");
    if (*keep > *group) throw_pattern(name, fmt::format("{} of every {} cannot survive", *keep, *group));
    return {.kind = SparsityPattern::Kind::kGroups, .keep = *keep, .group = *group};
  }
  if (!name.ends_with('%')) throw_pattern(name, "it is none of the known forms");
  const auto percent = number<double>(name.substr(0, name.size() - 1));
  if (!percent || !(*percent >= 0.0 && *percent <= 100.0)) throw_pattern(name, "a share is 0 to 100 %");
  return {.kind = SparsityPattern::Kind::kShare, .percent = *percent};
}

std::string to_string(const SparsityPattern& pattern) {
  switch (pattern.kind) {
    case SparsityPattern::Kind::kDense:
      return "dense";
    case SparsityPattern::Kind::kGroups:
      return fmt::format("{}:{}", pattern.keep, pattern.group);
    case SparsityPattern::Kind::kShare:
      return fmt::format("{}%", pattern.percent);
  }
  return {};
}

kernels::PrunePattern row_pattern(const SparsityPattern& pattern, int64_t inputs, std::string_view what) {
  require(!pattern.is_dense(), "a dense pattern prunes nothing");
  if (pattern.kind == SparsityPattern::Kind::kShare)
    return {static_cast<int64_t>(static_cast<double>(inputs) * (1.0 - pattern.sparsity())), 0};
  if (inputs % pattern.group != 0) {
    throw Error(
        ExitCode::kConfig,
        {.problem = fmt::format("pattern {} of {}", to_string(pattern), what),
         .why = fmt::format("its {} inputs are no multiple of {}", inputs, pattern.group),
         .suggestion = "use an M that divides the width, or leave the projection out with --projections"});
  }
  return {pattern.keep, pattern.group};
}

}  // namespace orthant::models
