#include "launch/sweep/training_pack.h"

#include <fmt/format.h>

#include <algorithm>

#include "launch/config.pb.h"
#include "launch/source/open_source.h"
#include "launch/train/train_config.h"
#include "launch/train/train_plan.h"
#include "launch/train/training_run.h"
#include "runtime/core/failure.h"

namespace orthant::launch {
namespace {

using sae::TrainingState;

// Rows from the beginning that every training looks at before its first step.
constexpr int64_t kFirstRows = 32768;
// Batches that calibration reads behind the last step, and the one at hand.
constexpr int64_t kBatches = 10;
// Of the memory that is left, what trainings that run together may take, and what the shared rows may.
constexpr double kShareOfRoom = 0.8;
constexpr int64_t kRoomParts = 4;

Train train_of(const SweepCell& cell) {
  return cell.config.as<Train>();
}

MeshShape mesh_of(const Common& common, int ranks) {
  return resolve_mesh({common.mesh().data(), common.mesh().dictionary()}, ranks);
}

int64_t shared_rows(const std::vector<const SweepCell*>& members, int64_t d_model, int ranks) {
  int64_t rows = kFirstRows;
  int64_t batch = 1;
  for (const SweepCell* member : members) {
    const sae::Train train = train_of(*member).train();
    rows = std::max(rows, kBatches * train.batch_tokens() + train.holdout_rows());
    batch = std::max<int64_t>(batch, train.batch_tokens());
  }
  const int64_t row_bytes = d_model * static_cast<int64_t>(sizeof(float));
  return std::max(batch, std::min(rows, available_bytes(kCpu) / kRoomParts / ranks / row_bytes));
}

struct Member {
  std::unique_ptr<CellJob> job;
  std::unique_ptr<TrainingRun> training;
};

class Pack {
 public:
  Pack(const SweepCells& cells, const std::vector<const SweepCell*>& members, const Invocation& sweep,
       World& world, const PackReport& report)
      : cells_(cells), sweep_(sweep), world_(world), report_(report), memory_(cells.device) {
    const Train first = train_of(*members.front());
    const auto common = members.front()->config.as<Common>();
    try {
      agree(*world.control, "open the activation source", [&] {
        source_ = open_source(first.source(), common.seed(), world, memory_.host(), memory_.device(),
                              sweep.log, kernels::precision_from_name(first.precision()));
        shared_ = std::make_unique<SharedSource>(
            *source_, shared_rows(members, source_->d_model(), world.local_size), memory_.host());
      });
    } catch (const std::exception& problem) {
      if (!is_of_the_cell(problem, world)) throw;
      end_.refused_together = members;  // their data cannot be read: each says so by itself
      return;
    }
    for (const SweepCell* cell : members) begin(*cell);
    for (const Member& member : members_) tokens_ += member.training->tokens();
  }

  PackEnd run() {
    while (Member* member = last_behind()) {
      advance(*member);
      report_.advanced(tokens_ > 0 ? static_cast<double>(tokens_done()) / static_cast<double>(tokens_) : 1.0);
    }
    if (!shared_) return end_;
    end_.rows_read = shared_->rows_read();
    end_.rows_given = shared_->rows_given();
    return end_;
  }

 private:
  void begin(const SweepCell& cell) {
    Member member{.job = std::make_unique<CellJob>(cells_, cell, sweep_, world_), .training = nullptr};
    try {
      if (member.job->open()) {
        member.training = std::make_unique<TrainingRun>(member.job->invocation(), shared_.get());
      }
    } catch (const std::exception& problem) {
      if (!is_of_the_cell(problem, world_)) throw;
      member.job->end(problem);
      end_.refused_together.push_back(&cell);
      return;
    }
    if (!member.training) return report_.ended(cell, member.job->record());
    members_.push_back(std::move(member));
  }

  // The member with the fewest rows behind it, of those that are still running; null: none is.
  Member* last_behind() {
    Member* behind = nullptr;
    for (Member& member : members_) {
      if (!member.training) continue;
      if (behind == nullptr || member.training->tokens_done() < behind->training->tokens_done()) {
        behind = &member;
      }
    }
    return behind;
  }

  void advance(Member& member) {
    boost::json::object record;
    try {
      const TrainingState state = member.training->advance();
      if (state == TrainingState::kRunning) return;
      end_.is_stopped |= state == TrainingState::kStopped;
      if (state == TrainingState::kStopped) member.job->end(ExitCode::kStopped);
      if (state == TrainingState::kFinished) {
        member.job->end(member.training->finish());
        record = member.job->record();
      }
    } catch (const std::exception& problem) {
      if (!is_of_the_cell(problem, world_)) throw;
      member.job->end(problem);
      record = member.job->record_of(problem);
    }
    ended_tokens_ += member.training->tokens();
    member.training.reset();
    if (!record.empty()) report_.ended(member.job->cell(), record);
  }

  [[nodiscard]] int64_t tokens_done() const {
    int64_t done = ended_tokens_;
    for (const Member& member : members_) done += member.training ? member.training->tokens_done() : 0;
    return done;
  }

  const SweepCells& cells_;
  const Invocation& sweep_;
  World& world_;
  const PackReport& report_;
  JobMemory memory_;
  std::unique_ptr<ActivationSource> source_;
  std::unique_ptr<SharedSource> shared_;
  std::vector<Member> members_;
  int64_t tokens_ = 0;
  int64_t ended_tokens_ = 0;
  PackEnd end_;
};

}  // namespace

std::string data_of(const SweepCells& cells, const SweepCell& cell) {
  if (cells.verb->schema != Train::descriptor()) return "";
  const Train own = train_of(cell);
  const uint64_t seed = seed_of(own.source(), cell.config.as<Common>().seed());
  return fmt::format("{}|{}|{}|{}|{}", own.source().SerializeAsString(), seed, own.precision(),
                     own.train().batch_tokens(), own.train().micro_batches());
}

size_t cells_that_fit(const SweepCells& cells, const std::vector<const SweepCell*>& members, int ranks) {
  const auto room = static_cast<int64_t>(kShareOfRoom * static_cast<double>(available_bytes(cells.device)));
  const int sharers = cells.device == kCpu ? ranks : 1;
  int64_t bytes = 0;
  for (size_t i = 0; i < members.size(); ++i) {
    JobMemory counted(JobMemory::Counting{}, cells.device);
    const auto common = members[i]->config.as<Common>();
    try {
      count_training(common, train_of(*members[i]), mesh_of(common, cells.group_size), 0, i == 0, counted);
    } catch (const Error&) {
      continue;  // it will be refused when it begins
    }
    bytes += counted.device().allocated_bytes();
    if (bytes > room / sharers && i > 0) return i;
  }
  return members.size();
}

PackEnd train_together(const SweepCells& cells, const std::vector<const SweepCell*>& members,
                       const Invocation& sweep, World& world, const PackReport& report) {
  Pack pack(cells, members, sweep, world, report);
  return pack.run();
}

}  // namespace orthant::launch
