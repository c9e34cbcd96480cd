#include "runtime/storage/checkpoint.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <set>

#include "runtime/core/error.h"
#include "runtime/core/failure.h"
#include "runtime/core/hash.h"
#include "runtime/job/faults.h"
#include "runtime/storage/checkpoint_manifest.h"
#include "runtime/storage/checkpoint_shard.h"
#include "runtime/storage/file.h"

namespace orthant {
namespace {

constexpr std::string_view kTrash = ".trash-";
constexpr std::string_view kCorrupt = ".corrupt";

std::vector<TensorSlice> slices_of(std::span<Checkpointable* const> objects) {
  std::vector<TensorSlice> slices;
  std::set<std::string> names;
  for (Checkpointable* object : objects) {
    for (TensorSlice& slice : object->state()) {
      require(names.insert(slice.name).second, "the names of the checkpointed tensors differ: " + slice.name);
      slices.push_back(std::move(slice));
    }
  }
  return slices;
}

// Runs `work` and turns what it throws into a report, so that no rank misses the collective that follows.
template <typename Work>
void report_failure(int& exit_code, std::string& problem, const Work& work) {
  try {
    work();
  } catch (const std::exception& exception) {
    const Failure failure = failure_of(exception);
    exit_code = static_cast<int>(failure.code);
    problem = failure.message;
  }
}

std::string new_save_id(int64_t step) {
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return to_hex(hash128(fmt::format("{} {} {}", now, ::getpid(), step)));
}

std::string free_name(const std::string& directory, const std::string& stem) {
  for (int64_t attempt = 0;; ++attempt) {
    std::string name = fmt::format("{}{}", stem, attempt);
    if (!std::filesystem::exists(directory + "/" + name)) return name;
  }
}

// The directory under its final name, replacing one of an earlier save of the same step without a moment in
// which neither is there, where the file system can.
void appear(const std::string& directory, const std::string& temporary, const std::string& name) {
  const std::string from = directory + "/" + temporary;
  const std::string to = directory + "/" + name;
  const std::string trash = directory + "/" + std::string(kTrash) + temporary;
  if (!std::filesystem::exists(to)) {
    rename_path(from, to);
  } else if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    rename_path(from, trash);
  } else {
    rename_path(to, trash);
    rename_path(from, to);
  }
  sync_directory(directory);
}

void log_unless_empty(Log& log, const std::string& what, const std::string& problem) {
  if (!problem.empty()) log.warning("{}: {}", what, problem);
}

}  // namespace

Checkpoints::Checkpoints(std::string directory, int64_t keep, ControlGroup& control, Log& log)
    : directory_(std::move(directory)), keep_(keep), control_(control), log_(log) {
  require(keep_ >= 1, "at least one checkpoint is kept");
}

Checkpoints::Outcome Checkpoints::shared(Outcome of_rank_0) {
  std::string text = fmt::format("{:03d}{}", of_rank_0.exit_code, of_rank_0.problem);
  control_.broadcast(text, 0);
  return {.exit_code = std::stoi(text.substr(0, 3)), .problem = text.substr(3)};
}

bool Checkpoints::save(const CheckpointPoint& point, std::span<Checkpointable* const> objects) {
  const Outcome outcome = write_and_commit(point, objects);
  if (outcome.exit_code == 0) {
    failures_in_a_row_ = 0;
    if (control_.rank() == 0) retire_old(checkpoint_name(point.step));
    control_.barrier();
    return true;
  }
  ++failures_;
  ++failures_in_a_row_;
  if (outcome.exit_code != static_cast<int>(ExitCode::kIo)) {
    throw Error(static_cast<ExitCode>(outcome.exit_code), outcome.problem);
  }
  log_.warning("checkpoint of step {} was not saved, older ones stay: {}", point.step, outcome.problem);
  if (failures_in_a_row_ >= kMostFailures) {
    throw Error(ExitCode::kIo,
                {.problem = fmt::format("{} checkpoints in a row could not be saved", failures_in_a_row_),
                 .why = outcome.problem,
                 .suggestion = "Make room, then run the same command again; it continues."});
  }
  return false;
}

