// The tensors a Llama-like model consists of, by canonical name and shape, and the checks every reader
// shares.
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/formats/model_file.h"

namespace orthant::models {

// Canonical name -> shape of every tensor that the forward pass reads.
[[nodiscard]] std::map<std::string, std::vector<int64_t>, std::less<>> model_tensors(
    const ModelConfig& config);

// Throws Error(kData) naming the field unless the sizes are positive and fit each other.
void check_config(const ModelConfig& config, const std::string& path);

// Throws Error(kData) naming the file, the tensor, the expected and the found shape.
void check_tensors(const ModelFile& file, const std::string& path);

// Throws Error(kData) unless `into` holds exactly a tensor of `shape`.
void check_destination(const std::string& path, std::string_view name, std::span<const int64_t> shape,
                       std::span<const float> into);

// Error(kData): the file has no tensor of this name.
[[noreturn]] void throw_absent_tensor(const std::string& path, std::string_view name);
// Error(kConfig) naming the architecture and those that are supported.
[[noreturn]] void throw_unsupported_architecture(const std::string& path, std::string_view architecture);
// Error(kConfig) for a model that is of a known architecture but uses `what`.
[[noreturn]] void throw_unsupported_feature(const std::string& path, std::string_view what);

}  // namespace orthant::models
