#include "runtime/comm/control_group.h"

#include <fmt/format.h>

#include <exception>
#include <optional>

#include "runtime/core/error.h"

namespace orthant {
namespace {

struct Failure {
  ExitCode code;
  std::string message;
};

std::optional<Failure> failure_of(const std::function<void()>& work) {
  try {
    work();
    return std::nullopt;
  } catch (const Error& error) {
    return Failure{error.code(), error.what()};
  } catch (const std::exception& error) {
    return Failure{ExitCode::kInternal, error.what()};
  }
}

}  // namespace

void agree(ControlGroup& group, std::string_view what, const std::function<void()>& work) {
  if (group.size() == 1) return work();
  const std::optional<Failure> failure = failure_of(work);
  const int64_t first_failing = group.min(failure ? group.rank() : group.size());
  if (first_failing == group.size()) return;
  const auto root = static_cast<int>(first_failing);
  std::string message = failure ? failure->message : "";
  group.broadcast(message, root);
  const int64_t code = group.max(group.rank() == root ? static_cast<int64_t>(failure->code) : 0);
  throw Error(static_cast<ExitCode>(code), fmt::format("rank {} failed to {}: {}", root, what, message));
}

}  // namespace orthant
