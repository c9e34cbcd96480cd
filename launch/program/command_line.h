// The grammar of the program: orthant [--help | --version] VERB [SUBVERB] [INPUT...] [--field=value...].
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "launch/program/verb.h"
#include "runtime/job/arguments.h"

namespace orthant::launch {

// What the command line asks for: exactly one of the version, help (of a verb, or of the program when `verb`
// is null), or a run of `verb`.
struct Request {
  bool version = false;
  bool help = false;
  const Verb* verb = nullptr;
  std::optional<Config> config = std::nullopt;  // of a run: resolved
};

// `arguments` without the program's name. Throws Error(kUsage) for an unknown verb or flag, with the nearest
// name; Error(kConfig) for a bad value.
[[nodiscard]] Request parse_command_line(std::span<const std::string> arguments);
// The verb that `words` begin with, longest name first, and null where there is none.
[[nodiscard]] const Verb* find_verb(std::span<const std::string> words);

// Throws Error(kUsage) with the subverbs or the nearest verb.
[[noreturn]] void throw_unknown_verb(std::span<const std::string> words);

}  // namespace orthant::launch
