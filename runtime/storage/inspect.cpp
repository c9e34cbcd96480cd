#include "runtime/storage/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "runtime/core/error.h"
#include "runtime/storage/activation_store.h"
#include "runtime/storage/checkpoint.h"
#include "runtime/storage/checkpoint_manifest.h"
#include "runtime/storage/npy.h"
#include "runtime/storage/safetensors.h"

namespace orthant {
namespace {

namespace json = boost::json;

json::array shape_json(const std::vector<int64_t>& shape) {
  return json::array(shape.begin(), shape.end());
}

std::string content_hash_of_bytes(std::span<const std::byte> bytes) {
  return to_hex(hash128(bytes.data(), static_cast<int64_t>(bytes.size())));
}

json::object inspect_store(const std::string& path) {
  const StoreReader store(path);
  int64_t bytes = 0;
  json::array shards;
  for (const StoredShard& shard : store.shards()) {
    const auto shard_bytes = static_cast<int64_t>(std::filesystem::file_size(path + "/" + shard.file));
    bytes += shard_bytes;
    shards.push_back({{"file", shard.file},
                      {"first_row", shard.first_row},
                      {"rows", shard.rows},
                      {"bytes", shard_bytes},
                      {"hash", to_hex(shard.hash)}});
  }
  return {{"rows", store.rows()},
          {"d_model", store.d_model()},
          {"dtype", json::string_view(name_of(store.dtype()))},
          {"bytes", bytes},
          {"content_hash", store.content_hash()},
          {"token_hash", store.token_hash()},
          {"provenance", store.provenance()},
          {"shards", std::move(shards)}};
}

json::object inspect_checkpoint(const std::string& path) {
  const Manifest manifest = read_manifest(path);
  json::object values;
  for (const ManifestValue& value : manifest.values()) values[value.key()] = value.value();
  json::array tensors, files;
  for (const ManifestTensor& tensor : manifest.tensors()) {
    tensors.push_back({{"name", tensor.name()},
                       {"dtype", tensor.dtype()},
                       {"shape", json::array(tensor.shape().begin(), tensor.shape().end())},
                       {"chunks", tensor.chunks_size()}});
  }
  int64_t bytes = 0;
  for (const ManifestFile& file : manifest.files()) {
    bytes += file.bytes();
    files.push_back({{"file", file.name()}, {"bytes", file.bytes()}, {"hash", file.hash()}});
  }
  return {{"step", manifest.step()},
          {"world", manifest.world()},
          {"written_at", manifest.written_at()},
          {"bytes", bytes},
          {"values", std::move(values)},
          {"tensors", std::move(tensors)},
          {"shards", std::move(files)}};
}

json::object inspect_checkpoints(const std::string& path) {
  json::array listed;
  for (const std::string& name : committed_checkpoints(path)) {
    json::object checkpoint = inspect_checkpoint(path + "/" + name);
    checkpoint["name"] = name;
    listed.push_back(std::move(checkpoint));
  }
  return {{"checkpoints", std::move(listed)}};
}

json::object inspect_safetensors(const std::string& path) {
  const SafetensorsReader reader(path);
  json::object metadata;
  for (const auto& [key, value] : reader.metadata()) metadata[key] = value;
  json::array tensors;
  for (const SafetensorsEntry& entry : reader.entries()) {
    tensors.push_back({{"name", entry.name},
                       {"dtype", entry.type},
                       {"shape", shape_json(entry.shape)},
                       {"bytes", entry.bytes},
                       {"hash", content_hash_of_bytes(reader.data(entry))}});
  }
  return {{"bytes", reader.size()}, {"metadata", std::move(metadata)}, {"tensors", std::move(tensors)}};
}

json::object inspect_npy(const std::string& path) {
  const NpyReader reader(path);
  return {{"dtype", json::string_view(name_of(reader.dtype()))},
          {"shape", shape_json(reader.shape())},
          {"bytes", static_cast<int64_t>(reader.data().size())},
          {"hash", content_hash_of_bytes(reader.data())}};
}

[[noreturn]] void refuse_unknown(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    throw Error(ExitCode::kIo, {.problem = fmt::format("there is no {}", path),
                                .why = "no such file or directory",
                                .suggestion = "Check the path."});
  }
  throw Error(ExitCode::kData, {.problem = fmt::format("{} is of no known kind", path),
                                .why = "neither a store, a checkpoint, safetensors nor .npy",
                                .suggestion = "Name what orthant wrote, or an array."});
}

// Opening such a file checks all that can be checked.
std::vector<Damage> damage_of_opening(const std::string& path, const std::function<void()>& open) {
  try {
    open();
  } catch (const Error& error) {
    return {{.file = path, .reason = error.what(), .repair = "Copy or make the file again."}};
  }
  return {};
}

std::vector<Damage> verify_checkpoints(const std::string& path) {
  std::vector<Damage> all;
  for (const std::string& name : committed_checkpoints(path)) {
    for (Damage& damage : verify_checkpoint(path + "/" + name)) {
      damage.file = name + "/" + damage.file;
      all.push_back(std::move(damage));
    }
  }
  return all;
}

bool holds(const std::string& path, const std::function<bool(const std::string&)>& wanted) {
  const std::vector<std::string> names = names_in(path);
  return std::any_of(names.begin(), names.end(), wanted);
}

}  // namespace

