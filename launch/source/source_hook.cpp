#include "launch/source/source_hook.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "runtime/storage/activation_store.h"

namespace orthant::launch {
namespace {

std::string hook_of_store(const std::string& path) {
  const boost::json::object provenance = StoreReader(path).provenance();
  const boost::json::value* const hook = provenance.if_contains("hook");
  return hook != nullptr && hook->is_string() ? std::string(hook->get_string()) : "";
}

}  // namespace

std::string hook_of(const Source& source) {
  if (source.has_model()) return source.hook();
  std::vector<std::string> hooks;
  for (const std::string& path : source.store()) {
    std::string hook = hook_of_store(path);
    if (std::find(hooks.begin(), hooks.end(), hook) == hooks.end()) hooks.push_back(std::move(hook));
  }
  return fmt::format("{}", fmt::join(hooks, ","));
}

}  // namespace orthant::launch
