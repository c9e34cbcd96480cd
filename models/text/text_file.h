// Whole text files and JSON lines. Thread-safe.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <string>

namespace orthant::models {

// The text with ill-formed UTF-8 replaced, and counted in `replaced`. Throws Error(kIo) naming the file.
[[nodiscard]] std::string read_text_file(const std::string& path, int64_t& replaced);

// Calls visit(value, line number from 1) for every line that is not blank until it returns false, with
// ill-formed UTF-8 replaced and counted in `replaced`. Throws Error(kIo), or Error(kData) naming file and
// line where one is no JSON.
void visit_json_lines(const std::string& path, int64_t& replaced,
                      const std::function<bool(const boost::json::value& value, int64_t line)>& visit);

// Error(kData): the line can be read but is not what is needed.
[[noreturn]] void throw_unusable_line(const std::string& path, int64_t line, const std::string& why);

}  // namespace orthant::models
