// How a verb's result reaches standard output: a table for people or exactly one JSON document.
#pragma once

#include <boost/json/value.hpp>
#include <string>

#include "launch/program/verb.h"

namespace orthant::launch {

// One line a number: dotted names left, values right; lists of more than eight values are given by their
// length.
[[nodiscard]] std::string plain_table(const boost::json::value& result);
// Writes the whole result and flushes; Error(kIo) when standard output does not take it.
void print_result(const Verb& verb, bool as_json, const boost::json::value& result);
// Writes `text` to standard output; Error(kIo) when it is not taken.
void write_output(const std::string& text);

}  // namespace orthant::launch
