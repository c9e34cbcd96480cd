#include "runtime/storage/blocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using ::testing::HasSubstr;
using testing::TempDir;

std::string write_sample(const std::string& path) {
  BlockWriter writer(path, "sample", R"({"rank":3})");
  writer.append("first block", 11);
  writer.append("", 0);
  const std::string a = "two ", b = "pieces";
  const std::span<const std::byte> pieces[] = {std::as_bytes(std::span(a)), std::as_bytes(std::span(b))};
  writer.append(pieces);
  writer.finish();
  EXPECT_EQ(writer.file_bytes(), static_cast<int64_t>(read_file(path).size()));
  return read_file(path);
}

// Everything a user of the file would do; empty when nothing was found wrong.
std::string read_all(const std::string& path, std::string* content = nullptr) {
  try {
    const BlockReader reader(path, "sample");
    for (int64_t i = 0; i < reader.blocks(); ++i) {
      std::string block(static_cast<size_t>(reader.place(i).bytes), '\0');
      reader.read(i, block.data());
      if (content != nullptr) *content += block + "|";
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData) << error.what();
    return error.what();
  }
  return "";
}

TEST(Blocks, RoundTrip) {
  const TempDir directory;
  write_sample(directory.file("x"));
  std::string content;
  EXPECT_EQ(read_all(directory.file("x"), &content), "");
  EXPECT_EQ(content, "first block||two pieces|");
  EXPECT_EQ(BlockReader(directory.file("x"), "sample").description(), R"({"rank":3})");
}

TEST(Blocks, AFileWithoutBlocksIsValid) {
  const TempDir directory;
  BlockWriter writer(directory.file("x"), "sample", "");
  const Hash128 hash = writer.finish();
  const BlockReader reader(directory.file("x"), "sample");
  EXPECT_EQ(reader.blocks(), 0);
  EXPECT_EQ(reader.hash(), hash);
}

TEST(Blocks, EveryFlippedBitIsDetected) {
  const TempDir directory;
  const std::string whole = write_sample(directory.file("x"));
  const auto expect_detected = [&](size_t byte, int bit) {
    std::string flipped = whole;
    flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << bit));
    replace_file(directory.file("flipped"), flipped);
    EXPECT_THAT(read_all(directory.file("flipped")), HasSubstr("offset")) << byte << " " << bit;
  };
  for (size_t byte = 0; byte < 80; ++byte) expect_detected(byte, static_cast<int>(byte % 8));
  for (size_t byte = 80; byte < kBlockHeaderBytes - 16; byte += 37) expect_detected(byte, 5);
  for (size_t byte = kBlockHeaderBytes - 16; byte < whole.size(); ++byte) {
    expect_detected(byte, static_cast<int>(byte % 8));
  }
}

TEST(Blocks, EveryTruncationAndExtensionIsDetected) {
  const TempDir directory;
  const std::string whole = write_sample(directory.file("x"));
  std::vector<size_t> lengths = {0, 1, 4095, kBlockHeaderBytes};
  for (size_t length = kBlockHeaderBytes + 1; length < whole.size(); length += 3) lengths.push_back(length);
  lengths.push_back(whole.size() - 1);
  for (const size_t length : lengths) {
    replace_file(directory.file("cut"), whole.substr(0, length));
    EXPECT_NE(read_all(directory.file("cut")), "") << length;
  }
  replace_file(directory.file("long"), whole + std::string(1, '\0'));
  EXPECT_NE(read_all(directory.file("long")), "");
}

TEST(Blocks, DamageNamesFileBlockOffsetExpectedAndFound) {
  const TempDir directory;
  std::string whole = write_sample(directory.file("x"));
  whole[kBlockHeaderBytes + 12] ^= 1;
  replace_file(directory.file("damaged"), whole);
  const std::string message = read_all(directory.file("damaged"));
  EXPECT_THAT(message, HasSubstr("damaged: block 2 (10 bytes) at offset 4107"));
  EXPECT_THAT(message, HasSubstr("expected " + to_hex(hash128("two pieces"))));
  EXPECT_THAT(message, HasSubstr("found "));
}

TEST(Blocks, AnotherKindIsRefused) {
  const TempDir directory;
  write_sample(directory.file("x"));
  EXPECT_THROW(BlockReader(directory.file("x"), "other"), Error);
}

}  // namespace
}  // namespace orthant
