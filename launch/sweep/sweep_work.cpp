#include "launch/sweep/sweep_work.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <sstream>
#include <thread>

#include "launch/program/refuse.h"
#include "launch/sweep/cell_job.h"
#include "launch/sweep/training_pack.h"
#include "runtime/core/failure.h"
#include "runtime/job/checkpoint_schedule.h"
#include "runtime/job/directory_lock.h"
#include "runtime/job/progress.h"
#include "runtime/job/run_directory.h"
#include "runtime/job/signals.h"
#include "runtime/storage/file.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

// Between looks at cells that others work on: longer and longer.
constexpr std::chrono::milliseconds kFirstPause{50};
constexpr std::chrono::milliseconds kLongestPause{1000};

// How far the whole grid is, and when it will be done if all goes on as it did.
class GridProgress {
 public:
  GridProgress(const Invocation& sweep, const CellRecords& records, int64_t cells)
      : progress_(progress_style(sweep.common.progress(), sweep.world.rank()), "cell"),
        records_(records),
        cells_(cells),
        done_(records.count()),
        first_done_(done_) {}

  // `share` of `running` cells of this group is behind.
  void show(double share, int64_t running) {
    const auto now = Clock::now();
    if (now - counted_ > std::chrono::seconds(1)) {
      counted_ = now;
      done_ = records_.count();
    }
    const double own = share * static_cast<double>(running);
    const double gained = static_cast<double>(done_ - first_done_) + own;
    const double seconds = std::chrono::duration<double>(now - begun_).count();
    const double left = static_cast<double>(cells_ - done_) - own;
    progress_.show(
        {.done = done_,
         .total = cells_,
         .text = running == 0 ? "" : fmt::format("{} at work, {:.0f}% of them", running, 100.0 * share),
         .seconds_left = gained > 0.0 ? seconds / gained * std::max(0.0, left) : -1.0});
  }

 private:
  using Clock = std::chrono::steady_clock;
  Progress progress_;
  const CellRecords& records_;
  int64_t cells_;
  int64_t done_;
  int64_t first_done_;
  Clock::time_point begun_ = Clock::now();
  Clock::time_point counted_ = begun_;
};

// One group of ranks.
class Group {
 public:
  Group(Invocation& sweep, World& world, const SweepCells& cells, const CellRecords& records, int pack)
      : sweep_(sweep),
        world_(world),
        cells_(cells),
        records_(records),
        pack_(pack),
        groups_(std::max(1, sweep.world.size() / cells.group_size)),
        progress_(sweep, records, static_cast<int64_t>(cells.cells.size())),
        schedule_(sweep.common.checkpoint(), sweep.common.stop_before()) {
    for (size_t i = 0; i < cells.cells.size(); ++i) {
      place_[cells.cells[i].key] = i;
      open_.push_back(&cells.cells[i]);
    }
  }

  ExitCode work() {
    while (true) {
      const std::vector<const SweepCell*> claimed = claim();
      if (is_stopped_) return ExitCode::kStopped;
      if (claimed.empty() && is_finished_) return ExitCode::kDone;
      if (claimed.empty()) {
        progress_.show(0.0, 0);
        std::this_thread::sleep_for(pause_);
        pause_ = std::min(2 * pause_, kLongestPause);
        continue;
      }
      pause_ = kFirstPause;
      run(claimed);
      locks_.clear();
    }
  }

 private:
  // Collective over the group: its first rank looks and takes, the others hear what.
  std::vector<const SweepCell*> claim() {
    std::string text;
    agree(*world_.control, "claim cells", [&] {
      if (world_.rank() == 0) text = claim_text();
    });
    world_.control->broadcast(text, 0);
    std::istringstream words(text);
    std::vector<const SweepCell*> claimed;
    for (std::string word; words >> word;) {
      is_stopped_ |= word == "stop";
      is_finished_ |= word == "finished";
      if (place_.contains(word)) claimed.push_back(&cells_.cells[place_.at(word)]);
    }
    return claimed;
  }

  std::string claim_text() {
    is_stopped_ |= stop_requested() || schedule_.stop_due();
    if (is_stopped_) return "stop";
    std::erase_if(open_, [&](const SweepCell* cell) { return records_.has(cell->key); });
    if (open_.empty()) look_again();
    if (open_.empty()) return "finished";
    std::string text;
    for (const SweepCell* cell : take(open_)) text += cell->key + " ";
    return text;
  }

  // A job that was told to retry forgets records.
  void look_again() {
    for (const SweepCell& cell : cells_.cells) {
      if (!records_.has(cell.key)) open_.push_back(&cell);
    }
  }

  // The first open cell that nobody works on, and with it those that read the same data.
  std::vector<const SweepCell*> take(const std::vector<const SweepCell*>& open) {
    std::vector<const SweepCell*> taken;
    std::string data;
    size_t most = 1;
    for (const SweepCell* cell : open) {
      if (taken.size() == most) break;
      if (!taken.empty() && data_of(cells_, *cell) != data) continue;
      if (!lock(*cell)) continue;
      taken.push_back(cell);
      if (taken.size() > 1) continue;
      data = data_of(cells_, *cell);
      most = most_together(open, data);
    }
    return taken;
  }

