// The run directory of a job: one job at a time, continued by repeating the command, finished once.
//
// config.textproto, run.json, metrics.jsonl, events.out.tfevents.*, result.json, log/, checkpoint/. All files
// appear by rename; result.json last. Rank 0 writes; the lock is held by rank 0 while the object lives. A
// directory that jobs share (a sweep's) is locked only while run.json is written, and lists the attempts of
// all of them. One thread.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/comm/control_group.h"
#include "runtime/core/log.h"
#include "runtime/job/config.h"
#include "runtime/job/directory_lock.h"

namespace orthant {

// What run.json says of the process, beside times and attempts.
struct RunFacts {
  std::string version;
  std::string git_hash;
  std::vector<std::string> command_line;
  std::string device;          // of this rank
  int threads = 1;             // of this rank
  std::string kernels;         // instruction set chosen
  std::string precision = {};  // of dense products; empty where the verb has none
  int mesh_data = 1;
  int mesh_dictionary = 1;
};

// How a job holds its run directory.
struct RunAccess {
  bool fresh = false;      // removes what an earlier attempt left
  bool is_shared = false;  // jobs work in it at the same time
  // Rank 0, under the lock: before what was there is removed (fresh), or once it is known to be of this job.
  std::function<void()> prepare = [] {};
  bool is_held = false;  // the caller of rank 0 holds the lock, for longer
};

class RunDirectory {
 public:
  // Collective. Creates `path` or continues what is there. Error(kConfig) when another job holds it (naming
  // host and pid) or its configuration differs (naming the fields) from that of an attempt that began or was
  // killed. Opens this rank's log file. `group` and `log` outlive the object.
  [[nodiscard]] static std::unique_ptr<RunDirectory> open(const std::string& path, const Config& config,
                                                          const RunFacts& facts, RunAccess access,
                                                          ControlGroup& group, Log& log);
  ~RunDirectory();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string file(std::string_view name) const;  // path/name
  [[nodiscard]] std::string checkpoint_folder() const;          // path/checkpoint
  // The result of a finished run with this configuration; nothing while it is unfinished. The same on every
  // rank.
  [[nodiscard]] const std::optional<boost::json::value>& result() const { return result_; }
  // The same as it was written, without the last digits that reading a number may cost.
  [[nodiscard]] const std::string& result_text() const { return result_text_; }
  // True where an earlier attempt began and did not finish.
  [[nodiscard]] bool is_continued() const { return is_continued_; }

  // Records in run.json where this attempt began; `unit` is "step", "cell", "block". Local; rank 0 writes.
  void begin_attempt(std::string_view unit, int64_t start);
  // Adds facts to run.json, for example the memory table. Local; rank 0 writes.
  void record(std::string_view name, const boost::json::value& value);
  // Writes result.json, the same on every rank. Collective. Once.
  void finish(const boost::json::value& result);
  // Records how the process ended and releases the lock. Local; rank 0 writes. Never throws.
  void end(ExitCode code, std::string_view reason) noexcept;

 private:
  RunDirectory(std::string path, ControlGroup& group, Log& log);
  void claim(const Config& config, const RunFacts& facts, const RunAccess& access);
  // Whether the configuration that is there is this one to the last field. Throws where it is another's.
  [[nodiscard]] bool compare_with_stored(const Config& config);
  void take_result(bool is_same);
  void write_run_json() const;
  // Rank 0: changes run.json, as it is by then where jobs share it.
  void change(const std::function<void(boost::json::object& run, boost::json::object& attempt)>& by);

  std::string path_;
  ControlGroup& group_;
  Log& log_;
  bool is_shared_ = false;
  std::unique_ptr<DirectoryLock> lock_;  // rank 0; null in between where jobs share
  boost::json::object run_;              // rank 0: run.json
  std::optional<boost::json::value> result_;
  std::string result_text_;
  bool is_continued_ = false;
  int64_t attempt_ = -1;  // rank 0: place of this one among the attempts of run.json; -1: none yet
};

}  // namespace orthant
