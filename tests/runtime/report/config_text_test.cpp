#include "runtime/report/config_text.h"

#include <gtest/gtest.h>

namespace orthant {
namespace {

TEST(ConfigTextReader, NamesAreDotted) {
  const ConfigText config = read_config_text(
      "# orthant train\nseed: 0\nsae {\n  preset: \"ortsae\"\n  orthogonality {\n    coefficient: 0.25\n  "
      "}\n  k: "
      "32\n}\nlog_level: \"say \\\"hi\\\"\"\n");
  EXPECT_EQ(config.damaged_lines, 0);
  EXPECT_EQ(config.settings, (std::map<std::string, std::string>{{"seed", "0"},
                                                                 {"sae.preset", "ortsae"},
                                                                 {"sae.orthogonality.coefficient", "0.25"},
                                                                 {"sae.k", "32"},
                                                                 {"log_level", "say \"hi\""}}));
}

TEST(ConfigTextReader, RepeatedFieldsAreJoined) {
  const ConfigText config = read_config_text("hook: \"a\"\nhook: \"b\"\n");
  EXPECT_EQ(config.settings.at("hook"), "a, b");
}

TEST(ConfigTextReader, DamagedLinesAreCounted) {
  const ConfigText config = read_config_text("}\n???\nk: 3\n:\n{\n");
  EXPECT_EQ(config.damaged_lines, 4);
  EXPECT_EQ(config.settings.size(), 1u);
  EXPECT_TRUE(read_config_text("").settings.empty());
}

}  // namespace
}  // namespace orthant