Checkpoints::Outcome Checkpoints::write_and_commit(const CheckpointPoint& point,
                                                   std::span<Checkpointable* const> objects) {
  const bool first = control_.rank() == 0;
  const std::string save_id_of_0 = first ? new_save_id(point.step) : "";
  std::string temporary;
  Outcome begun;
  if (first) {
    report_failure(begun.exit_code, begun.problem, [&] {
      make_directory(directory_);
      temporary = free_name(directory_, checkpoint_name(point.step) + ".tmp.");
      make_directory(directory_ + "/" + temporary);
      fault_point("checkpoint.mkdir");
      begun.problem = save_id_of_0 + temporary;
    });
  }
  begun = shared(begun);
  if (begun.exit_code != 0) return begun;
  const std::string save_id = begun.problem.substr(0, 32);
  temporary = begun.problem.substr(32);

  WrittenShard written;
  Outcome mine;
  report_failure(mine.exit_code, mine.problem, [&] {
    const ShardIdentity identity{
        .save_id = save_id, .step = point.step, .rank = control_.rank(), .world = control_.size()};
    written = write_checkpoint_shard(directory_ + "/" + temporary, identity, slices_of(objects));
  });
  written.set_exit_code(mine.exit_code);
  written.set_problem(mine.problem);
  const std::vector<std::string> reports = control_.gather_all(written.SerializeAsString());

  Outcome ended;
  if (first) {
    report_failure(ended.exit_code, ended.problem, [&] { commit(temporary, save_id, point, reports); });
    if (ended.exit_code != 0) {
      int ignored = 0;
      std::string problem;
      report_failure(ignored, problem, [&] { remove_path(directory_ + "/" + temporary); });
      log_unless_empty(log_, "an unfinished checkpoint stays", problem);
    }
  }
  return shared(ended);
}

