// Damage of files as disks and copies do it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace orthant::testing {

// Turns one bit of the byte at `offset`.
inline void flip_byte(const std::string& file, int64_t offset) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(offset);
  const auto byte = static_cast<char>(stream.get() ^ 0x10);
  stream.seekp(offset);
  stream.put(byte);
}

inline void flip_middle_byte(const std::string& file) {
  flip_byte(file, static_cast<int64_t>(std::filesystem::file_size(file) / 2));
}

// Keeps the first `share` of the bytes; returns how many that are.
inline int64_t cut_file(const std::string& file, double share) {
  const auto kept = static_cast<uintmax_t>(static_cast<double>(std::filesystem::file_size(file)) * share);
  std::filesystem::resize_file(file, kept);
  return static_cast<int64_t>(kept);
}

}  // namespace orthant::testing
