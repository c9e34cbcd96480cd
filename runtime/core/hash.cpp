#define OPENSSL_API_COMPAT \
  0x10100000L  // the low-level SHA-256 keeps a plain state that can be sent to a peer
#include "runtime/core/hash.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <charconv>
#include <cstring>

#include "runtime/core/error.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace orthant {

static_assert(sizeof(SHA256_CTX) <= 128);

Hash128 hash128(const void* data, int64_t bytes) {
  const XXH128_hash_t hash = XXH3_128bits(data, static_cast<size_t>(bytes));
  return {hash.low64, hash.high64};
}

Hash128 hash128(std::string_view text) {
  return hash128(text.data(), static_cast<int64_t>(text.size()));
}

std::string to_hex(Hash128 hash) {
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

Hash128 hash128_from_hex(std::string_view text) {
  Hash128 hash;
  const auto parse = [](std::string_view digits, uint64_t& word) {
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), word, 16);
    return result.ec == std::errc{} && result.ptr == digits.data() + digits.size();
  };
  if (text.size() != 32 || !parse(text.substr(0, 16), hash.high) || !parse(text.substr(16), hash.low)) {
    throw Error(ExitCode::kData, {.problem = fmt::format("'{}' is no 128-bit hash", text),
                                  .why = "32 hexadecimal digits are expected"});
  }
  return hash;
}

struct HashStream::State {
  XXH3_state_t xxh;
};

HashStream::HashStream() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->xxh);
}
HashStream::~HashStream() = default;
HashStream::HashStream(HashStream&&) noexcept = default;
HashStream& HashStream::operator=(HashStream&&) noexcept = default;

void HashStream::update(const void* data, int64_t bytes) {
  XXH3_128bits_update(&state_->xxh, data, static_cast<size_t>(bytes));
}

Hash128 HashStream::digest() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->xxh);
  return {hash.low64, hash.high64};
}

Sha256::Sha256() {
  SHA256_Init(reinterpret_cast<SHA256_CTX*>(context_.data()));
}

void Sha256::update(const void* data, int64_t bytes) {
  SHA256_Update(reinterpret_cast<SHA256_CTX*>(context_.data()), data, static_cast<size_t>(bytes));
}

std::string Sha256::hex() {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256_Final(digest, reinterpret_cast<SHA256_CTX*>(context_.data()));
  std::string text;
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

std::vector<std::byte> Sha256::export_state() const {
  return {context_.begin(), context_.end()};
}

Sha256 Sha256::import_state(std::span<const std::byte> state) {
  Sha256 hash;
  require(state.size() == hash.context_.size(), "a SHA-256 state has its full size");
  std::memcpy(hash.context_.data(), state.data(), state.size());
  return hash;
}

}  // namespace orthant
