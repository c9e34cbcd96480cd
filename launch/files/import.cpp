// `orthant import PATH --out=DIR`: a dictionary of another program as a run directory of this one.

#include <boost/json.hpp>

#include "launch/config.pb.h"
#include "launch/program/path_field.h"
#include "launch/program/verb.h"
#include "runtime/job/run_directory.h"
#include "sae/exchange/folded_copy.h"
#include "sae/exchange/load_dictionary.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

constexpr int64_t kComparedRows = 32;

json::object import_sae(const std::string& path, const std::string& into) {
  Memory memory;
  Stream stream;
  const World alone = make_self_world();
  const sae::DictionaryFile file = sae::load_dictionary(path, memory);
  // One field, so that no foreign name meets one of the format.
  json::object origin = {{"path", path}};
  for (const auto& [key, value] : file.metadata) origin[key] = value;
  const std::string& format = file.metadata.at("format");
  sae::write_dictionary_file(file.dictionary, {{"origin", json::serialize(origin)}}, into, *alone.data, true,
                             stream);
  const sae::DictionaryFile reloaded = sae::read_dictionary_file(into, memory);
  const sae::ReloadCheck check = sae::compare_latents(file.dictionary, reloaded.dictionary, kComparedRows);
  return {{"format", format},
          {"architecture", json::string_view(sae::name_of(file.dictionary.architecture))},
          {"d_model", file.dictionary.d_model},
          {"latents", file.dictionary.latents},
          {"files", {into}},
          {"maximum_difference", check.maximum_difference},
          {"weights_sha256", sae::weights_sha256(reloaded.dictionary, *alone.data, stream)}};
}

ExitCode run_import(Invocation& invocation) {
  const std::string& path = given_path(invocation, invocation.own<Import>().path());
  json::object result;
  agree(*invocation.world.control, "import", [&] {
    if (invocation.world.rank() == 0) result = import_sae(path, invocation.run->file(sae::kDictionaryFile));
  });
  std::string text = json::serialize(result);
  invocation.world.control->broadcast(text, 0);
  return invocation.finish(json::parse(text));
}

}  // namespace

Verb import_verb() {
  return {.name = "import",
          .summary = "take over a dictionary of another program",
          .schema = Import::descriptor(),
          .positional = {"path"},
          .run_use = RunUse::kRequired,
          .run = run_import};
}

}  // namespace orthant::launch
