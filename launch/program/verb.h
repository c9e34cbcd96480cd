// A verb of the program and what its function receives.
//
// A verb is one file launch/<room>/<verb>.cpp that defines `Verb <verb>_verb()`, one message in
// launch/config.proto (own fields from number 50) and one line in launch/program/verbs.cpp. Common fields,
// help, completion, man page, run directory, exit codes and output come from that. A verb function is
// Collective: every rank of the world runs it.
#pragma once

#include <google/protobuf/message.h>

#include <boost/json/value.hpp>
#include <memory>
#include <string>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/core/error.h"
#include "runtime/core/log.h"
#include "runtime/device/device.h"
#include "runtime/job/config.h"
#include "runtime/job/config.pb.h"

namespace orthant {
class RunDirectory;
}

namespace orthant::launch {

struct Invocation;

// Whether a verb works in a run directory (--out); kShared: it opens one in which several jobs work at once.
enum class RunUse { kNone, kOptional, kRequired, kShared };

struct Verb {
  std::string name;                                      // "train", "lm generate"
  std::string summary;                                   // one line
  const google::protobuf::Descriptor* schema = nullptr;  // own fields, for example Train::descriptor()
  std::vector<std::string> positional =
      {};  // fields that take the inputs in order; a repeated last one takes the rest
  RunUse run_use = RunUse::kNone;
  ExitCode (*run)(Invocation&) = nullptr;
  // The result for people; null: one line a number. Pure: it also prints the result of a finished run again.
  std::string (*table)(const boost::json::value& result) = nullptr;
  // What --dry_run prints below the configuration; null: nothing. Reads headers, writes nothing. Not
  // Collective.
  boost::json::object (*plan)(Invocation&) = nullptr;
  std::string (*plan_table)(const boost::json::value& plan) = nullptr;  // the plan for people
  bool has_common_fields = true;  // false: computes nothing (help, completion)
  // Whether it computes on CUDA devices; false: on the CPU, whatever the host has.
  bool runs_on_cuda = false;
  // Whether a repeated command works anew instead of printing the result it had: the verb reads what may have
  // changed since and is no part of its configuration.
  bool works_anew = false;
  // Whether its configuration holds those of other verbs, in the groups `base`.
  bool holds_verbs = false;
  // The fields of another verb, which are this one's too (plan); read by config.as<M>().
  const google::protobuf::Descriptor* borrowed = nullptr;
};

// One run of one verb on this rank.
struct Invocation {
  const Verb& verb;
  const Config& config;  // resolved
  Common common;
  World& world;
  Log& log;
  Device device = kCpu;
  int threads = 1;                             // CPU threads of this rank; OpenMP is set to it
  RunDirectory* run = nullptr;                 // the run directory, locked; null without --out
  bool prints = true;                          // finish() prints the result; false of a cell of a sweep
  std::vector<std::string> command_line = {};  // of the program
  std::unique_ptr<google::protobuf::Message> own_fields = nullptr;

  // The verb's own fields. Every field that has a default is set.
  template <typename M>
  [[nodiscard]] const M& own() const {
    require(own_fields->GetDescriptor() == M::descriptor(), "a verb reads its own schema");
    return static_cast<const M&>(*own_fields);
  }

  // Ends the verb with its result, the same on every rank: writes result.json where there is a run directory
  // and, unless told not to, prints the result on standard output from rank 0, as a table or, with --json, as
  // one document. Once. Collective. Returns kDone.
  ExitCode finish(const boost::json::value& result);
};

// Every verb that is built, in the order of help.
[[nodiscard]] const std::vector<Verb>& verbs();
// Whether a sweep can have cells of this verb: those that leave a run directory behind.
[[nodiscard]] bool may_be_cell(const Verb& verb);
// The verb's name as that of a field: "diff_match".
[[nodiscard]] std::string group_name(const Verb& verb);
// The joined schema of a verb: common fields and its own.
[[nodiscard]] std::shared_ptr<const ConfigSchema> schema_of(const Verb& verb);

}  // namespace orthant::launch
