#include "runtime/storage/checkpoint_manifest.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "runtime/core/error.h"
#include "runtime/core/hash.h"
#include "runtime/storage/file.h"

namespace orthant {
namespace {

constexpr std::string_view kPrefix = "step-";

[[noreturn]] void damaged(const std::string& path, const std::string& problem, const std::string& why) {
  throw Error(ExitCode::kData, {.problem = fmt::format("{}: {}", path, problem), .why = why});
}

bool is_committed_name(std::string_view name) {
  return name.starts_with(kPrefix) && name.size() > kPrefix.size() &&
         name.find_first_not_of("0123456789", kPrefix.size()) == std::string_view::npos;
}

void check_tiling(const ManifestTensor& tensor) {
  int64_t next = 0;
  for (const ManifestChunk& chunk : tensor.chunks()) {
    require(chunk.first_row() == next,
            fmt::format("the ranks' rows of '{}' tile it at row {}", tensor.name(), next));
    next += chunk.rows();
  }
  require(tensor.shape_size() > 0 && next == tensor.shape(0),
          fmt::format("the ranks hold all rows of '{}'", tensor.name()));
}

std::string seal(const Manifest& manifest) {
  SealedManifest sealed;
  sealed.set_manifest(manifest.SerializeAsString());
  sealed.set_hash(to_hex(hash128(sealed.manifest())));
  return sealed.SerializeAsString();
}

void write_synced(const std::string& path, const std::string& content) {
  File file = File::create(path);
  file.write(content.data(), static_cast<int64_t>(content.size()));
  file.sync();
  file.close();
}

void check_files(const std::string& checkpoint, const Manifest& manifest) {
  for (const ManifestFile& file : manifest.files()) {
    const std::string path = checkpoint + "/" + file.name();
    if (!std::filesystem::exists(path)) damaged(path, "the file is missing", "the manifest lists it");
    if (const int64_t found = File::open(path).size(); found != file.bytes()) {
      damaged(path, fmt::format("the file ends at offset {}", found),
              fmt::format("{} bytes are expected", file.bytes()));
    }
  }
}

void check_chunks(const std::string& path, const Manifest& manifest) {
  for (const ManifestTensor& tensor : manifest.tensors()) {
    for (const ManifestChunk& chunk : tensor.chunks()) {
      if (chunk.file() < 0 || chunk.file() >= manifest.files_size()) {
        damaged(path, fmt::format("tensor '{}' lies in no file", tensor.name()),
                "the manifest contradicts itself");
      }
    }
  }
}

}  // namespace

std::string checkpoint_name(int64_t step) {
  return fmt::format("{}{:09d}", kPrefix, step);
}

std::vector<std::string> committed_checkpoints(const std::string& directory) {
  std::vector<std::string> names;
  for (std::string& name : names_in(directory)) {
    if (is_committed_name(name)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return std::pair(a.size(), a) > std::pair(b.size(), b);
  });
  return names;
}

void compose_tensors(const std::vector<WrittenShard>& shards, Manifest& manifest) {
  std::map<std::string, ManifestTensor> tensors;
  for (const WrittenShard& shard : shards) {
    for (const ManifestTensor& part : shard.tensors()) {
      const auto [found, first] = tensors.try_emplace(part.name(), part);
      if (first) continue;
      ManifestTensor& tensor = found->second;
      require(tensor.dtype() == part.dtype() && std::equal(tensor.shape().begin(), tensor.shape().end(),
                                                           part.shape().begin(), part.shape().end()),
              fmt::format("all ranks give '{}' one type and shape", part.name()));
      tensor.mutable_chunks()->MergeFrom(part.chunks());
    }
  }
  for (auto& [name, tensor] : tensors) {
    auto* chunks = tensor.mutable_chunks();
    std::sort(chunks->begin(), chunks->end(),
              [](const auto& a, const auto& b) { return a.first_row() < b.first_row(); });
    check_tiling(tensor);
    *manifest.add_tensors() = std::move(tensor);
  }
}

void write_manifest(const std::string& checkpoint, const Manifest& manifest) {
  write_synced(checkpoint + "/" + std::string(kManifestFile), seal(manifest));
  write_synced(checkpoint + "/" + std::string(kManifestTwin), manifest_json(manifest));
  sync_directory(checkpoint);
}

Manifest read_manifest(const std::string& checkpoint) {
  const std::string path = checkpoint + "/" + std::string(kManifestFile);
  if (!std::filesystem::exists(path))
    damaged(path, "the manifest is missing", "it is written before a checkpoint appears");
  const std::string text = read_file(path);
  SealedManifest sealed;
  const bool parsed = sealed.ParseFromString(text);
  const std::string found = to_hex(hash128(sealed.manifest()));
  // Writing again must give the same bytes, so that no byte lies outside the hash.
  if (!parsed || sealed.hash() != found || sealed.SerializeAsString() != text) {
    damaged(path, "the manifest at offset 0 is damaged",
            fmt::format("expected {}, found {} over {} bytes", parsed ? sealed.hash() : "a hash", found,
                        text.size()));
  }
  Manifest manifest;
  if (!manifest.ParseFromString(sealed.manifest()))
    damaged(path, "the manifest is damaged", "it does not parse");
  if (manifest.format() != kCheckpointFormatVersion) {
    damaged(path, fmt::format("format version {}", manifest.format()),
            fmt::format("this program reads version {}", kCheckpointFormatVersion));
  }
  check_chunks(path, manifest);
  check_files(checkpoint, manifest);
  return manifest;
}

std::string manifest_json(const Manifest& manifest) {
  std::string text;
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  const auto status = google::protobuf::util::MessageToJsonString(manifest, &text, options);
  require(status.ok(), "a manifest can be written as JSON");
  return text;
}

}  // namespace orthant
