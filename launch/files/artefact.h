// Whatever lies at a path that orthant writes or reads: a dictionary, a language model, a store, a
// checkpoint, a tensor file, a run directory. Thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "runtime/storage/damage.h"

namespace orthant::launch {

// `kind`, `path`, sizes, shapes, hashes. Throws Error(kIo) where there is nothing, Error(kData) when it is of
// no known kind or damaged so that it cannot be described.
[[nodiscard]] boost::json::object inspect_artefact(const std::string& path);

struct Verification {
  std::string kind;
  std::vector<Damage> damage;  // empty: whole
};
// Reads all of it; of a run directory its checkpoints too. Throws as above, never for damage.
[[nodiscard]] Verification verify_artefact(const std::string& path);

}  // namespace orthant::launch
