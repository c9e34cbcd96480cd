#include "runtime/storage/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "tests/support/shared_files.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using ::testing::HasSubstr;
using testing::TempDir;

std::string npy(int version, const std::string& dictionary, const std::string& data) {
  std::string file = "\x93NUMPY";
  file += static_cast<char>(version);
  file += '\0';
  const auto length = static_cast<uint32_t>(dictionary.size());
  file.append(reinterpret_cast<const char*>(&length), version == 1 ? 2 : 4);
  return file + dictionary + data;
}

std::string failure(const std::string& path) {
  try {
    const NpyReader reader(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    return error.what();
  }
  return "";
}

TEST(Npy, RoundTripAndAlignment) {
  const TempDir directory;
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  write_npy(directory.file("x.npy"), Dtype::kF32, {2, 3}, values.data());
  const NpyReader reader(directory.file("x.npy"));
  EXPECT_EQ(reader.shape(), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(reader.dtype(), Dtype::kF32);
  std::vector<float> into(4);
  reader.read(2, into);
  EXPECT_EQ(into, (std::vector<float>{3, 4, 5, 6}));
  EXPECT_EQ((read_file(directory.file("x.npy")).size() - 24) % 64, 0u);
}

TEST(Npy, OneDimensionHasATrailingCommaAndScalarsHaveNone) {
  const TempDir directory;
  const std::vector<int32_t> ids = {7, -8};
  write_npy(directory.file("ids"), Dtype::kI32, {2}, ids.data());
  EXPECT_THAT(read_file(directory.file("ids")),
              HasSubstr("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }"));
  EXPECT_EQ(NpyReader(directory.file("ids")).read_integers(), (std::vector<int64_t>{7, -8}));
  const double one = 1;
  write_npy(directory.file("scalar"), Dtype::kF64, {}, &one);
  const NpyReader scalar(directory.file("scalar"));
  EXPECT_TRUE(scalar.shape().empty());
  std::vector<float> into(1);
  scalar.read(0, into);
  EXPECT_EQ(into[0], 1.0f);
}

TEST(Npy, HeadersOfEveryVersion) {
  const TempDir directory;
  for (const int version : {1, 2, 3}) {
    replace_file(directory.file("x"),
                 npy(version, "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 1), }\n",
                     std::string("\5\0\0\0\0\0\0\0", 8)));
    EXPECT_EQ(NpyReader(directory.file("x")).read_integers(), std::vector<int64_t>{5});
  }
}

TEST(Npy, DamageIsReportedWithItsReason) {
  const TempDir directory;
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "no .npy file"},
      {npy(1, good, "1234567"), "need another size"},
      {npy(1, good, "123456789"), "need another size"},
      {npy(4, good, "12345678"), "version"},
      {npy(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", "12345678"), "Fortran"},
      {npy(1, "{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "12345678"), "element type"},
      {npy(1, "{'descr': '<f4', 'fortran_order': False}", "12345678"), "shape"},
      {npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': 2}", "12345678"), "tuple"},
      {npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "12345678"), "whole numbers"},
      {npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", ""),
       "another size"},
      {npy(1, good, "").substr(0, 30), "ends at"}};
  for (const auto& [content, reason] : cases) {
    replace_file(directory.file("bad"), content);
    EXPECT_THAT(failure(directory.file("bad")), HasSubstr(reason)) << content;
  }
}

TEST(Npy, Bf16IsRefusedAndLeavesNoFile) {
  const TempDir directory;
  EXPECT_THROW(NpyWriter(directory.file("x"), Dtype::kBF16, {1}), Error);
  EXPECT_TRUE(names_in(directory.path().string()).empty());
}

TEST(Npy, ReadsNumpysOwnFile) {
  ORTHANT_NEEDS_SHARED("golden/smollm2_135m/resid_post.npy");
  const NpyReader reader((testing::shared_folder() / "golden/smollm2_135m/resid_post.npy").string());
  EXPECT_GT(reader.elements(), 0);
  EXPECT_EQ(reader.shape().back(), 576);
}

}  // namespace
}  // namespace orthant
