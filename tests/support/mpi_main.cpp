// GoogleTest under mpirun: rank 0 prints; a test that fails on any rank fails on rank 0 with the texts of
// all. Ranks meet after each test; one that takes longer than a minute ends the job with exit code 71, naming
// the test. Tests that any rank skipped are listed at the end, one line each: to the outside the whole binary
// is one test (launch/test.sh counts the lines).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/comm/watchdog.h"
#include "tests/support/mpi_world.h"

namespace orthant::testing {
namespace {

constexpr std::chrono::seconds kTestDeadline{60};
constexpr std::chrono::seconds kCollectiveDeadline{30};

constexpr std::string_view kSkip = "skipped ";  // so that a skip without a reason is no empty text

World* job_world = nullptr;  // set by main before and cleared after the tests

class RankListener final : public ::testing::EmptyTestEventListener {
 public:
  explicit RankListener(World& world)
      : world_(world), watchdog_(world.rank(), {kTestDeadline, kTestDeadline}, OnDeadline::kExit) {}

  void OnTestStart(const ::testing::TestInfo& test) override {
    failures_.clear();
    skip_.clear();
    watch_.emplace(watchdog_, Operation{test.name(), Dtype::kU8, 0, world_.size()});
  }
  void OnTestPartResult(const ::testing::TestPartResult& part) override {
    if (part.skipped()) skip_ = fmt::format("{}{}", kSkip, part.message());
    if (!part.failed()) return;
    const char* file = part.file_name() == nullptr ? "unknown file" : part.file_name();
    failures_ += fmt::format("{}:{}: {}\n", file, part.line_number(), part.summary());
  }
  void OnTestEnd(const ::testing::TestInfo& test) override {
    const std::vector<std::string> texts = world_.control->gather_all(failures_);
    for (size_t rank = 1; rank < texts.size() && world_.rank() == 0; ++rank) {
      if (!texts[rank].empty()) ADD_FAILURE() << "on rank " << rank << ":\n" << texts[rank];
    }
    const std::vector<std::string> skips = world_.control->gather_all(skip_);
    const auto skip =
        std::find_if(skips.begin(), skips.end(), [](const std::string& text) { return !text.empty(); });
    if (skip != skips.end()) {
      skipped_.push_back(fmt::format("world {} skipped {}.{} on rank {}: {}", world_.size(),
                                     test.test_suite_name(), test.name(), skip - skips.begin(),
                                     skip->substr(kSkip.size(), skip->find('\n') - kSkip.size())));
    }
    watch_.reset();
  }

  void print_skipped() const {
    if (world_.rank() != 0) return;
    for (const std::string& line : skipped_) fmt::print("{}\n", line);
  }

 private:
  World& world_;
  Watchdog watchdog_;
  std::optional<Watchdog::Watch> watch_;
  std::string failures_;
  std::string skip_;                  // of this rank's test: empty, or why it was skipped
  std::vector<std::string> skipped_;  // lines to print
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
  listener->print_skipped();
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
