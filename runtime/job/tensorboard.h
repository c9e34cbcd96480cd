// TensorBoard event files: scalars by step.
//
// A record is u64 length, masked CRC-32C of these 8 bytes, a Protobuf `Event`, masked CRC-32C of it, all
// little-endian; the first event names the version. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/storage/file.h"

namespace orthant {

// CRC-32C (Castagnoli) as TFRecord files mask it: rotated right by 15 bits, plus 0xa282ead8.
[[nodiscard]] uint32_t masked_crc32c(std::string_view bytes);

class TensorBoardWriter {
 public:
  // Creates directory/events.out.tfevents.<seconds>.<host>.<pid>. Records of steps after `start_step` in
  // earlier event files are declared void (TensorBoard's own restart record). Error(kIo).
  TensorBoardWriter(const std::string& directory, int64_t start_step);
  // One event with all scalars of a step; values that are not finite are kept as they are.
  void append(int64_t step, std::span<const std::pair<std::string, double>> scalars);
  [[nodiscard]] const std::string& path() const { return file_.path(); }

 private:
  void write_record(const std::string& event);
  File file_;
};

}  // namespace orthant
