// What a file or directory of activations, tensors or a checkpoint is, and whether it is whole.
//
// Both read a store, a checkpoint (or the directory that holds several), a safetensors or a .npy file.
// Thread-safe.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "runtime/storage/damage.h"

namespace orthant {

enum class StoredKind { kActivationStore, kCheckpoint, kCheckpoints, kSafetensors, kNpy, kUnknown };

// By what is there, not by whether it is whole.
[[nodiscard]] StoredKind stored_kind_of(const std::string& path);
// "activation_store", "checkpoint", "checkpoints", "safetensors", "npy", "unknown".
[[nodiscard]] std::string_view name_of(StoredKind kind);

// `kind`, sizes, shapes, types and hashes. Throws Error(kData) when it is damaged so that it cannot be
// described, or of no known kind.
[[nodiscard]] boost::json::object inspect_stored(const std::string& path);
// Reads all of it and checks every hash there is. Empty: whole. A safetensors or .npy file carries no hashes:
// only its layout is checked. Throws Error(kData) for an unknown kind, never for damage.
[[nodiscard]] std::vector<Damage> verify_stored(const std::string& path);
[[nodiscard]] boost::json::array to_json(const std::vector<Damage>& damage);

}  // namespace orthant
