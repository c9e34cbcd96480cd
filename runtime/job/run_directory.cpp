#include "runtime/job/run_directory.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>

#include "runtime/core/error.h"
#include "runtime/job/host.h"
#include "runtime/storage/file.h"

namespace orthant {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

constexpr std::string_view kConfigFile = "config.textproto";
constexpr std::string_view kRunFile = "run.json";
constexpr std::string_view kResultFile = "result.json";

// The JSON value in a file; Error(kData) when it is none.
json::value read_json(const std::string& path) {
  json::error_code problem;
  json::value value = json::parse(read_file(path), problem);
  if (!problem) return value;
  throw Error(ExitCode::kData, {.problem = fmt::format("'{}' is not JSON", path),
                                .why = problem.message(),
                                .suggestion = "Start over with --fresh."});
}

constexpr std::string_view kShardPrefix = "shard-";

// Whether it is the store of one hook of several.
bool holds_shards(const std::string& directory) {
  if (!fs::is_directory(directory)) return false;
  const std::vector<std::string> names = names_in(directory);
  return std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return name.starts_with(kShardPrefix); });
}

// Removes what a run leaves, and nothing else that may lie in the directory.
void remove_earlier_run(const std::string& path) {
  for (const std::string& name : names_in(path)) {
    const bool ours = name == kConfigFile || name == kRunFile || name == kResultFile ||
                      name == "metrics.jsonl" || name == "log" || name == "checkpoint" ||
                      name == "store.json" || name == "dictionary.safetensors" || name == "cells" ||
                      name == "records" || name == "artefacts" || name == "requests.jsonl" ||
                      name.starts_with("events.out.tfevents.") || name.starts_with(kShardPrefix) ||
                      holds_shards(path + "/" + name);
    if (ours) remove_path(path + "/" + name);
  }
}

std::string differences_text(const std::vector<FieldDifference>& differences) {
  std::string text;
  for (const FieldDifference& field : differences) {
    text += fmt::format("{}{}: {} there, {} here", text.empty() ? "" : "; ", field.name, field.before,
                        field.after);
  }
  return text;
}

json::object mesh_json(const RunFacts& facts) {
  return {{"data", facts.mesh_data}, {"dictionary", facts.mesh_dictionary}};
}

json::array texts_json(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

std::vector<std::string> gather_hosts(ControlGroup& group) {
  return group.gather_all(host_name());
}

// Whether every attempt failed before it began, as where an input was refused: nothing was made that another
// configuration could spoil.
bool never_began(const json::object& run) {
  const json::value* attempts = run.if_contains("attempts");
  if (attempts == nullptr) return false;
  for (const json::value& attempt : attempts->as_array()) {
    const json::object& fields = attempt.as_object();
    const json::value* end = fields.if_contains("end");
    if (end == nullptr || *end != json::value("failed")) return false;
    for (const auto& [key, value] : fields) {
      if (key.starts_with("start_")) return false;
    }
  }
  return true;
}

std::string end_name(ExitCode code) {
  if (code == ExitCode::kDone) return "done";
  return code == ExitCode::kStopped ? "stopped" : "failed";
}

}  // namespace

RunDirectory::RunDirectory(std::string path, ControlGroup& group, Log& log)
    : path_(std::move(path)), group_(group), log_(log) {}

RunDirectory::~RunDirectory() = default;

std::string RunDirectory::file(std::string_view name) const {
  return fmt::format("{}/{}", path_, name);
}

std::string RunDirectory::checkpoint_folder() const {
  return file("checkpoint");
}

std::unique_ptr<RunDirectory> RunDirectory::open(const std::string& path, const Config& config,
                                                 const RunFacts& facts, RunAccess access, ControlGroup& group,
                                                 Log& log) {
  std::unique_ptr<RunDirectory> run(new RunDirectory(path, group, log));
  run->is_shared_ = access.is_shared;
  agree(group, "open the run directory", [&] {
    if (group.rank() == 0) run->claim(config, facts, access);
  });
  const std::vector<std::string> hosts = gather_hosts(group);
  const std::vector<std::string> devices = group.gather_all(facts.device);
  agree(group, "write the run directory", [&] {
    if (group.rank() != 0) return;
    if (run->result_) return;
    run->change([&](json::object& fields, json::object& attempt) {
      fields["hosts"] = attempt["hosts"] = texts_json(hosts);
      fields["devices"] = texts_json(devices);
      fields["world"] = group.size();
    });
  });
  group.broadcast(run->result_text_, 0);
  if (!run->result_text_.empty()) {
    run->result_ = json::parse(run->result_text_);
    return run;
  }
  run->is_continued_ = group.bit_or(run->is_continued_ ? 1 : 0) != 0;
  agree(group, "open the log", [&] {
    make_directory(run->file("log"));
    log.open_file(run->file(fmt::format("log/rank-{:05}.txt", group.rank())));
  });
  return run;
}