StoredKind stored_kind_of(const std::string& path) {
  if (!std::filesystem::is_directory(path)) {
    if (!std::filesystem::exists(path)) return StoredKind::kUnknown;
    if (path.ends_with(".safetensors")) return StoredKind::kSafetensors;
    return path.ends_with(".npy") ? StoredKind::kNpy : StoredKind::kUnknown;
  }
  const auto is_store_file = [](const std::string& name) {
    return name == kStoreFile || (name.starts_with("shard-") && name.find("-of-") == std::string::npos);
  };
  const auto is_checkpoint_file = [](const std::string& name) {
    return name == kManifestFile || (name.starts_with("shard-") && name.find("-of-") != std::string::npos);
  };
  if (holds(path, is_store_file)) return StoredKind::kActivationStore;
  if (holds(path, is_checkpoint_file)) return StoredKind::kCheckpoint;
  return committed_checkpoints(path).empty() ? StoredKind::kUnknown : StoredKind::kCheckpoints;
}

std::string_view name_of(StoredKind kind) {
  switch (kind) {
    case StoredKind::kActivationStore:
      return "activation_store";
    case StoredKind::kCheckpoint:
      return "checkpoint";
    case StoredKind::kCheckpoints:
      return "checkpoints";
    case StoredKind::kSafetensors:
      return "safetensors";
    case StoredKind::kNpy:
      return "npy";
    case StoredKind::kUnknown:
      return "unknown";
  }
  return "unknown";
}

json::object inspect_stored(const std::string& path) {
  const StoredKind kind = stored_kind_of(path);
  const auto describe = [&]() -> json::object {
    switch (kind) {
      case StoredKind::kActivationStore:
        return inspect_store(path);
      case StoredKind::kCheckpoint:
        return inspect_checkpoint(path);
      case StoredKind::kCheckpoints:
        return inspect_checkpoints(path);
      case StoredKind::kSafetensors:
        return inspect_safetensors(path);
      case StoredKind::kNpy:
        return inspect_npy(path);
      case StoredKind::kUnknown:
        break;
    }
    refuse_unknown(path);
  };
  json::object described = {{"kind", json::string_view(name_of(kind))}, {"path", path}};
  for (auto& [key, value] : describe()) described[key] = std::move(value);
  return described;
}

std::vector<Damage> verify_stored(const std::string& path) {
  switch (stored_kind_of(path)) {
    case StoredKind::kActivationStore:
      return verify_store(path);
    case StoredKind::kCheckpoint:
      return verify_checkpoint(path);
    case StoredKind::kCheckpoints:
      return verify_checkpoints(path);
    case StoredKind::kSafetensors:
      return damage_of_opening(path, [&] { SafetensorsReader{path}; });
    case StoredKind::kNpy:
      return damage_of_opening(path, [&] { NpyReader{path}; });
    case StoredKind::kUnknown:
      break;
  }
  refuse_unknown(path);
}

json::array to_json(const std::vector<Damage>& damage) {
  json::array listed;
  for (const Damage& one : damage) {
    listed.push_back({{"file", one.file}, {"reason", one.reason}, {"repair", one.repair}});
  }
  return listed;
}

}  // namespace orthant
