// GoogleTest under mpirun: rank 0 prints; a test that fails on any rank fails on rank 0 with the texts of
// all. Ranks meet after each test; one that takes longer than a minute ends the job with exit code 71, naming
// the test.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/comm/watchdog.h"
#include "tests/support/mpi_world.h"

namespace orthant::testing {
namespace {

constexpr std::chrono::seconds kTestDeadline{60};
constexpr std::chrono::seconds kCollectiveDeadline{30};

World* job_world = nullptr;  // set by main before and cleared after the tests

class RankListener final : public ::testing::EmptyTestEventListener {
 public:
  explicit RankListener(World& world)
      : world_(world), watchdog_(world.rank(), {kTestDeadline, kTestDeadline}, OnDeadline::kExit) {}

  void OnTestStart(const ::testing::TestInfo& test) override {
    failures_.clear();
    watch_.emplace(watchdog_, Operation{test.name(), Dtype::kU8, 0, world_.size()});
  }
  void OnTestPartResult(const ::testing::TestPartResult& part) override {
    if (!part.failed()) return;
    const char* file = part.file_name() == nullptr ? "unknown file" : part.file_name();
    failures_ += fmt::format("{}:{}: {}\n", file, part.line_number(), part.summary());
  }
  void OnTestEnd(const ::testing::TestInfo&) override {
    const std::vector<std::string> texts = world_.control->gather_all(failures_);
    for (size_t rank = 1; rank < texts.size() && world_.rank() == 0; ++rank) {
      if (!texts[rank].empty()) ADD_FAILURE() << "on rank " << rank << ":\n" << texts[rank];
    }
    watch_.reset();
  }

 private:
  World& world_;
  Watchdog watchdog_;
  std::optional<Watchdog::Watch> watch_;
  std::string failures_;
};

int run_tests(World world) {
  job_world = &world;
  auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
  if (world.rank() != 0) delete listeners.Release(listeners.default_result_printer());
  // The end of a test is told to the last listener first: failures of other ranks are added before the
  // printer looks.
  const auto listener = std::make_unique<RankListener>(world);
  listeners.Append(listener.get());
  const int code = RUN_ALL_TESTS();
  listeners.Release(listener.get());
  job_world = nullptr;
  return code;
}

}  // namespace

World& world() {
  return *job_world;
}

}  // namespace orthant::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  orthant::MpiSession session({orthant::testing::kCollectiveDeadline, orthant::testing::kCollectiveDeadline});
  return orthant::run_ranks(session, orthant::testing::run_tests);
}
