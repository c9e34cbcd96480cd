#include "sae/scoring/code_blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/storage/file.h"
#include "runtime/storage/safetensors.h"

namespace orthant::sae {
namespace {

std::string path_of(const std::string& folder, int64_t block, int shard, int shards) {
  return fmt::format("{}/block-{:09}.shard-{:03}-of-{:03}.safetensors", folder, block, shard, shards);
}

// For each block the number of shards of which all files are there.
std::map<int64_t, int> complete_blocks(const std::string& folder) {
  std::map<std::pair<int64_t, int>, int> files;  // (block, shards) -> files
  for (const std::string& name : names_in(folder)) {
    long long block = 0;
    int shard = 0, shards = 0;
    if (std::sscanf(name.c_str(), "block-%lld.shard-%d-of-%d.safetensors", &block, &shard, &shards) != 3)
      continue;
    if (path_of("", block, shard, shards) == "/" + name) ++files[{block, shards}];
  }
  std::map<int64_t, int> complete;
  for (const auto& [key, count] : files) {
    if (count == key.second) complete[key.first] = key.second;
  }
  return complete;
}

// Codes as a file holds them.
struct StoredCodes {
  std::vector<int64_t> row_offsets;
  std::vector<int32_t> latents;
  std::vector<float> values;
  int64_t first_row = 0;
  [[nodiscard]] kernels::CodesView view() {
    const auto entries = static_cast<int64_t>(latents.size());
    return {{row_offsets.data(), {static_cast<int64_t>(row_offsets.size())}, kCpu},
            {latents.data(), {entries}, kCpu},
            {values.data(), {entries}, kCpu}};
  }
};

void read_codes(const std::string& path, StoredCodes& codes) {
  const SafetensorsReader file(path);
  codes.row_offsets = file.read_integers(file.entry("row_offsets"));
  const std::vector<int64_t> numbers = file.read_integers(file.entry("latents"));
  codes.latents.assign(numbers.begin(), numbers.end());
  codes.values.resize(numbers.size());
  const auto entries = static_cast<int64_t>(numbers.size());
  file.read(file.entry("values", std::span(&entries, 1)), codes.values);
  codes.first_row = file.read_integers(file.entry("first_row"))[0];
  const auto& offsets = codes.row_offsets;
  if (!offsets.empty() && offsets.front() == 0 && offsets.back() == entries &&
      std::is_sorted(offsets.begin(), offsets.end())) {
    return;
  }
  throw Error(ExitCode::kData, {.problem = fmt::format("{} is damaged", path),
                                .why = "its rows do not cover its entries",
                                .suggestion = "Repeat the job with --fresh."});
}

}  // namespace

void write_code_block(const std::string& folder, const EncodedBlock& block, int shard, int shards) {
  const kernels::CodesView codes = block.codes;
  const int64_t begin = codes.row_offsets.data[0];
  const int64_t entries = codes.entries() - begin;
  std::vector<int64_t> offsets(codes.row_offsets.span().begin(), codes.row_offsets.span().end());
  for (int64_t& offset : offsets) offset -= begin;
  write_safetensors(path_of(folder, block.index, shard, shards),
                    {{"row_offsets", Dtype::kI64, {static_cast<int64_t>(offsets.size())}, offsets.data()},
                     {"latents", Dtype::kI32, {entries}, codes.latents.data + begin},
                     {"values", Dtype::kF32, {entries}, codes.values.data + begin},
                     {"first_row", Dtype::kI64, {1}, &block.first_row}});
}

void visit_code_blocks(const std::string& folder, Share blocks,
                       const std::function<void(kernels::CodesView, int64_t)>& visit) {
  const std::map<int64_t, int> complete = complete_blocks(folder);
  StoredCodes codes;
  for (int64_t b = blocks.first; b < blocks.end(); ++b) {
    const auto shards = complete.find(b);
    if (shards == complete.end()) {
      throw Error(ExitCode::kData, {.problem = fmt::format("{} lacks codes of block {}", folder, b),
                                    .why = "files were removed since the block was encoded",
                                    .suggestion = "Repeat the job with --fresh."});
    }
    for (int shard = 0; shard < shards->second; ++shard) {
      read_codes(path_of(folder, b, shard, shards->second), codes);
      visit(codes.view(), codes.first_row);
    }
  }
}

FiringCollector firings_in_blocks(const std::string& folder, Share blocks, std::span<const int64_t> latents) {
  FiringCollector firings(latents);
  visit_code_blocks(folder, blocks,
                    [&](kernels::CodesView codes, int64_t first_row) { firings.add(codes, first_row); });
  return firings;
}

}  // namespace orthant::sae
