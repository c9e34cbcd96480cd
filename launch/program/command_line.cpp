#include "launch/program/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/program_options.hpp>

#include "runtime/job/nearest_name.h"

namespace orthant::launch {
namespace {

namespace options = boost::program_options;

// The flags that stand before the verb.
Request parse_program_flags(const std::vector<std::string>& flags) {
  options::options_description known;
  known.add_options()("help,h", "")("version", "");
  options::variables_map values;
  try {
    const auto style =
        options::command_line_style::default_style & ~options::command_line_style::allow_guessing;
    options::store(options::command_line_parser(flags).options(known).style(style).run(), values);
  } catch (const options::error& problem) {
    throw Error(ExitCode::kUsage,
                ErrorText{.problem = std::string(problem.what()),
                          .suggestion = "Flags of a verb follow the verb; see `orthant help`."});
  }
  return {.version = values.count("version") > 0, .help = values.count("help") > 0};
}

size_t words_in(const std::string& name) {
  return 1 + static_cast<size_t>(std::count(name.begin(), name.end(), ' '));
}

}  // namespace

void throw_unknown_verb(std::span<const std::string> words) {
  std::vector<std::string> names;
  std::vector<std::string> subverbs;
  for (const Verb& verb : verbs()) {
    names.push_back(verb.name);
    if (verb.name.starts_with(words[0] + " ")) subverbs.push_back(verb.name);
  }
  if (!subverbs.empty()) {
    const bool is_given = words.size() > 1 && !words[1].starts_with("-");
    throw Error(ExitCode::kUsage,
                {.problem = is_given ? fmt::format("there is no '{} {}'", words[0], words[1])
                                     : fmt::format("verb '{}' needs a subverb", words[0]),
                 .suggestion = fmt::format("Use one of: {}.", fmt::join(subverbs, ", "))});
  }
  const std::string nearest = nearest_name(words[0], names);
  throw Error(ExitCode::kUsage,
              {.problem = fmt::format("unknown verb '{}'", words[0]),
               .suggestion = nearest.empty() ? "`orthant help` lists all verbs."
                                             : fmt::format("Did you mean `orthant {}`?", nearest)});
}

const Verb* find_verb(std::span<const std::string> words) {
  for (const size_t length : {2, 1}) {
    if (words.size() < length) continue;
    const std::string name = fmt::format("{}", fmt::join(words.first(length), " "));
    const auto found =
        std::find_if(verbs().begin(), verbs().end(), [&](const Verb& verb) { return verb.name == name; });
    if (found != verbs().end()) return &*found;
  }
  return nullptr;
}

Request parse_command_line(std::span<const std::string> arguments) {
  const auto first_word = std::find_if(arguments.begin(), arguments.end(),
                                       [](const std::string& a) { return !a.starts_with("-"); });
  Request request = parse_program_flags({arguments.begin(), first_word});
  const auto words = std::span<const std::string>(first_word, arguments.end());
  if (words.empty()) {
    request.help = !request.version;
    return request;
  }
  request.verb = find_verb(words);
  if (request.verb == nullptr) throw_unknown_verb(words);
  const auto schema = schema_of(*request.verb);
  const Arguments parsed = parse_arguments(*schema, words.subspan(words_in(request.verb->name)));
  request.help = request.help || parsed.help;
  if (!request.help) request.config = make_config(schema, parsed, request.verb->positional);
  return request;
}

}  // namespace orthant::launch
