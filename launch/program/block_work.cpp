#include "launch/program/block_work.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "runtime/job/checkpoint_schedule.h"
#include "runtime/job/faults.h"
#include "runtime/job/progress.h"
#include "runtime/job/run_directory.h"
#include "runtime/job/signals.h"
#include "runtime/storage/checkpoint.h"

namespace orthant::launch {
namespace {

constexpr uint64_t kStop = 1;
constexpr uint64_t kSave = 2;

class BlockRounds {
 public:
  BlockRounds(Invocation& call, const BlockWork& work)
      : call_(call),
        work_(work),
        blocks_(static_cast<int64_t>(work.offsets.size()) - 1),
        schedule_(call.common.checkpoint(), call.common.stop_before()),
        progress_(progress_style(call.common.progress(), call.world.rank()), "token") {}

  BlockWorkDone run() {
    begin();
    while (done_ < blocks_) {
      fault_point("diff.block");
      work_round();
      if (!save_if_due()) continue;
      return outcome(true);
    }
    return outcome(false);
  }

 private:
  // Collective.
  void begin() {
    if (call_.run != nullptr) {
      checkpoints_ = std::make_unique<Checkpoints>(
          call_.run->checkpoint_folder(), call_.common.checkpoint().keep(), *call_.world.control, call_.log);
      if (const auto point = checkpoints_->load(work_.state)) done_ = point->step;
      call_.run->begin_attempt("block", done_);
    }
    schedule_.saved(done_);
    first_token_ = tokens_at(done_);
  }

  // Collective.
  void work_round() {
    Communicator& ranks = *call_.world.data;
    std::vector<int64_t> blocks;
    for (int r = 0; r <= ranks.size(); ++r) blocks.push_back(std::min(done_ + r, blocks_));
    const int64_t own = blocks[static_cast<size_t>(ranks.rank())];
    agree(*call_.world.control, "measure a block", [&] {
      if (own < blocks_) work_.take(own);
    });
    work_.add(blocks);
    done_ = blocks.back();
    const double rate = static_cast<double>(tokens_at(done_) - first_token_) / seconds();
    progress_.show({.done = tokens_at(done_),
                    .total = work_.offsets.back(),
                    .text = "",
                    .tokens_per_second = rate,
                    .seconds_left = static_cast<double>(work_.offsets.back() - tokens_at(done_)) / rate});
  }

  // Collective. Whether to leave.
  bool save_if_due() {
    ControlGroup& control = *call_.world.control;
    const bool is_first = control.rank() == 0;
    uint64_t word = stop_requested() || (is_first && schedule_.stop_due()) ? kStop : 0;
    if (is_first && checkpoints_ != nullptr && schedule_.due(done_)) word |= kSave;
    word = control.bit_or(word);
    const bool stops = (word & kStop) != 0 && done_ < blocks_;
    if (word != 0 && checkpoints_ != nullptr &&
        checkpoints_->save({.step = done_, .values = {}}, work_.state)) {
      schedule_.saved(done_);
    }
    return stops;
  }

  [[nodiscard]] int64_t tokens_at(int64_t block) const { return work_.offsets[static_cast<size_t>(block)]; }
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  [[nodiscard]] BlockWorkDone outcome(bool stopped) const {
    return {.stopped = stopped, .tokens = tokens_at(done_) - first_token_, .seconds = seconds()};
  }

  Invocation& call_;
  const BlockWork& work_;
  int64_t blocks_;
  CheckpointSchedule schedule_;
  Progress progress_;
  std::unique_ptr<Checkpoints> checkpoints_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  int64_t done_ = 0;
  int64_t first_token_ = 0;
};

}  // namespace

BlockWorkDone run_blocks(Invocation& call, const BlockWork& work) {
  return BlockRounds(call, work).run();
}

}  // namespace orthant::launch
