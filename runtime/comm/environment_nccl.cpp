#include "runtime/comm/environment_nccl.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "runtime/core/error.h"
#include "runtime/job/host.h"

namespace orthant {
namespace {

constexpr std::string_view kPrefix = "NCCL_";

std::string variable(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? "" : text;
}

std::vector<std::string> interfaces_of_host() {
  std::vector<std::string> names;
  struct if_nameindex* const all = ::if_nameindex();
  if (all == nullptr) return names;
  for (const struct if_nameindex* each = all; each->if_name != nullptr; ++each)
    names.emplace_back(each->if_name);
  ::if_freenameindex(all);
  return names;
}

void refuse_absent_interface() {
  const std::string setting = variable("NCCL_SOCKET_IFNAME");
  if (setting.empty()) return;
  const std::vector<std::string> present = interfaces_of_host();
  if (names_an_interface(setting, present)) return;
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("NCCL_SOCKET_IFNAME={} names no network interface", setting),
               .why = fmt::format("this host has {}", fmt::join(present, ", ")),
               .suggestion = "Unset it, or name one of these."});
}

}  // namespace

bool ranks_share_gpus() {
  return variable("ORTHANT_NCCL_SHARE_GPU") == "1";
}

void prepare_nccl_environment(int rank) {
  refuse_absent_interface();
  ::setenv("NCCL_NVLS_ENABLE", "0", 0);
  ::setenv("NCCL_LAUNCH_ORDER_IMPLICIT", "1", 0);
  if (!ranks_share_gpus()) return;
  ::setenv("NCCL_HOSTID", fmt::format("{}-rank-{}", host_name(), rank).c_str(), 1);
}

bool launches_in_order_of_calls(int version, std::string_view setting) {
  constexpr int kOldestInOrder = 22600;
  return version >= kOldestInOrder && setting != "0";
}

bool launches_in_order_of_calls(int version) {
  return launches_in_order_of_calls(version, variable("NCCL_LAUNCH_ORDER_IMPLICIT"));
}

bool names_an_interface(std::string_view setting, std::span<const std::string> present) {
  const bool excludes = setting.starts_with('^');
  if (excludes) setting.remove_prefix(1);
  const bool is_whole = setting.starts_with('=');
  if (is_whole) setting.remove_prefix(1);
  std::vector<std::string_view> names;
  for (size_t first = 0; first <= setting.size();) {
    const size_t end = std::min(setting.find(',', first), setting.size());
    if (end > first) names.push_back(setting.substr(first, end - first));
    first = end + 1;
  }
  const auto is_named = [&](std::string_view interface) {
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
      return is_whole ? interface == name : interface.starts_with(name);
    });
  };
  return std::any_of(present.begin(), present.end(),
                     [&](std::string_view interface) { return is_named(interface) != excludes; });
}

std::vector<std::pair<std::string, std::string>> nccl_settings() {
  std::vector<std::pair<std::string, std::string>> settings;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (!text.starts_with(kPrefix) || equals == std::string_view::npos) continue;
    settings.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  std::sort(settings.begin(), settings.end());
  return settings;
}

}  // namespace orthant
