// Checkpoints of a run: a directory appears by rename when every rank's part and the manifest are on disk.
//
//   DIRECTORY/step-000012000/{shard-RRRRR-of-WWWWW.bin, MANIFEST.pb, MANIFEST.json}
//   DIRECTORY/step-000013000.tmp.N   in progress or abandoned, never read
//   DIRECTORY/step-000011000.corrupt  rejected by a load, kept for the reader of the log
//   DIRECTORY/LATEST                  a hint for people, never trusted
//
// A checkpoint is absent or complete, whatever is killed and whenever. A save that fails leaves the older
// ones as they are. Loading takes the newest that is valid and verifies every chunk it uses; any number of
// ranks loads what any number wrote. Main thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/comm/control_group.h"
#include "runtime/core/log.h"
#include "runtime/job/checkpointable.h"
#include "runtime/storage/damage.h"

namespace orthant {

// What travels beside the tensors: consumed samples, the hash of the configuration, ... as text.
struct CheckpointPoint {
  int64_t step = 0;
  std::map<std::string, std::string> values;
};

class Checkpoints {
 public:
  // After this many failed saves in a row the run stops with Error(kIo).
  static constexpr int64_t kMostFailures = 3;

  // Keeps the newest `keep` >= 1. `control` and `log` outlive the object.
  Checkpoints(std::string directory, int64_t keep, ControlGroup& control, Log& log);

  // Collective. `point` and the names in `objects` are equal on all ranks. False, on all ranks, when the
  // system refused (full disk, ...): reported in the log and counted, nothing is lost. Throws what is no such
  // refusal.
  bool save(const CheckpointPoint& point, std::span<Checkpointable* const> objects);
  // Collective. Restores the newest valid checkpoint; nothing when there has never been one. Damaged ones are
  // renamed to .corrupt with the reason in the log; throws Error(kData) when none is left, Error(kConfig)
  // when the tensors are not those of `objects`.
  [[nodiscard]] std::optional<CheckpointPoint> load(std::span<Checkpointable* const> objects);

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] int64_t failures() const { return failures_; }  // saves that failed so far

 private:
  struct Outcome {
    int exit_code = 0;
    std::string problem;
  };
  [[nodiscard]] Outcome write_and_commit(const CheckpointPoint& point,
                                         std::span<Checkpointable* const> objects);
  [[nodiscard]] Outcome try_load(const std::string& name, std::span<Checkpointable* const> objects,
                                 CheckpointPoint& point);
  void commit(const std::string& temporary, const std::string& save_id, const CheckpointPoint& point,
              const std::vector<std::string>& reports) const;
  void retire_old(const std::string& newest);
  void reject(const std::string& name, const std::string& reason);
  [[nodiscard]] Outcome shared(Outcome of_rank_0);
  [[nodiscard]] Outcome first_failure(const Outcome& mine);

  std::string directory_;
  int64_t keep_;
  ControlGroup& control_;
  Log& log_;
  int64_t failures_ = 0;
  int64_t failures_in_a_row_ = 0;
};

// Reads everything and checks every hash. Empty: the checkpoint is whole. Never throws for damage. Not
// Collective.
[[nodiscard]] std::vector<Damage> verify_checkpoint(const std::string& checkpoint);

}  // namespace orthant
