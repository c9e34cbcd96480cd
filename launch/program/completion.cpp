#include "launch/program/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "launch/config.pb.h"
#include "launch/program/result.h"

namespace orthant::launch {
namespace {

// The words that may follow a verb, "--field=" or, where a value may be left out, "--field".
std::vector<std::string> flags_of(const Verb& verb) {
  std::vector<std::string> flags = {"--help", "--config="};
  const auto schema = schema_of(verb);
  for (const Field& field : schema->fields()) {
    if (!field.is_group()) flags.push_back(fmt::format("--{}{}", field.name(), field.is_bool() ? "" : "="));
  }
  return flags;
}

// Lines `"VERB --field=") words="a b" ;;` for every field with named values.
std::string bash_values(const Verb& verb) {
  std::string lines;
  const auto schema = schema_of(verb);
  for (const Field& field : schema->fields()) {
    if (field.choices().empty()) continue;
    lines += fmt::format("    \"{} --{}\") words=\"{}\" ;;\n", verb.name, field.name(),
                         fmt::join(field.choices(), " "));
  }
  return lines;
}

std::vector<std::string> first_words() {
  std::vector<std::string> words = {"--help", "--version"};
  for (const Verb& verb : verbs()) {
    const std::string word = verb.name.substr(0, verb.name.find(' '));
    if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
  }
  return words;
}

// One fish quote; the texts hold no backslash.
std::string fish_quote(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("\\'") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

std::string bash_completion() {
  std::string subverbs, flags, values;
  for (const Verb& verb : verbs()) {
    const size_t space = verb.name.find(' ');
    flags += fmt::format("    \"{}\") words=\"{}\" ;;\n", verb.name, fmt::join(flags_of(verb), " "));
    values += bash_values(verb);
    if (space != std::string::npos)
      subverbs += fmt::format("    {}) subverbs+=\" {}\" ;;&\n", verb.name.substr(0, space),
                              verb.name.substr(space + 1));
  }
  return fmt::format(R"(# bash completion of orthant; source it, or save it as /etc/bash_completion.d/orthant
_orthant() {{
  local line="${{COMP_LINE:0:COMP_POINT}}" current words="" subverbs="" verb flag
  read -r -a given <<< "$line"
  [[ "$line" == *" " ]] && given+=("")
  current="${{given[-1]}}"
  if (( ${{#given[@]}} <= 2 )); then
    COMPREPLY=($(compgen -W "{0}" -- "$current"))
    return
  fi
  verb="${{given[1]}}"
  case "$verb" in
{1}    *) ;;
  esac
  if [[ -n "$subverbs" ]]; then
    if (( ${{#given[@]}} == 3 )); then
      COMPREPLY=($(compgen -W "$subverbs" -- "$current"))
      return
    fi
    verb="$verb ${{given[2]}}"
  fi
  flag="${{current%%=*}}"
  if [[ "$current" == --*=* ]]; then
    case "$verb $flag" in
{3}    *) ;;
    esac
    if [[ -n "$words" ]]; then
      COMPREPLY=($(compgen -W "$words" -- "${{current#*=}}"))
    else
      compopt -o filenames 2>/dev/null
      COMPREPLY=($(compgen -f -- "${{current#*=}}"))
    fi
    return
  fi
  if [[ "$current" != -* ]]; then
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$current"))
    return
  fi
  case "$verb" in
{2}    *) ;;
  esac
  compopt -o nospace 2>/dev/null
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -F _orthant orthant
)",
                     fmt::join(first_words(), " "), subverbs, flags, values);
}

std::string zsh_completion() {
  return "#compdef orthant\nautoload -U +X bashcompinit && bashcompinit\n" + bash_completion();
}

std::string fish_completion() {
  std::string text = "# fish completion of orthant; save it as ~/.config/fish/completions/orthant.fish\n";
  for (const std::string& word : first_words()) {
    if (!word.starts_with("-"))
      text += fmt::format("complete -c orthant -n __fish_use_subcommand -a {}\n", word);
  }
  for (const Verb& verb : verbs()) {
    const std::string word = verb.name.substr(verb.name.rfind(' ') + 1);
    const std::string first = verb.name.substr(0, verb.name.find(' '));
    if (word != first)
      text += fmt::format("complete -c orthant -n '__fish_seen_subcommand_from {}' -a {} -d {}\n", first,
                          word, fish_quote(verb.summary));
    const auto schema = schema_of(verb);
    for (const Field& field : schema->fields()) {
      if (field.is_group()) continue;
      text += fmt::format("complete -c orthant -n '__fish_seen_subcommand_from {}' -l {} {} -d {}", word,
                          field.name(), field.is_bool() ? "" : "-r", fish_quote(field.help()));
      if (!field.choices().empty())
        text += fmt::format(" -a {}", fish_quote(fmt::format("{}", fmt::join(field.choices(), " "))));
      text += "\n";
    }
  }
  return text;
}

namespace {

ExitCode run_completion(Invocation& invocation) {
  const Completion& completion = invocation.own<Completion>();
  if (!completion.has_shell()) {
    throw Error(ExitCode::kUsage, ErrorText{.problem = "no shell is named",
                                            .suggestion = "Use `orthant completion bash|zsh|fish`."});
  }
  if (invocation.world.rank() != 0) return ExitCode::kDone;
  if (completion.shell() == "bash") write_output(bash_completion());
  if (completion.shell() == "zsh") write_output(zsh_completion());
  if (completion.shell() == "fish") write_output(fish_completion());
  return ExitCode::kDone;
}

}  // namespace

Verb completion_verb() {
  return {.name = "completion",
          .summary = "completion script of a shell",
          .schema = Completion::descriptor(),
          .positional = {"shell"},
          .run = run_completion,
          .has_common_fields = false};
}

}  // namespace orthant::launch
