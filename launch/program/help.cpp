#include "launch/program/help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "launch/config.pb.h"
#include "launch/program/command_line.h"
#include "launch/program/reference.h"
#include "launch/program/result.h"

namespace orthant::launch {
namespace {

constexpr size_t kWidestName = 40;

std::string field_line(const Field& field, size_t width) {
  const std::string left = fmt::format("--{} {}", field.name(), value_name(field));
  const std::string details = details_of(field);
  return fmt::format("  {:<{}}  {}{}\n", left, width, field.help(),
                     details.empty() ? "" : fmt::format(" ({})", details));
}

size_t name_width(const std::vector<Field>& fields) {
  size_t width = 0;
  for (const Field& field : fields)
    width = std::max(width, field.name().size() + value_name(field).size() + 3);
  return std::min(width, kWidestName);
}

ExitCode run_help(Invocation& invocation) {
  const Help& help = invocation.own<Help>();
  if (invocation.world.rank() != 0) return ExitCode::kDone;
  const std::vector<std::string> words(help.verb().begin(), help.verb().end());
  if (help.format() == "man") {
    write_output(man_page());
  } else if (help.format() == "markdown") {
    write_output(markdown_manual());
  } else if (words.empty()) {
    write_output(program_help());
  } else {
    const Verb* verb = find_verb(words);
    if (verb == nullptr) throw_unknown_verb(words);
    write_output(verb_help(*verb));
  }
  return ExitCode::kDone;
}

}  // namespace

std::string program_help() {
  std::string text = fmt::format("{}\n\nUsage:\n{}\nVerbs:\n", kProgramSummary, kProgramGrammar);
  size_t width = 0;
  for (const Verb& verb : verbs()) width = std::max(width, verb.name.size());
  for (const Verb& verb : verbs()) text += fmt::format("  {:<{}}  {}\n", verb.name, width, verb.summary);
  return text +
         "\n`orthant VERB --help` lists the fields of a verb; `orthant --version` says what was built.\n";
}

std::string verb_help(const Verb& verb) {
  const auto schema = schema_of(verb);
  const size_t width = name_width(schema->fields());
  std::string text = fmt::format("{}\n\n{}\n\nFields:\n", usage_line(verb), verb.summary);
  const size_t own = own_field_count(verb, *schema);
  const size_t borrowed = borrowed_field_count(verb, *schema);
  for (size_t i = 0; i < schema->fields().size(); ++i) {
    if (i == own && borrowed > 0) text += fmt::format("\nFields of orthant {}:\n", lender_of(verb));
    if (i == own + borrowed) text += "\nCommon fields:\n";
    text += field_line(schema->fields()[i], width);
  }
  return text + fmt::format("\n{}\n", kLayersText);
}

Verb help_verb() {
  return {.name = "help",
          .summary = "what the program does, or one verb; man page and manual",
          .schema = Help::descriptor(),
          .positional = {"verb"},
          .run = run_help,
          .has_common_fields = false};
}

}  // namespace orthant::launch
