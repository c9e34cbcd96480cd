#include "sae/exchange/load_dictionary.h"

#include <fmt/format.h>

#include <filesystem>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse_unfinished(const std::string& path) {
  throw Error(ExitCode::kData, {.problem = fmt::format("the training run '{}' has no dictionary yet", path),
                                .why = "it has not finished",
                                .suggestion = "Repeat its command to continue it."});
}

}  // namespace

DictionaryFile load_dictionary(const std::string& path, Memory& memory, int shards, int shard,
                               int virtual_shards) {
  if (!fs::exists(path)) {
    throw Error(ExitCode::kIo,
                {.problem = fmt::format("there is no '{}'", path),
                 .why = "a dictionary is expected there",
                 .suggestion = "Give a training run's directory, or one that `orthant import` reads."});
  }
  const fs::path in_run = fs::path(path) / kDictionaryFile;
  if (fs::exists(in_run)) return read_dictionary_file(in_run.string(), memory, shards, shard, virtual_shards);
  if (fs::exists(fs::path(path) / "run.json")) refuse_unfinished(path);
  return read_dictionary_file(path, memory, shards, shard, virtual_shards);
}

}  // namespace orthant::sae
