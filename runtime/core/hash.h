// XXH3-128 for our own files and keys; SHA-256 for published artefacts, with a state that travels between
// ranks.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orthant {

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  auto operator<=>(const Hash128&) const = default;
};

[[nodiscard]] Hash128 hash128(const void* data, int64_t bytes);
[[nodiscard]] Hash128 hash128(std::string_view text);
// 32 lower-case hexadecimal digits, high word first.
[[nodiscard]] std::string to_hex(Hash128 hash);
// Throws Error(kData) unless `text` is 32 hexadecimal digits.
[[nodiscard]] Hash128 hash128_from_hex(std::string_view text);

// Incremental XXH3-128. Not thread-safe.
class HashStream {
 public:
  HashStream();
  ~HashStream();
  HashStream(HashStream&&) noexcept;
  HashStream& operator=(HashStream&&) noexcept;
  void update(const void* data, int64_t bytes);
  [[nodiscard]] Hash128 digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Incremental SHA-256 whose state can be handed from one rank to the next. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  void update(const void* data, int64_t bytes);
  // 64 lower-case hexadecimal digits. The object must not be updated afterwards.
  [[nodiscard]] std::string hex();
  [[nodiscard]] std::vector<std::byte> export_state() const;
  static Sha256 import_state(std::span<const std::byte> state);

 private:
  alignas(8) std::array<std::byte, 128> context_{};  // an OpenSSL SHA256_CTX
};

}  // namespace orthant
