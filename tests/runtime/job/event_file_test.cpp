// The event file as its own readers see it; the bytes are checked in metrics_test.cpp.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "runtime/job/metrics.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

TEST(EventFile, TensorBoardReadsIt) {
  const char* named = std::getenv("ORTHANT_TEST_PYTHON");
  const std::string python = named != nullptr ? named : "python3";
  if (std::system((python + " -c 'import tensorboard' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << python << " has no package tensorboard";
  }
  const testing::TempDir folder;
  MetricsWriter(folder.path().string(), 0, true).write(7, 70, 1.0, {{"losses/mse", 0.5}});
  const std::string script =
      "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator as E; import sys; "
      "e = E(sys.argv[1]); e.Reload(); s = e.Scalars('losses/mse'); "
      "sys.exit(not (len(s) == 1 and s[0].step == 7 and s[0].value == 0.5))";
  EXPECT_EQ(std::system((python + " -c \"" + script + "\" " + folder.path().string()).c_str()), 0);
}

}  // namespace
}  // namespace orthant
