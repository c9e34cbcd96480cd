// One verifiable instruction of a prompt of IFEval (Zhou et al. 2023), as the published data write it: an id
// such as "keywords:existence" and the arguments of its check.
//
// Thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orthant::models {

struct Instruction {
  std::string id;
  boost::json::object arguments;
};

// The arguments of an instruction of which argument_fault() (check_table.h) found none at fault.
[[nodiscard]] std::string text_argument(const Instruction& instruction, std::string_view name);
[[nodiscard]] std::vector<std::string> texts_argument(const Instruction& instruction, std::string_view name);
[[nodiscard]] int64_t count_argument(const Instruction& instruction, std::string_view name);

inline constexpr std::string_view kLessThan = "less than";
inline constexpr std::string_view kAtLeast = "at least";

// Whether `actual` is less than, or at least, the count of argument `count`, as argument `relation` says.
[[nodiscard]] bool count_satisfies(const Instruction& instruction, std::string_view relation,
                                   std::string_view count, int64_t actual);

}  // namespace orthant::models
