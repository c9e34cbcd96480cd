// Text made safe inside HTML and SVG, and the little pieces of markup that a page is made of.
//
// All markup of a report is XML too (closed elements, quoted attributes), so that strict parsers read it.
// Pure; thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orthant {

// Escapes & < > " ' and replaces what is not UTF-8, or not allowed in XML, by U+FFFD.
[[nodiscard]] std::string escape(std::string_view text);
// At most `length` characters: the middle gives way to "…". Not escaped.
[[nodiscard]] std::string shortened(std::string_view text, size_t length);
// Characters of UTF-8 text.
[[nodiscard]] size_t character_count(std::string_view text);

}  // namespace orthant
