// The run directory of a job: one job at a time, continued by repeating the command, finished once.
//
// config.textproto, run.json, metrics.jsonl, events.out.tfevents.*, result.json, log/, checkpoint/. All files
// appear by rename; result.json last. Rank 0 writes; the lock is held by rank 0 while the object lives. One
// thread.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
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

class RunDirectory {
 public:
  // Collective. Creates `path` or continues what is there. Error(kConfig) when another job holds it (naming
  // host and pid) or its configuration differs (naming the fields) from that of an attempt that began or was
  // killed; `fresh` removes what an earlier attempt left. Opens this rank's log file. `group` and `log`
  // outlive the object.
  [[nodiscard]] static std::unique_ptr<RunDirectory> open(const std::string& path, const Config& config,
                                                          const RunFacts& facts, bool fresh,
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
  void claim(const Config& config, const RunFacts& facts, bool fresh);
  void compare_with_stored(const Config& config);
  void write_run_json() const;
  [[nodiscard]] boost::json::object& attempt();

  std::string path_;
  ControlGroup& group_;
  Log& log_;
  std::optional<DirectoryLock> lock_;  // rank 0
  boost::json::object run_;            // rank 0: run.json
  std::optional<boost::json::value> result_;
  std::string result_text_;
  bool is_continued_ = false;
  bool has_attempt_ = false;  // rank 0: the last attempt of run.json is this one
};

}  // namespace orthant
