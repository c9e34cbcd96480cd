// One rank's part of a checkpoint: its rows of every tensor, in hashed chunks of at most 16 MiB.
//
// Not Collective. One thread. A chunk is whole rows of dimension 0; a row larger than 16 MiB is a chunk of
// its own.
#pragma once

#include <span>
#include <string>

#include "runtime/job/checkpointable.h"
#include "runtime/storage/manifest.pb.h"

namespace orthant {

inline constexpr std::string_view kCheckpointKind = "checkpoint";
inline constexpr int64_t kLargestChunkBytes = int64_t{16} << 20;

// What every shard repeats, so that files of different saves cannot be mixed.
struct ShardIdentity {
  std::string save_id;
  int64_t step = 0;
  int rank = 0;
  int world = 1;
};

[[nodiscard]] std::string checkpoint_shard_name(int rank, int world);
// Writes `directory`/shard-RRRRR-of-WWWWW.bin and brings it to disk. The slices that this rank does not write
// are listed without chunks. Throws Error(kIo).
[[nodiscard]] WrittenShard write_checkpoint_shard(const std::string& directory, const ShardIdentity& identity,
                                                  std::span<const TensorSlice> slices);
// Fills the slices from whatever shards hold their rows, verifying each chunk. Throws Error(kData) naming
// file and offset for damage, Error(kConfig) when a tensor is absent or has another type or shape.
void read_checkpoint_slices(const std::string& directory, const Manifest& manifest,
                            std::span<const TensorSlice> slices);
// Reads and checks one shard completely. Throws Error(kData).
void verify_checkpoint_shard(const std::string& directory, const Manifest& manifest, int file);

}  // namespace orthant
