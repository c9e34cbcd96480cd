// The reference of the program, generated from the schemas: help texts, man page, Markdown.
#pragma once

#include <string>

#include "launch/program/verb.h"

namespace orthant::launch {

[[nodiscard]] std::string program_help();
[[nodiscard]] std::string verb_help(const Verb& verb);
[[nodiscard]] std::string man_page();         // roff, section 1
[[nodiscard]] std::string markdown_manual();  // docs/cli.md

}  // namespace orthant::launch
