// What a language model on disk is, and whether all of it can be read. Thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "runtime/storage/damage.h"

namespace orthant::models {

// By what is there, not by whether it is whole: anything that open_model_file() takes.
[[nodiscard]] bool is_model(const std::string& path);

// `kind` ("model"), `format`, sizes, the shapes of all tensors and `identity` (a hash). Throws Error(kData)
// when it cannot be read.
[[nodiscard]] boost::json::object inspect_model(const std::string& path);

// Reads every tensor. These formats carry no hashes: layout, shapes and finite weights are what can be
// checked. Empty: nothing is damaged. Never throws for damage.
[[nodiscard]] std::vector<Damage> verify_model(const std::string& path);

}  // namespace orthant::models
