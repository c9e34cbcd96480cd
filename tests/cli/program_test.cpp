#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

std::string content_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

Outcome run(const std::string& arguments, const std::string& launcher = "") {
  const testing::TempDir folder;
  const std::string command = launcher + " " + ORTHANT_PROGRAM + " " + arguments + " >" + folder.file("out") +
                              " 2>" + folder.file("err");
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content_of(folder.file("out")),
          content_of(folder.file("err"))};
}

// Two ranks, also for root and with fewer cores than ranks.
constexpr char kTwoRanks[] =
    "env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 "
    "mpirun -n 2";

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Program, HelpListsVerbs) {
  for (const char* arguments : {"help", "--help", ""}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_TRUE(holds(outcome.out, "completion")) << outcome.out;
    EXPECT_EQ(outcome.err, "");
  }
}

TEST(Program, VerbHelpListsFields) {
  const Outcome outcome = run("help --help");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_TRUE(holds(outcome.out, "--format"));
  EXPECT_TRUE(holds(outcome.out, "default text; one of text, man, markdown"));
  EXPECT_EQ(run("help help").out, outcome.out);
}

TEST(Program, VersionNamesWhatWasBuilt) {
  const Outcome outcome = run("--version");
  EXPECT_EQ(outcome.code, 0);
  for (const char* word : {"orthant ", "git", "compiler", "MPI", "CUDA", "NCCL", "kernels"})
    EXPECT_TRUE(holds(outcome.out, word)) << word;
}

TEST(Program, UnknownVerbsAndFlagsAreUsageErrors) {
  const auto expect_usage = [](const std::string& arguments, const std::string& hint) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 64) << arguments;
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(holds(outcome.err, hint)) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  };
  expect_usage("complet", "orthant completion");
  expect_usage("help --fromat=man", "--format?");
  expect_usage("completion", "bash|zsh|fish");
  expect_usage("completion bash zsh", "unexpected argument 'zsh'");
  expect_usage("--verson", "verson");
  expect_usage("help nothing", "unknown verb 'nothing'");
}

TEST(Program, BadValuesAreConfigurationErrors) {
  const Outcome outcome = run("completion tcsh");
  EXPECT_EQ(outcome.code, 78);
  EXPECT_TRUE(holds(outcome.err, "shell = 'tcsh'") && holds(outcome.err, "bash, zsh, fish")) << outcome.err;
}

TEST(Program, EveryRankEndsWithTheCode) {
  const Outcome outcome = run("help --fromat=man", kTwoRanks);
  EXPECT_EQ(outcome.code, 64);
  EXPECT_EQ(outcome.out, "");
  const size_t first = outcome.err.find("Did you mean --format?");
  EXPECT_NE(first, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("Did you mean --format?", first + 1), std::string::npos)
      << "printed by one rank";
  EXPECT_EQ(run("help", kTwoRanks).out, run("help").out);
}

TEST(Program, BashCompletionCompletes) {
  const testing::TempDir folder;
  std::ofstream(folder.file("complete.sh")) << R"(source <("$1" completion bash)
COMP_LINE="$2" COMP_POINT=${#2}
_orthant
echo "${COMPREPLY[*]}"
)";
  const auto complete = [&](const std::string& line) {
    const std::string out = folder.file("out");
    const std::string command = "bash " + folder.file("complete.sh") + " " + ORTHANT_PROGRAM + " '" + line +
                                "' >" + out + " 2>/dev/null";
    EXPECT_EQ(std::system(command.c_str()), 0);
    return content_of(out);
  };
  EXPECT_EQ(complete("orthant comp"), "completion\n");
  EXPECT_EQ(complete("orthant help --for"), "--format=\n");
  EXPECT_EQ(complete("orthant help --format=ma"), "man markdown\n");
}

TEST(Program, ManualIsCurrent) {
  const Outcome outcome = run("help --format=markdown");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, content_of(std::string(ORTHANT_SOURCE_DIR) + "/docs/cli.md"))
      << "run: build/orthant help --format=markdown > docs/cli.md";
  EXPECT_TRUE(holds(run("help --format=man").out, ".TH ORTHANT 1"));
}

}  // namespace
}  // namespace orthant
