#include "runtime/storage/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"
#include "tests/support/shared_files.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using ::testing::HasSubstr;
using testing::TempDir;

std::string container(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data_bytes, '\1');
}

ExitCode open_code(const std::string& path, std::string* message = nullptr) {
  return testing::code_of([&] { const SafetensorsReader reader(path); }, message);
}

TEST(Safetensors, RoundTripOfEveryElementType) {
  const TempDir directory;
  const std::vector<double> f64 = {1.5, -2.0, 1e300};
  const std::vector<float> f32 = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};
  const std::vector<BFloat16> bf16 = {to_bf16(1.0f), to_bf16(-3.0f)};
  const std::vector<Float16> f16 = {to_f16(0.5f)};
  const std::vector<int64_t> i64 = {-1, int64_t{1} << 40};
  const std::vector<int32_t> i32 = {-7};
  const std::vector<uint8_t> u8 = {0, 255, 7};
  write_safetensors(directory.file("x"),
                    {{"f64", Dtype::kF64, {3}, f64.data()},
                     {"f32", Dtype::kF32, {3, 2}, f32.data()},
                     {"bf16", Dtype::kBF16, {2}, bf16.data()},
                     {"f16", Dtype::kF16, {}, f16.data()},
                     {"i64", Dtype::kI64, {2}, i64.data()},
                     {"i32", Dtype::kI32, {1}, i32.data()},
                     {"u8", Dtype::kU8, {3}, u8.data()},
                     {"empty", Dtype::kF32, {0, 4}, nullptr}},
                    {{"format", "pt"}, {"quote", "a\"b\\c\n"}});
  const SafetensorsReader reader(directory.file("x"));
  EXPECT_EQ(reader.metadata().at("format"), "pt");
  EXPECT_EQ(reader.metadata().at("quote"), "a\"b\\c\n");
  EXPECT_EQ(reader.entries().size(), 8u);

  std::vector<float> whole(6);
  reader.read(reader.entry("f32"), whole);
  EXPECT_EQ(whole, f32);
  std::vector<float> rows(4);
  reader.read_rows(reader.entry("f32"), 1, 2, rows);
  EXPECT_EQ(rows, (std::vector<float>{3, 4, 5, 6}));
  std::vector<float> two(2), one(1), three(3);
  reader.read(reader.entry("bf16"), two);
  EXPECT_EQ(two, (std::vector<float>{1, -3}));
  reader.read(reader.entry("f16"), one);
  EXPECT_EQ(one[0], 0.5f);
  reader.read(reader.entry("f64"), three);
  EXPECT_EQ(three[0], 1.5f);
  EXPECT_TRUE(std::isinf(three[2]));
  reader.read(reader.entry("u8"), three);
  EXPECT_EQ(three, (std::vector<float>{0, 255, 7}));
  EXPECT_EQ(reader.read_integers(reader.entry("i64")), i64);
  EXPECT_EQ(reader.read_integers(reader.entry("i32")), std::vector<int64_t>{-7});
  EXPECT_THROW((void)reader.read_integers(reader.entry("f32")), Error);
  EXPECT_EQ(reader.entry("empty").bytes, 0);
}

// The bytes of safetensors.numpy.save_file({"b": int64 [1], "a": float32 [2], "c": int16 [1]},
// metadata={"k": "v"}), version 0.8.0: larger types first, then names, header padded to a multiple of 8.
TEST(Safetensors, LayoutOfThePythonWriter) {
  const TempDir directory;
  const int64_t b = 1;
  const float a[2] = {2, 3};
  const int16_t c = 4;
  write_safetensors(directory.file("x"),
                    {{"a", Dtype::kF32, {2}, a}, {"c", Dtype::kI16, {1}, &c}, {"b", Dtype::kI64, {1}, &b}},
                    {{"k", "v"}});
  std::string expected_header =
      R"({"__metadata__":{"k":"v"},"b":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},)"
      R"("c":{"dtype":"I16","shape":[1],"data_offsets":[16,18]}})";
  expected_header.resize((expected_header.size() + 7) / 8 * 8, ' ');
  const std::string written = read_file(directory.file("x"));
  EXPECT_EQ(written.substr(8, expected_header.size()), expected_header);
  EXPECT_EQ(written.size(), 8 + expected_header.size() + 18);
}

TEST(Safetensors, RewritesFilesOfThePythonWriterToTheSameBytes) {
  ORTHANT_NEEDS_SHARED("golden/training/dl_topk.safetensors");
  for (const char* name : {"dl_topk", "dl_batchtopk", "lineage_ortsae"}) {
    const auto path = testing::shared_folder() / "golden/training" / (std::string(name) + ".safetensors");
    const SafetensorsReader reader(path.string());
    std::vector<SafetensorsTensor> tensors;
    for (const SafetensorsEntry& entry : reader.entries()) {
      tensors.push_back({entry.name, entry.dtype, entry.shape, reader.data(entry).data()});
    }
    const TempDir directory;
    write_safetensors(directory.file("again"), tensors, reader.metadata());
    EXPECT_TRUE(read_file(directory.file("again")) == read_file(path.string())) << name;
  }
}

