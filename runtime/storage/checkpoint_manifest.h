// The manifest of a checkpoint directory: composed from what ranks wrote, sealed with its own hash, read
// back.
//
// MANIFEST.pb is read; MANIFEST.json is the same for people. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/storage/manifest.pb.h"

namespace orthant {

inline constexpr int32_t kCheckpointFormatVersion = 1;
inline constexpr std::string_view kManifestFile = "MANIFEST.pb";
inline constexpr std::string_view kManifestTwin = "MANIFEST.json";

// "step-000012000".
[[nodiscard]] std::string checkpoint_name(int64_t step);
// Committed checkpoints of a directory, newest first, valid or not. Nothing else is ever loaded.
[[nodiscard]] std::vector<std::string> committed_checkpoints(const std::string& directory);

// One tensor list from the shards of all ranks. Throws Error(kInternal) when ranks disagree about a tensor or
// their rows do not tile it.
void compose_tensors(const std::vector<WrittenShard>& shards, Manifest& manifest);
// Both files, brought to disk.
void write_manifest(const std::string& checkpoint, const Manifest& manifest);
// Throws Error(kData) when the manifest is missing, damaged or of another format, or when a file that it
// lists is missing or has another size.
[[nodiscard]] Manifest read_manifest(const std::string& checkpoint);
// The text of MANIFEST.json.
[[nodiscard]] std::string manifest_json(const Manifest& manifest);

}  // namespace orthant
