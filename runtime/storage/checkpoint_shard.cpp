#include "runtime/storage/checkpoint_shard.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <map>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/device/buffer.h"
#include "runtime/job/faults.h"
#include "runtime/storage/blocks.h"

namespace orthant {
namespace {

namespace json = boost::json;

int64_t row_bytes_of(const TensorSlice& slice) {
  int64_t bytes = bytes_of(slice.dtype);
  for (size_t i = 1; i < slice.shape.size(); ++i) bytes *= slice.shape[i];
  return bytes;
}

std::string header_text(const ShardIdentity& identity) {
  return json::serialize(json::object{{"save_id", identity.save_id},
                                      {"step", identity.step},
                                      {"rank", identity.rank},
                                      {"world", identity.world}});
}

// The rows of a slice on the host: in place, or copied from the device.
class HostRows {
 public:
  const std::byte* rows(const TensorSlice& slice, int64_t first, int64_t bytes, int64_t row_bytes) {
    const auto* from = static_cast<const std::byte*>(slice.data) + first * row_bytes;
    if (slice.device == kCpu) return from;
    if (staging_.bytes() < bytes) staging_ = Buffer(kCpu, bytes);
    copy_bytes(staging_.data(), kCpu, from, slice.device, bytes);
    return staging_.data();
  }

 private:
  Buffer staging_;
};

void write_slice(const TensorSlice& slice, int file, BlockWriter& writer, HostRows& host,
                 ManifestTensor& tensor) {
  const int64_t row_bytes = row_bytes_of(slice);
  const int64_t chunk_rows = std::max<int64_t>(kLargestChunkBytes / std::max<int64_t>(row_bytes, 1), 1);
  for (int64_t first = 0; first < slice.rows; first += chunk_rows) {
    const int64_t rows = std::min(chunk_rows, slice.rows - first);
    const int64_t bytes = rows * row_bytes;
    const BlockPlace place = writer.append(host.rows(slice, first, bytes, row_bytes), bytes);
    fault_point("checkpoint.mid_chunk");
    ManifestChunk& chunk = *tensor.add_chunks();
    chunk.set_file(file);
    chunk.set_block(writer.blocks() - 1);
    chunk.set_offset(place.offset);
    chunk.set_bytes(place.bytes);
    chunk.set_first_row(slice.first_row + first);
    chunk.set_rows(rows);
    chunk.set_hash(to_hex(place.hash));
  }
}

BlockReader open_shard(const std::string& directory, const Manifest& manifest, int file) {
  const ManifestFile& listed = manifest.files(file);
  const std::string path = directory + "/" + listed.name();
  BlockReader reader(path, kCheckpointKind);
  const std::string expected = header_text(
      {.save_id = manifest.save_id(), .step = manifest.step(), .rank = file, .world = manifest.world()});
  if (reader.description() != expected) {
    throw Error(ExitCode::kData,
                {.problem = fmt::format("{} belongs to another save or rank", path),
                 .why = fmt::format("expected {}, found {}", expected, reader.description())});
  }
  if (const std::string found = to_hex(reader.hash()); found != listed.hash()) {
    throw Error(ExitCode::kData, {.problem = fmt::format("{} is another file than the manifest lists", path),
                                  .why = fmt::format("expected {}, found {}", listed.hash(), found)});
  }
  return reader;
}

const ManifestTensor& tensor_for(const TensorSlice& slice, const Manifest& manifest,
                                 const std::string& directory) {
  const auto found = std::find_if(manifest.tensors().begin(), manifest.tensors().end(),
                                  [&](const ManifestTensor& tensor) { return tensor.name() == slice.name; });
  const std::string wanted = fmt::format("{} [{}]", name_of(slice.dtype), fmt::join(slice.shape, ","));
  if (found == manifest.tensors().end()) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("{} holds no tensor '{}'", directory, slice.name),
                 .why = fmt::format("this run needs it as {}", wanted),
                 .suggestion = "Continue with the configuration that wrote it, or add --fresh."});
  }
  const std::string held = fmt::format("{} [{}]", found->dtype(), fmt::join(found->shape(), ","));
  if (held != wanted) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("{} holds '{}' as {}", directory, slice.name, held),
                 .why = fmt::format("this run needs it as {}", wanted),
                 .suggestion = "Continue with the configuration that wrote it, or add --fresh."});
  }
  return *found;
}

