#include "launch/files/artefact.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <filesystem>

#include "models/formats/inspect_model.h"
#include "runtime/core/error.h"
#include "runtime/storage/file.h"
#include "runtime/storage/inspect.h"
#include "sae/exchange/inspect_dictionary.h"

namespace orthant::launch {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

enum class ArtefactKind { kDictionary, kModel, kStored, kRun };

ArtefactKind kind_of(const std::string& path) {
  if (!fs::exists(path)) {
    throw Error(ExitCode::kIo, {.problem = fmt::format("there is no '{}'", path),
                                .why = "no such file or directory",
                                .suggestion = "Check the path."});
  }
  if (sae::is_dictionary(path)) return ArtefactKind::kDictionary;
  if (stored_kind_of(path) != StoredKind::kUnknown) return ArtefactKind::kStored;
  if (models::is_model(path)) return ArtefactKind::kModel;
  if (fs::exists(path + "/run.json")) return ArtefactKind::kRun;
  throw Error(ExitCode::kData,
              {.problem = fmt::format("'{}' is of no known kind", path),
               .why = "it is neither a dictionary, a model, a store, a checkpoint, a run directory, "
                      ".safetensors nor .npy",
               .suggestion = "Give a file or directory that orthant writes or reads."});
}

std::string checkpoints_of(const std::string& run) {
  const std::string folder = run + "/checkpoint";
  return fs::is_directory(folder) && stored_kind_of(folder) == StoredKind::kCheckpoints ? folder : "";
}

json::object parsed(const std::string& file) {
  boost::system::error_code error;
  const json::value value = json::parse(read_file(file), error);
  if (!error && value.is_object()) return value.get_object();
  throw Error(ExitCode::kData,
              {.problem = fmt::format("'{}' cannot be read", file),
               .why = error ? error.message() : "it is not a JSON object",
               .suggestion = "Repeat the run's command with --fresh, or restore the file from a copy."});
}

json::object inspect_run(const std::string& path) {
  json::object described = {
      {"kind", "run"}, {"path", path}, {"run", parsed(path + "/run.json")}, {"finished", false}};
  const std::string result = path + "/result.json";
  if (fs::exists(result)) {
    described["finished"] = true;
    described["result"] = parsed(result);
  }
  return described;
}

std::vector<Damage> verify_run(const std::string& path) {
  try {
    (void)inspect_run(path);
  } catch (const Error& error) {
    return {{.file = path, .reason = error.what(), .repair = "Repeat the run's command with --fresh."}};
  }
  return {};
}

}  // namespace

json::object inspect_artefact(const std::string& path) {
  json::object described;
  switch (kind_of(path)) {
    case ArtefactKind::kDictionary:
      described = sae::inspect_dictionary(path);
      break;
    case ArtefactKind::kModel:
      return models::inspect_model(path);
    case ArtefactKind::kStored:
      return inspect_stored(path);
    case ArtefactKind::kRun:
      described = inspect_run(path);
      break;
  }
  const std::string checkpoints = checkpoints_of(path);
  if (!checkpoints.empty()) described["checkpoints"] = inspect_stored(checkpoints).at("checkpoints");
  return described;
}

Verification verify_artefact(const std::string& path) {
  Verification verification;
  switch (kind_of(path)) {
    case ArtefactKind::kDictionary:
      verification = {"sae", sae::verify_dictionary(path)};
      break;
    case ArtefactKind::kModel:
      return {"model", models::verify_model(path)};
    case ArtefactKind::kStored:
      return {std::string(name_of(stored_kind_of(path))), verify_stored(path)};
    case ArtefactKind::kRun:
      verification = {"run", verify_run(path)};
      break;
  }
  const std::string checkpoints = checkpoints_of(path);
  if (checkpoints.empty()) return verification;
  for (Damage& damage : verify_stored(checkpoints)) {
    damage.file = "checkpoint/" + damage.file;
    verification.damage.push_back(std::move(damage));
  }
  return verification;
}

}  // namespace orthant::launch
