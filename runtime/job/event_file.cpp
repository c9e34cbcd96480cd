#include "runtime/job/event_file.h"

#include <array>
#include <bit>
#include <cstring>

namespace orthant {
namespace {

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = value;
  }
  return table;
}

template <typename T>
void append_raw(std::string& into, T value) {
  into.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void append_varint(std::string& into, uint64_t value) {
  while (value >= 0x80) {
    into += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  into += static_cast<char>(value);
}

// Protobuf wire format: field number and wire type (0 varint, 1 64-bit, 2 bytes, 5 32-bit).
void append_tag(std::string& into, uint32_t field, uint32_t wire) {
  append_varint(into, (field << 3) | wire);
}

void append_bytes(std::string& into, uint32_t field, std::string_view bytes) {
  append_tag(into, field, 2);
  append_varint(into, bytes.size());
  into += bytes;
}

// tensorflow.Event {double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5}
std::string event_head(double wall_seconds, int64_t step) {
  std::string event;
  append_tag(event, 1, 1);
  append_raw(event, wall_seconds);
  append_tag(event, 2, 0);
  append_varint(event, static_cast<uint64_t>(step));
  return event;
}

uint32_t masked(uint32_t crc) {
  return std::rotr(crc, 15) + 0xa282ead8u;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = crc_table();
  uint32_t crc = ~0u;
  for (const char byte : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(byte)) & 0xff];
  return ~crc;
}

std::string event_record(std::string_view event) {
  std::string record;
  append_raw(record, static_cast<uint64_t>(event.size()));
  append_raw(record, masked(crc32c(record)));
  record += event;
  append_raw(record, masked(crc32c(event)));
  return record;
}

std::string version_event(double wall_seconds) {
  std::string event = event_head(wall_seconds, 0);
  append_bytes(event, 3, "brain.Event:2");
  return event;
}

std::string scalar_event(double wall_seconds, int64_t step,
                         const std::vector<std::pair<std::string, double>>& scalars) {
  // Summary {repeated Value value = 1}; Value {string tag = 1; float simple_value = 2}
  std::string summary;
  for (const auto& [tag, scalar] : scalars) {
    std::string value;
    append_bytes(value, 1, tag);
    append_tag(value, 2, 5);
    append_raw(value, static_cast<float>(scalar));
    append_bytes(summary, 1, value);
  }
  std::string event = event_head(wall_seconds, step);
  append_bytes(event, 5, summary);
  return event;
}

}  // namespace orthant
