#include "runtime/job/cell_records.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/code_of.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

TEST(CellRecords, KeepWhatIsKnownOfEachCell) {
  const testing::TempDir folder;
  const CellRecords records(folder.file("records"));
  EXPECT_EQ(records.count(), 0);
  EXPECT_FALSE(records.read("aa").has_value());
  records.write("aa", {{"state", "done"}, {"l0", 4.5}});
  EXPECT_TRUE(records.has("aa"));
  EXPECT_EQ(records.count(), 1);
  EXPECT_EQ(CellRecords(folder.file("records")).read("aa")->at("l0").as_double(), 4.5);
  records.remove("aa");
  EXPECT_FALSE(records.has("aa"));
}

TEST(CellRecords, NameADamagedRecord) {
  const testing::TempDir folder;
  const CellRecords records(folder.file("records"));
  for (const char* text : {"{\"state\":", "[1]"}) {
    std::ofstream(folder.file("records/bb.json")) << text;
    std::string message;
    EXPECT_EQ(testing::code_of([&] { (void)records.read("bb"); }, &message), ExitCode::kData);
    EXPECT_NE(message.find("bb.json"), std::string::npos);
  }
}

}  // namespace
}  // namespace orthant