// The part of a chunk that a slice needs.
void read_chunk(const BlockReader& reader, const ManifestChunk& chunk, const TensorSlice& slice,
                Buffer& scratch) {
  const int64_t row_bytes = row_bytes_of(slice);
  if (chunk.block() < 0 || chunk.block() >= reader.blocks() ||
      reader.place(chunk.block()).bytes != chunk.rows() * row_bytes) {
    throw Error(ExitCode::kData,
                {.problem = fmt::format("{}: block {} does not hold {} rows of '{}'", reader.path(),
                                        chunk.block(), chunk.rows(), slice.name),
                 .why = fmt::format("the manifest places them at offset {}", chunk.offset())});
  }
  const int64_t first = std::max(chunk.first_row(), slice.first_row);
  const int64_t end = std::min(chunk.first_row() + chunk.rows(), slice.first_row + slice.rows);
  auto* into = static_cast<std::byte*>(slice.data) + (first - slice.first_row) * row_bytes;
  if (slice.device == kCpu && end - first == chunk.rows()) return reader.read(chunk.block(), into);
  if (const int64_t bytes = chunk.rows() * row_bytes; scratch.bytes() < bytes) scratch = Buffer(kCpu, bytes);
  reader.read(chunk.block(), scratch.data());
  const std::byte* from = scratch.data() + (first - chunk.first_row()) * row_bytes;
  copy_bytes(into, slice.device, from, kCpu, (end - first) * row_bytes);
}

}  // namespace

std::string checkpoint_shard_name(int rank, int world) {
  return fmt::format("shard-{:05d}-of-{:05d}.bin", rank, world);
}

WrittenShard write_checkpoint_shard(const std::string& directory, const ShardIdentity& identity,
                                    std::span<const TensorSlice> slices) {
  const std::string name = checkpoint_shard_name(identity.rank, identity.world);
  BlockWriter writer(directory + "/" + name, kCheckpointKind, header_text(identity));
  fault_point("checkpoint.after_header");
  WrittenShard written;
  HostRows host;
  for (const TensorSlice& slice : slices) {
    require(!slice.shape.empty(), fmt::format("the tensor '{}' has a dimension 0", slice.name));
    ManifestTensor& tensor = *written.add_tensors();
    tensor.set_name(slice.name);
    tensor.set_dtype(std::string(name_of(slice.dtype)));
    for (const int64_t extent : slice.shape) tensor.add_shape(extent);
    if (slice.writes) write_slice(slice, identity.rank, writer, host, tensor);
  }
  fault_point("checkpoint.before_fsync");
  const Hash128 hash = writer.finish();
  fault_point("checkpoint.after_fsync");
  written.mutable_file()->set_name(name);
  written.mutable_file()->set_bytes(writer.file_bytes());
  written.mutable_file()->set_hash(to_hex(hash));
  return written;
}

void read_checkpoint_slices(const std::string& directory, const Manifest& manifest,
                            std::span<const TensorSlice> slices) {
  std::map<int, BlockReader> readers;
  Buffer scratch;
  for (const TensorSlice& slice : slices) {
    for (const ManifestChunk& chunk : tensor_for(slice, manifest, directory).chunks()) {
      const bool needed = chunk.first_row() < slice.first_row + slice.rows &&
                          chunk.first_row() + chunk.rows() > slice.first_row;
      if (!needed) continue;
      auto reader = readers.find(chunk.file());
      if (reader == readers.end()) {
        reader = readers.emplace(chunk.file(), open_shard(directory, manifest, chunk.file())).first;
      }
      read_chunk(reader->second, chunk, slice, scratch);
    }
  }
}

void verify_checkpoint_shard(const std::string& directory, const Manifest& manifest, int file) {
  const BlockReader reader = open_shard(directory, manifest, file);
  std::vector<std::byte> block;
  for (int64_t i = 0; i < reader.blocks(); ++i) {
    block.resize(static_cast<size_t>(reader.place(i).bytes));
    reader.read(i, block.data());
  }
}

}  // namespace orthant