  [[nodiscard]] size_t most_together(const std::vector<const SweepCell*>& open,
                                     const std::string& data) const {
    if (data.empty()) return 1;
    std::vector<const SweepCell*> alike;
    std::copy_if(open.begin(), open.end(), std::back_inserter(alike),
                 [&](const SweepCell* cell) { return data_of(cells_, *cell) == data; });
    const size_t fair = (alike.size() + static_cast<size_t>(groups_) - 1) / static_cast<size_t>(groups_);
    alike.resize(std::min(alike.size(), pack_ > 0 ? static_cast<size_t>(pack_) : fair));
    return cells_that_fit(cells_, alike, sweep_.world.local_size);
  }

  // Whether this group has the cell now; not where another works on it or has just finished it.
  bool lock(const SweepCell& cell) {
    const std::string folder = cell.config.as<Common>().out();
    make_directory(folder);
    std::unique_ptr<DirectoryLock> lock = DirectoryLock::take_if_free(folder);
    if (!lock || records_.has(cell.key)) return false;
    locks_.push_back(std::move(lock));
    return true;
  }

  void run(const std::vector<const SweepCell*>& claimed) {
    if (claimed.size() == 1) return run_alone(*claimed.front());
    const PackReport report{
        .ended = [&](const SweepCell& cell, const json::object& record) { keep(cell, record); },
        .advanced = [&](double share) { progress_.show(share, static_cast<int64_t>(claimed.size())); }};
    const PackEnd end = train_together(cells_, claimed, sweep_, world_, report);
    sweep_.log.info("{} cells on one reading: {} rows read, {} given", claimed.size(), end.rows_read,
                    end.rows_given);
    if (end.is_stopped) return;
    for (const SweepCell* cell : end.refused_together) run_alone(*cell);
  }

  void run_alone(const SweepCell& cell) {
    progress_.show(0.0, 1);
    CellJob job(cells_, cell, sweep_, world_);
    json::object record;
    try {
      if (job.open()) {
        const ExitCode code = job.run();
        job.end(code);
        if (code == ExitCode::kStopped) return;
      }
      record = job.record();
    } catch (const std::exception& problem) {
      if (!is_of_the_cell(problem, world_)) throw;
      job.end(problem);
      record = job.record_of(problem);
    }
    keep(cell, record);
  }

  void keep(const SweepCell& cell, const json::object& record) {
    agree(*world_.control, "record a cell", [&] {
      if (world_.rank() == 0) records_.write(cell.key, record);
    });
    if (const json::value* reason = record.if_contains("reason")) {
      sweep_.log.warning("cell {} failed: {}", cell.key, reason->as_string().c_str());
    }
  }

  Invocation& sweep_;
  World& world_;
  const SweepCells& cells_;
  const CellRecords& records_;
  int pack_;
  int groups_;
  GridProgress progress_;
  CheckpointSchedule schedule_;
  std::map<std::string, size_t> place_;
  std::vector<const SweepCell*> open_;  // without a record when it was looked last
  std::chrono::milliseconds pause_ = kFirstPause;
  std::vector<std::unique_ptr<DirectoryLock>> locks_;  // first rank of the group: of the cells at work
  bool is_stopped_ = false;
  bool is_finished_ = false;
};

// Ranks that no group has a place for look on.
ExitCode wait_for_records(const SweepCells& cells, const CellRecords& records) {
  const auto is_missing = [&](const SweepCell& cell) { return !records.has(cell.key); };
  while (std::any_of(cells.cells.begin(), cells.cells.end(), is_missing)) {
    if (stop_requested()) return ExitCode::kStopped;
    std::this_thread::sleep_for(kLongestPause);
  }
  return ExitCode::kDone;
}

World own_world(const World& world, Device device) {
  World alone = make_self_world(device);
  alone.local_rank = world.local_rank;
  alone.local_size = world.local_size;
  return alone;
}

ExitCode work_in_groups(Invocation& sweep, const SweepCells& cells, const CellRecords& records, int pack) {
  World& world = sweep.world;
  if (cells.group_size == 1) {
    World alone = own_world(world, cells.device);
    return Group(sweep, alone, cells, records, pack).work();
  }
  const int groups = world.size() / cells.group_size;
  const int group = world.rank() / cells.group_size;
  World part = split_world(world, group);
  if (group == groups) return wait_for_records(cells, records);
  return Group(sweep, part, cells, records, pack).work();
}

void refuse_small_world(const Invocation& sweep, const SweepCells& cells) {
  if (sweep.world.size() < cells.group_size) {
    refuse(fmt::format("{} ranks are fewer than the {} of a cell", sweep.world.size(), cells.group_size),
           "a cell runs at the mesh that the sweep file gives",
           fmt::format("Start it with mpirun -n {}.", cells.group_size));
  }
  if (cells.group_size > 1 && sweep.world.data->device().kind != cells.device.kind) {
    refuse(fmt::format("verb '{}' has no part for the device of this sweep", cells.verb->name),
           "its groups of ranks would talk over the wrong network", "Use --device=cpu.");
  }
}

}  // namespace

ExitCode work_on_cells(Invocation& invocation, const SweepCells& cells, const CellRecords& records,
                       int pack) {
  refuse_small_world(invocation, cells);
  const ExitCode code = work_in_groups(invocation, cells, records, pack);
  // Groups end when their cells do: those that are done wait for the others' last ones.
  const DeadlineScope patient(*invocation.world.control, std::chrono::hours(24));
  const uint64_t stopped = invocation.world.control->bit_or(code == ExitCode::kStopped ? 1 : 0);
  return stopped != 0 ? ExitCode::kStopped : ExitCode::kDone;
}

}  // namespace orthant::launch
