// Whole text files and JSON lines as the lm verbs read them.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <string>

#include "models/text/text_file.h"
#include "runtime/core/log.h"

namespace orthant::launch {

using models::throw_unusable_line;

// The text with ill-formed UTF-8 replaced (and a warning that counts it). Throws Error(kIo) naming the file.
[[nodiscard]] std::string read_text_file(const std::string& path, Log& log);
// Calls visit(value, line number from 1) for every line that is not blank, with ill-formed UTF-8 replaced
// (and a warning that counts it). Throws Error(kIo), or Error(kData) naming file and line where one is no
// JSON.
void visit_json_values(const std::string& path, Log& log,
                       const std::function<void(const boost::json::value&, int64_t)>& visit);

}  // namespace orthant::launch