void Checkpoints::commit(const std::string& temporary, const std::string& save_id,
                         const CheckpointPoint& point, const std::vector<std::string>& reports) const {
  std::vector<WrittenShard> shards;
  for (const std::string& report : reports) {
    require(shards.emplace_back().ParseFromString(report), "a rank's report parses");
    if (const int code = shards.back().exit_code(); code != 0) {
      throw Error(static_cast<ExitCode>(code),
                  fmt::format("rank {}: {}", shards.size() - 1, shards.back().problem()));
    }
  }
  Manifest manifest;
  manifest.set_format(kCheckpointFormatVersion);
  manifest.set_step(point.step);
  manifest.set_world(control_.size());
  manifest.set_save_id(save_id);
  for (const auto& [key, value] : point.values) {
    ManifestValue& kept = *manifest.add_values();
    kept.set_key(key);
    kept.set_value(value);
  }
  manifest.set_written_at(fmt::format(
      "{:%FT%TZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()))));
  for (const WrittenShard& shard : shards) *manifest.add_files() = shard.file();
  compose_tensors(shards, manifest);
  fault_point("checkpoint.before_manifest");
  write_manifest(directory_ + "/" + temporary, manifest);
  fault_point("checkpoint.after_manifest");
  (void)read_manifest(directory_ + "/" + temporary);  // also compares the size of every shard
  fault_point("checkpoint.before_rename");
  appear(directory_, temporary, checkpoint_name(point.step));
  fault_point("checkpoint.after_rename");
}

void Checkpoints::retire_old(const std::string& newest) {
  int ignored = 0;
  std::string problem;
  report_failure(ignored, problem, [&] {
    replace_file(directory_ + "/LATEST", newest + "\n");
    const std::vector<std::string> names = committed_checkpoints(directory_);
    for (size_t i = static_cast<size_t>(keep_); i < names.size(); ++i) {
      rename_path(directory_ + "/" + names[i], directory_ + "/" + std::string(kTrash) + names[i]);
    }
    sync_directory(directory_);
    fault_point("checkpoint.during_retention");
    for (const std::string& name : names_in(directory_)) {
      const bool abandoned = name.starts_with("step-") && name.find(".tmp.") != std::string::npos;
      if (abandoned || name.starts_with(kTrash)) remove_path(directory_ + "/" + name);
    }
  });
  log_unless_empty(log_, "old checkpoints were not removed", problem);
}

std::optional<CheckpointPoint> Checkpoints::load(std::span<Checkpointable* const> objects) {
  bool existed = false;
  for (std::set<std::string> tried;;) {
    Outcome candidate;
    if (control_.rank() == 0) {
      report_failure(candidate.exit_code, candidate.problem, [&] {
        const std::vector<std::string> names = committed_checkpoints(directory_);
        if (!names.empty()) candidate.problem = names.front();
        require(tried.insert(candidate.problem).second, "a rejected checkpoint is not tried again");
        for (const std::string& name : names_in(directory_))
          existed = existed || name.find(kCorrupt) != std::string::npos;
      });
    }
    candidate = shared(candidate);
    if (candidate.exit_code != 0) throw Error(static_cast<ExitCode>(candidate.exit_code), candidate.problem);
    if (candidate.problem.empty()) break;
    CheckpointPoint point;
    const Outcome outcome = try_load(candidate.problem, objects, point);
    if (outcome.exit_code == 0) return point;
    if (outcome.exit_code != static_cast<int>(ExitCode::kData)) {
      throw Error(static_cast<ExitCode>(outcome.exit_code), outcome.problem);
    }
    reject(candidate.problem, outcome.problem);
  }
  if (control_.max(existed ? 1 : 0) == 0) return std::nullopt;
  throw Error(ExitCode::kData, {.problem = fmt::format("no checkpoint in {} is whole", directory_),
                                .why = "all were damaged; their names end in .corrupt and the log says how",
                                .suggestion = "Restore one from a copy, or start over with --fresh."});
}

Checkpoints::Outcome Checkpoints::try_load(const std::string& name, std::span<Checkpointable* const> objects,
                                           CheckpointPoint& point) {
  Outcome mine;
  report_failure(mine.exit_code, mine.problem, [&] {
    const std::string path = directory_ + "/" + name;
    const Manifest manifest = read_manifest(path);
    if (checkpoint_name(manifest.step()) != name) {
      throw Error(ExitCode::kData, {.problem = fmt::format("{} holds the manifest of another step", path),
                                    .why = fmt::format("found step {}", manifest.step())});
    }
    read_checkpoint_slices(path, manifest, slices_of(objects));
    point.step = manifest.step();
    for (const ManifestValue& kept : manifest.values()) point.values[kept.key()] = kept.value();
  });
  return first_failure(mine);
}

// Damage on any rank decides over other failures: it says that the next candidate is to be tried.
Checkpoints::Outcome Checkpoints::first_failure(const Outcome& mine) {
  Outcome chosen;
  int rank = 0;
  for (const std::string& report :
       control_.gather_all(fmt::format("{:03d}{}", mine.exit_code, mine.problem))) {
    const int code = std::stoi(report.substr(0, 3));
    const bool decides =
        code != 0 &&
        (chosen.exit_code == 0 || (code == static_cast<int>(ExitCode::kData) && chosen.exit_code != code));
    if (decides) chosen = {.exit_code = code, .problem = fmt::format("rank {}: {}", rank, report.substr(3))};
    ++rank;
  }
  return chosen;
}

void Checkpoints::reject(const std::string& name, const std::string& reason) {
  log_.warning("checkpoint {} is damaged and left out: {}", name, reason);
  Outcome renamed;
  if (control_.rank() == 0) {
    report_failure(renamed.exit_code, renamed.problem, [&] {
      std::string target = name + std::string(kCorrupt);
      if (std::filesystem::exists(directory_ + "/" + target)) target = free_name(directory_, target + ".");
      rename_path(directory_ + "/" + name, directory_ + "/" + target);
      sync_directory(directory_);
    });
  }
  renamed = shared(renamed);
  if (renamed.exit_code != 0) throw Error(static_cast<ExitCode>(renamed.exit_code), renamed.problem);
}

std::vector<Damage> verify_checkpoint(const std::string& checkpoint) {
  const std::string repair = "Remove the directory; the run continues from the checkpoint before it.";
  std::vector<Damage> damage;
  Manifest manifest;
  const auto attempt = [&](const std::string& file, const auto& check) {
    int code = 0;
    std::string reason;
    report_failure(code, reason, check);
    if (code != 0) damage.push_back({.file = file, .reason = reason, .repair = repair});
  };
  attempt(std::string(kManifestFile), [&] { manifest = read_manifest(checkpoint); });
  if (!damage.empty()) return damage;
  for (int i = 0; i < manifest.files_size(); ++i) {
    attempt(manifest.files(i).name(), [&] { verify_checkpoint_shard(checkpoint, manifest, i); });
  }
  const std::string twin = checkpoint + "/" + std::string(kManifestTwin);
  if (!std::filesystem::exists(twin) || read_file(twin) != manifest_json(manifest)) {
    damage.push_back({.file = std::string(kManifestTwin),
                      .reason = twin + " differs from MANIFEST.pb",
                      .repair = "It is for people only and never loaded; remove it."});
  }
  return damage;
}

}  // namespace orthant
