// `orthant verify PATH`: reads all of a file or directory and says what is damaged and how to repair it.

#include <fmt/format.h>

#include "launch/config.pb.h"
#include "launch/files/artefact.h"
#include "launch/program/path_field.h"
#include "launch/program/verb.h"
#include "runtime/storage/inspect.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

ExitCode run_verify(Invocation& invocation) {
  const std::string& path = given_path(invocation, invocation.own<Verify>().path());
  const Verification verification = verify_artefact(path);
  const bool is_whole = verification.damage.empty();
  (void)invocation.finish(json::object{{"kind", verification.kind},
                                       {"path", path},
                                       {"whole", is_whole},
                                       {"damage", to_json(verification.damage)}});
  return is_whole ? ExitCode::kDone : ExitCode::kData;
}

std::string verify_table(const json::value& result) {
  const json::object& shown = result.as_object();
  const auto text = [](const json::object& object, const char* key) {
    return std::string(object.at(key).as_string());
  };
  const json::array& damage = shown.at("damage").as_array();
  if (damage.empty()) return fmt::format("{} ({}) is whole\n", text(shown, "path"), text(shown, "kind"));
  std::string table = fmt::format("{} ({}) is damaged\n", text(shown, "path"), text(shown, "kind"));
  for (const json::value& one : damage) {
    const json::object& entry = one.as_object();
    table += fmt::format("{}: {}\n  repair: {}\n", text(entry, "file"), text(entry, "reason"),
                         text(entry, "repair"));
  }
  return table;
}

}  // namespace

Verb verify_verb() {
  return {.name = "verify",
          .summary = "read all of a file or directory and say what is damaged and how to repair it",
          .schema = Verify::descriptor(),
          .positional = {"path"},
          .run = run_verify,
          .table = verify_table};
}

}  // namespace orthant::launch