void RunDirectory::claim(const Config& config, const RunFacts& facts, const RunAccess& access) {
  make_directory(path_);
  if (is_shared_) lock_ = DirectoryLock::take_in_turn(path_);
  if (!is_shared_ && !access.is_held) lock_ = std::make_unique<DirectoryLock>(path_);
  if (access.fresh) {
    access.prepare();
    remove_earlier_run(path_);
  }
  if (fs::exists(file(kRunFile))) run_ = read_json(file(kRunFile)).as_object();
  if (fs::exists(file(kConfigFile)) && !never_began(run_)) {
    const bool is_same = compare_with_stored(config);
    access.prepare();
    take_result(is_same);
  }
  if (result_ && is_shared_) lock_.reset();
  if (result_) return;
  replace_file(file(kConfigFile), fmt::format("# orthant {} --config={}\n{}", config.schema().verb(),
                                              file(kConfigFile), config.text()));
  is_continued_ = run_.contains("attempts");
  run_["verb"] = config.schema().verb();
  run_["version"] = facts.version;
  run_["git_hash"] = facts.git_hash;
  run_["command_line"] = texts_json(facts.command_line);
  run_["config_key"] = to_hex(config.key());
  run_["mesh"] = mesh_json(facts);
  run_["threads"] = facts.threads;
  run_["kernels"] = facts.kernels;
  if (!facts.precision.empty()) run_["precision"] = facts.precision;
  if (!is_continued_) run_["begun"] = utc_now();
  run_["ended"] = nullptr;
  run_["exit"] = nullptr;
  json::array& attempts = is_continued_ ? run_["attempts"].as_array() : run_["attempts"].emplace_array();
  // Of a shared directory another job may be at work.
  if (is_continued_ && !is_shared_ && attempts.back().as_object()["end"].is_null())
    attempts.back().as_object()["end"] = "killed";
  attempt_ = static_cast<int64_t>(attempts.size());
  attempts.push_back(json::object{
      {"mesh", mesh_json(facts)}, {"begun", utc_now()}, {"end", nullptr}, {"git_hash", facts.git_hash}});
  if (!is_shared_) return;
  write_run_json();
  lock_.reset();
}

bool RunDirectory::compare_with_stored(const Config& config) {
  const json::value* verb = run_.if_contains("verb");
  if (verb != nullptr && *verb != json::value(config.schema().verb())) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("'{}' holds a run of verb {}", path_, json::serialize(*verb)),
                 .suggestion = "Choose another --out, or discard that run with --fresh."});
  }
  Config stored = config.with_nothing_set();
  stored.merge_file(file(kConfigFile));
  stored.resolve();
  const std::vector<FieldDifference> differences = config.differences_from(stored);
  if (!differences.empty()) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("'{}' holds a run of another configuration", path_),
                 .why = differences_text(differences),
                 .suggestion = "Choose another --out, or discard that run with --fresh."});
  }
  return config.key() == stored.key();
}

void RunDirectory::take_result(bool is_same) {
  if (!fs::exists(file(kResultFile))) return;
  if (!is_same) return remove_path(file(kResultFile));
  result_ = read_json(file(kResultFile));
  result_text_ = read_file(file(kResultFile));
}

void RunDirectory::change(const std::function<void(json::object& run, json::object& attempt)>& by) {
  std::unique_ptr<DirectoryLock> turn;
  if (is_shared_) {
    turn = DirectoryLock::take_in_turn(path_);
    run_ = read_json(file(kRunFile)).as_object();
  }
  by(run_, run_["attempts"].as_array()[static_cast<size_t>(attempt_)].as_object());
  write_run_json();
}

void RunDirectory::write_run_json() const {
  replace_file(file(kRunFile), json::serialize(run_) + "\n");
}

void RunDirectory::begin_attempt(std::string_view unit, int64_t start) {
  if (group_.rank() != 0) return;
  change([&](json::object&, json::object& attempt) { attempt[fmt::format("start_{}", unit)] = start; });
}

void RunDirectory::record(std::string_view name, const json::value& value) {
  if (group_.rank() != 0) return;
  change([&](json::object& run, json::object&) { run[name] = value; });
}

void RunDirectory::finish(const json::value& result) {
  agree(group_, "write the result", [&] {
    if (group_.rank() == 0) replace_file(file(kResultFile), json::serialize(result) + "\n");
  });
  result_ = result;
}

void RunDirectory::end(ExitCode code, std::string_view reason) noexcept {
  if (group_.rank() != 0) return;
  try {
    if (attempt_ >= 0) {
      change([&](json::object& run, json::object& attempt) {
        attempt["end"] = end_name(code);
        attempt["ended"] = run["ended"] = utc_now();
        run["exit"] = json::object{{"code", static_cast<int>(code)}, {"reason", reason}};
      });
    }
    attempt_ = -1;
  } catch (const std::exception& problem) {
    log_.warning("cannot record the end of the run ({})", problem.what());
  }
  lock_.reset();
}

}  // namespace orthant
