#include "runtime/comm/control_group.h"

#include <fmt/format.h>

#include <exception>
#include <optional>

#include "runtime/core/failure.h"

namespace orthant {
namespace {

std::optional<Failure> attempt(const std::function<void()>& work) {
  try {
    work();
    return std::nullopt;
  } catch (const std::exception& exception) {
    return failure_of(exception);
  }
}

}  // namespace

void agree(ControlGroup& group, std::string_view what, const std::function<void()>& work) {
  if (group.size() == 1) return work();
  const std::optional<Failure> failure = attempt(work);
  const int64_t first_failing = group.min(failure ? group.rank() : group.size());
  if (first_failing == group.size()) return;
  const auto root = static_cast<int>(first_failing);
  std::string message = failure ? failure->message : "";
  group.broadcast(message, root);
  const int64_t code = group.max(group.rank() == root ? static_cast<int64_t>(failure->code) : 0);
  throw Error(static_cast<ExitCode>(code), fmt::format("rank {} failed to {}: {}", root, what, message));
}

}  // namespace orthant