TEST(Safetensors, PiecewiseWritingGivesTheSameFile) {
  const TempDir directory;
  const std::vector<float> x = {1, 2, 3, 4}, y = {5, 6};
  write_safetensors(directory.file("whole"),
                    {{"x", Dtype::kF32, {4}, x.data()}, {"y", Dtype::kF32, {2}, y.data()}});
  SafetensorsWriter writer(directory.file("pieces"), {{"x", Dtype::kF32, {4}}, {"y", Dtype::kF32, {2}}});
  writer.write("x", x.data(), 8);
  writer.write("y", y.data(), 8);
  EXPECT_THROW(writer.finish(), Error);
  writer.write("x", x.data() + 2, 8);
  writer.finish();
  EXPECT_EQ(read_file(directory.file("pieces")), read_file(directory.file("whole")));
}

TEST(Safetensors, AnUnfinishedFileNeverAppears) {
  const TempDir directory;
  { const SafetensorsWriter writer(directory.file("x"), {{"x", Dtype::kF32, {4}}}); }
  EXPECT_TRUE(names_in(directory.path().string()).empty());
}

TEST(Safetensors, EveryTruncationIsDamage) {
  const TempDir directory;
  const std::vector<float> x = {1, 2, 3};
  write_safetensors(directory.file("x"), {{"x", Dtype::kF32, {3}, x.data()}});
  const std::string whole = read_file(directory.file("x"));
  for (size_t length = 0; length < whole.size(); ++length) {
    replace_file(directory.file("cut"), whole.substr(0, length));
    EXPECT_EQ(open_code(directory.file("cut")), ExitCode::kData) << length;
  }
  replace_file(directory.file("long"), whole + "x");
  EXPECT_EQ(open_code(directory.file("long")), ExitCode::kData);
}

TEST(Safetensors, OddHeadersAreDamageWithAReason) {
  const TempDir directory;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"([])", "no JSON object"},
      {R"({"x":1})", "object is expected"},
      {R"({"x":{"shape":[1],"data_offsets":[0,4]}})", "no dtype"},
      {R"({"x":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", "unknown dtype"},
      {R"({"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "whole numbers"},
      {R"({"x":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", "whole numbers"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "need another number"},
      {R"({"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}})",
       "need another number"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "data_offsets"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "ends at"},
      {R"({"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})", "ends at"},
      {R"({"x":{"dtype":"I8","shape":[2],"data_offsets":[2,4]}})", "begins at"},
      {R"({"__metadata__":{"k":1},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "strings"}};
  for (const auto& [header, reason] : cases) {
    replace_file(directory.file("odd"), container(header, 4));
    std::string message;
    EXPECT_EQ(open_code(directory.file("odd"), &message), ExitCode::kData) << header;
    EXPECT_THAT(message, HasSubstr(reason)) << header;
    EXPECT_THAT(message, HasSubstr("odd"));
  }
  const uint64_t huge = uint64_t{1} << 60;
  replace_file(directory.file("huge"), std::string(reinterpret_cast<const char*>(&huge), 8) + "{}");
  std::string message;
  EXPECT_EQ(open_code(directory.file("huge"), &message), ExitCode::kData);
  EXPECT_THAT(message, HasSubstr("100000000"));
}

TEST(Safetensors, AbsentTensorAndWrongShapeAreNamed) {
  const TempDir directory;
  const std::vector<float> x = {1, 2};
  write_safetensors(directory.file("x"), {{"W_enc", Dtype::kF32, {1, 2}, x.data()}});
  const SafetensorsReader reader(directory.file("x"));
  const auto message_of = [](const std::function<void()>& work) -> std::string {
    try {
      work();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message_of([&] { (void)reader.entry("W_dec"); }), HasSubstr("W_enc"));
  const int64_t any[] = {-1, 2}, wrong[] = {2, 2};
  EXPECT_EQ(reader.entry("W_enc", any).name, "W_enc");
  EXPECT_THAT(message_of([&] { (void)reader.entry("W_enc", wrong); }), HasSubstr("[1,2]"));
}

TEST(Safetensors, UnalignedDataOfOtherWritersIsRead) {
  const TempDir directory;
  std::string header = R"({"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}})";
  if ((header.size() + 8) % 2 == 0) header += ' ';
  const BFloat16 values[2] = {to_bf16(2.0f), to_bf16(-4.0f)};
  std::string file = container(header, 0);
  file.append(reinterpret_cast<const char*>(values), 4);
  replace_file(directory.file("x"), file);
  const SafetensorsReader reader(directory.file("x"));
  std::vector<float> into(2);
  reader.read(reader.entry("x"), into);
  EXPECT_EQ(into, (std::vector<float>{2, -4}));
}

}  // namespace
}  // namespace orthant
