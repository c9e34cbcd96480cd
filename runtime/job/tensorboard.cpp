#include "runtime/job/tensorboard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>

#include "runtime/job/host.h"
#include "runtime/job/tensorboard.pb.h"

namespace orthant {
namespace {

constexpr uint32_t kCastagnoliReversed = 0x82f63b78u;

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit)
      remainder = (remainder >> 1) ^ ((remainder & 1) ? kCastagnoliReversed : 0);
    table[byte] = remainder;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();

template <typename T>
std::string little_endian(T value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(T); ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xff);
  return bytes;
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string new_path(const std::string& directory) {
  return fmt::format("{}/events.out.tfevents.{:010}.{}.{}", directory, static_cast<int64_t>(wall_time()),
                     host_name(), getpid());
}

}  // namespace

uint32_t masked_crc32c(std::string_view bytes) {
  uint32_t crc = 0xffffffffu;
  for (const char c : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  return std::rotr(~crc, 15) + 0xa282ead8u;
}

TensorBoardWriter::TensorBoardWriter(const std::string& directory, int64_t start_step)
    : file_(File::create(new_path(directory))) {
  tensorboard::Event version;
  version.set_wall_time(wall_time());
  version.set_file_version("brain.Event:2");
  write_record(version.SerializeAsString());
  if (start_step == 0) return;
  // TensorBoard drops what it read of this step and later ones from earlier files.
  tensorboard::Event restart;
  restart.set_wall_time(wall_time());
  restart.set_step(start_step + 1);
  restart.mutable_session_log()->set_status(tensorboard::SessionLog::START);
  write_record(restart.SerializeAsString());
}

void TensorBoardWriter::append(int64_t step, std::span<const std::pair<std::string, double>> scalars) {
  tensorboard::Event event;
  event.set_wall_time(wall_time());
  event.set_step(step);
  for (const auto& [tag, value] : scalars) {
    auto& scalar = *event.mutable_summary()->add_value();
    scalar.set_tag(tag);
    scalar.set_simple_value(static_cast<float>(value));
  }
  write_record(event.SerializeAsString());
}

void TensorBoardWriter::write_record(const std::string& event) {
  const std::string length = little_endian(static_cast<uint64_t>(event.size()));
  const std::string record =
      length + little_endian(masked_crc32c(length)) + event + little_endian(masked_crc32c(event));
  file_.write(record.data(), static_cast<int64_t>(record.size()));
}

}  // namespace orthant
