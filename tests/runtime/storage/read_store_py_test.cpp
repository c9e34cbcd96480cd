// launch/read_store.py gives what the C++ reader gives.
#include <gtest/gtest.h>

#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>

#include "tests/runtime/storage/store_fixture.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using testing::append_rows;
using testing::describe;
using testing::TempDir;

std::string output_of(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::string text;
  std::array<char, 4096> part;
  while (const size_t bytes = std::fread(part.data(), 1, part.size(), pipe)) text.append(part.data(), bytes);
  return pclose(pipe) == 0 ? text : "";
}

class PythonReader : public ::testing::TestWithParam<Dtype> {};

TEST_P(PythonReader, GivesTheSameRowsAndLabels) {
  if (std::system("python3 --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "python3 is absent";
  const TempDir directory;
  const std::string path = directory.file("store");
  const int64_t rows = 9000;
  const StoreDescription description = describe(rows, 5, GetParam());
  Memory memory;
  StoreWriter writer(path, description, memory);
  for (const Share part :
       {Share{0, 100}, Share{100, 8000}, Share{8100, 900}}) {  // shards that begin within blocks
    writer.begin(part.first);
    append_rows(writer, part.first, part.count, 5);
  }
  writer.publish();
  seal_store(path, description);

  StoreReader reader(path);
  for (const int64_t first : {0, 95, 4090, 8095, 8995}) {
    const std::string text = output_of("python3 " ORTHANT_SOURCE_DIR "/launch/read_store.py " + path + " " +
                                       std::to_string(first) + " 10");
    const int64_t count = std::min<int64_t>(10, rows - first);
    Tensor<float, 2> expected(memory, "rows", {count, 5});
    reader.read(first, expected.view(), nullptr);
    LabelledNorms labels;
    reader.read_labels(first, count, labels);
    size_t at = 0;
    for (int64_t i = 0; i < count; ++i) {
      const size_t end = text.find('\n', at);
      ASSERT_NE(end, std::string::npos) << text;
      const boost::json::value line = boost::json::parse(text.substr(at, end - at));
      at = end + 1;
      const auto row = static_cast<size_t>(i);
      EXPECT_EQ(line.at("row").as_int64(), first + i);
      EXPECT_EQ(line.at("token_id").as_int64(), labels.labels.token_ids[row]);
      EXPECT_EQ(line.at("position").as_int64(), labels.labels.positions[row]);
      EXPECT_EQ(line.at("document").as_int64(), labels.labels.documents[row]);
      EXPECT_EQ(line.at("norm").to_number<float>(), labels.norms[row]);
      for (size_t c = 0; c < 5; ++c) {
        EXPECT_EQ(line.at("activations").at(c).to_number<float>(), expected.view().row(i)[c]);
      }
    }
    EXPECT_EQ(at, text.size());
  }
}
INSTANTIATE_TEST_SUITE_P(Types, PythonReader, ::testing::Values(Dtype::kF32, Dtype::kBF16, Dtype::kF16));

}  // namespace
}  // namespace orthant
