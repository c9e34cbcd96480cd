#include "runtime/job/faults.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/core/error.h"

namespace orthant {
namespace {

enum class Action { kKill, kStop, kSleep, kExit, kThrow, kErrno };

struct Fault {
  std::string point;
  int64_t reached = 0;
  int64_t at = 1;
  Action action = Action::kThrow;
  double argument = 0;
};

struct Table {
  std::mutex mutex;
  std::vector<Fault> faults;
};

Table& table() {
  static Table the_table;
  return the_table;
}

Error bad_fault(std::string_view text, std::string_view why) {
  return {ExitCode::kUsage,
          {.problem = fmt::format("ORTHANT_FAULT has a part '{}'", text),
           .why = std::string(why),
           .suggestion = "Write POINT:RANK:NTH:ACTION with kill, stop, sleep:SECONDS, exit:CODE, throw or "
                         "errno:NUMBER."}};
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

template <typename T>
T number(std::string_view text, std::string_view fault) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw bad_fault(fault, fmt::format("'{}' is not a number", text));
  }
  return value;
}

struct ActionName {
  std::string_view name;
  Action action;
  bool takes_argument;
};
constexpr std::array<ActionName, 6> kActions = {{{"kill", Action::kKill, false},
                                                 {"stop", Action::kStop, false},
                                                 {"throw", Action::kThrow, false},
                                                 {"sleep", Action::kSleep, true},
                                                 {"exit", Action::kExit, true},
                                                 {"errno", Action::kErrno, true}}};

// Nothing when it is meant for another rank.
std::optional<Fault> parse(std::string_view text, int rank) {
  const std::vector<std::string_view> parts = split(text, ':');
  if (parts.size() < 4) throw bad_fault(text, "it has fewer than four fields");
  Fault fault{.point = std::string(parts[0]), .at = number<int64_t>(parts[2], text)};
  if (fault.point.empty() || fault.at < 1) throw bad_fault(text, "the point is empty or NTH is below 1");
  for (const ActionName& known : kActions) {
    if (parts[3] != known.name) continue;
    if (parts.size() != (known.takes_argument ? 5u : 4u)) {
      throw bad_fault(text,
                      fmt::format("{} takes {} argument", known.name, known.takes_argument ? "one" : "no"));
    }
    fault.action = known.action;
    if (known.takes_argument) fault.argument = number<double>(parts[4], text);
    const bool meant = parts[1] == "*" || number<int>(parts[1], text) == rank;
    return meant ? std::optional(std::move(fault)) : std::nullopt;
  }
  throw bad_fault(text, fmt::format("'{}' is not an action", parts[3]));
}

// The fault whose turn has come; a copy, because it is acted on outside the lock.
std::optional<Fault> due(std::string_view point) {
  Table& armed_faults = table();
  const std::lock_guard lock(armed_faults.mutex);
  std::optional<Fault> found;
  for (Fault& fault : armed_faults.faults) {
    if (fault.point == point && ++fault.reached == fault.at) found = fault;
  }
  return found;
}

int act(const Fault& fault) {
  switch (fault.action) {
    case Action::kKill:
      ::kill(::getpid(), SIGKILL);
      break;
    case Action::kStop:
      ::kill(::getpid(), SIGSTOP);
      break;
    case Action::kSleep:
      std::this_thread::sleep_for(std::chrono::duration<double>(fault.argument));
      break;
    case Action::kExit:
      ::_exit(static_cast<int>(fault.argument));
    case Action::kErrno:
      return static_cast<int>(fault.argument);
    case Action::kThrow:
      throw Error(ExitCode::kInternal,
                  {.problem = fmt::format("fault at {}", fault.point), .why = "asked for by ORTHANT_FAULT"});
  }
  return 0;
}

}  // namespace

namespace faults {

std::atomic<bool> armed{false};

void reach(std::string_view point) {
  const int number = reach_errno(point);
  if (number == 0) return;
  throw Error(ExitCode::kIo, {.problem = fmt::format("{}: {}", point, std::strerror(number)),
                              .why = "asked for by ORTHANT_FAULT"});
}

int reach_errno(std::string_view point) {
  const std::optional<Fault> fault = due(point);
  return fault ? act(*fault) : 0;
}

}  // namespace faults

void arm_faults(std::string_view specification, int rank) {
  std::vector<Fault> parsed;
  if (!specification.empty()) {
    for (const std::string_view text : split(specification, ',')) {
      if (std::optional<Fault> fault = parse(text, rank)) parsed.push_back(std::move(*fault));
    }
  }
  Table& armed_faults = table();
  const std::lock_guard lock(armed_faults.mutex);
  armed_faults.faults = std::move(parsed);
  faults::armed.store(!armed_faults.faults.empty(), std::memory_order_relaxed);
}

void arm_faults_from_environment(int rank) {
  const char* specification = std::getenv("ORTHANT_FAULT");
  arm_faults(specification == nullptr ? "" : specification, rank);
}

}  // namespace orthant
