// What a dictionary on disk is, and whether its weights are those that were recorded.
//
// A training run's directory records the SHA-256 of its weights in result.json, so every changed byte of them
// is found there; other files carry no hash of their weights, and only their layout is checked. Reads the
// whole dictionary. Thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "runtime/storage/damage.h"

namespace orthant::sae {

// By what is there, not by whether it is whole: anything that load_dictionary() takes.
[[nodiscard]] bool is_dictionary(const std::string& path);

// `kind` ("sae"), `format`, sizes, conventions, `weights_sha256` and where it comes from. Throws Error(kData)
// when it cannot be read.
[[nodiscard]] boost::json::object inspect_dictionary(const std::string& path);

// Empty: nothing is damaged. Names inside a directory are relative to it. Never throws for damage.
[[nodiscard]] std::vector<Damage> verify_dictionary(const std::string& path);

}  // namespace orthant::sae
