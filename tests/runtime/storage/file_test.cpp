#include "runtime/storage/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "runtime/core/error.h"
#include "tests/support/code_of.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using testing::code_of;
using ::testing::HasSubstr;
using testing::TempDir;

TEST(File, ReadsBackWhatWasWritten) {
  const TempDir directory;
  File file = File::create(directory.file("x"));
  file.write("hello ", 6);
  file.write("world", 5);
  file.sync();
  file.close();
  EXPECT_EQ(read_file(directory.file("x")), "hello world");

  const File reader = File::open(directory.file("x"));
  EXPECT_EQ(reader.size(), 11);
  char part[5];
  reader.read_exactly_at(part, 5, 6);
  EXPECT_EQ(std::string(part, 5), "world");
  EXPECT_EQ(reader.read_at(part, 5, 9), 2);
}

TEST(File, EndOfFileIsDamagedDataNamingTheOffset) {
  const TempDir directory;
  replace_file(directory.file("short"), "abc");
  const File file = File::open(directory.file("short"));
  char into[8];
  std::string message;
  EXPECT_EQ(code_of([&] { file.read_exactly_at(into, 8, 1); }, &message), ExitCode::kData);
  EXPECT_THAT(message, HasSubstr("short"));
  EXPECT_THAT(message, HasSubstr("offset 3"));
}

TEST(File, RefusalsOfTheSystemNameThePathAndTheReason) {
  const TempDir directory;
  std::string message;
  EXPECT_EQ(code_of([&] { (void)File::open(directory.file("absent")); }, &message), ExitCode::kIo);
  EXPECT_THAT(message, HasSubstr("absent"));
  EXPECT_THAT(message, HasSubstr("No such file"));
  EXPECT_EQ(code_of([&] { (void)MappedFile(directory.path().string()); }), ExitCode::kIo);
}

TEST(File, FullDeviceIsAnInputOutputError) {
  File file = File::create("/dev/full");
  EXPECT_EQ(code_of([&] { file.write("x", 1); }), ExitCode::kIo);
}

// A limit on the size of files behaves as a full disk does, in the middle of a write.
TEST(File, ReplacementThatDoesNotFitLeavesTheOldFile) {
  const TempDir directory;
  const std::string path = directory.file("kept");
  replace_file(path, "old");
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{.rlim_cur = 4096, .rlim_max = limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const ExitCode code = code_of([&] { replace_file(path, std::string(10000, 'n')); });
  setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, before);
  EXPECT_EQ(code, ExitCode::kIo);
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(names_in(directory.path().string()), std::vector<std::string>{"kept"});
}

TEST(File, ReplacementIsComplete) {
  const TempDir directory;
  replace_file(directory.file("x"), "first");
  replace_file(directory.file("x"), "second");
  EXPECT_EQ(read_file(directory.file("x")), "second");
}

TEST(File, DirectoriesAreMadeWithParentsAndListedInOrder) {
  const TempDir directory;
  make_directory(directory.file("a/b/c"));
  make_directory(directory.file("a/b/c"));
  replace_file(directory.file("a/b/z"), "");
  EXPECT_EQ(names_in(directory.file("a/b")), (std::vector<std::string>{"c", "z"}));
  EXPECT_TRUE(names_in(directory.file("nowhere")).empty());
  remove_path(directory.file("a"));
  remove_path(directory.file("a"));
  EXPECT_FALSE(std::filesystem::exists(directory.file("a")));
  EXPECT_EQ(parent_of("x"), ".");
  EXPECT_EQ(parent_of("/x/y/"), "/x");
}

TEST(MappedFile, ShowsTheBytesAndAllowsAnEmptyFile) {
  const TempDir directory;
  replace_file(directory.file("x"), "abc");
  replace_file(directory.file("empty"), "");
  const MappedFile mapped(directory.file("x"));
  EXPECT_EQ(mapped.size(), 3);
  EXPECT_EQ(static_cast<char>(mapped.bytes()[2]), 'c');
  EXPECT_EQ(MappedFile(directory.file("empty")).size(), 0);
}

}  // namespace
}  // namespace orthant
