#include "models/transformer/hook.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/job/nearest_name.h"

namespace orthant::models {
namespace {

constexpr std::array<std::pair<std::string_view, HookSite>, 5> kSites = {{
    {"hook_resid_pre", HookSite::kResidPre},
    {"hook_attn_out", HookSite::kAttnOut},
    {"hook_resid_mid", HookSite::kResidMid},
    {"hook_mlp_out", HookSite::kMlpOut},
    {"hook_resid_post", HookSite::kResidPost},
}};

std::optional<HookPoint> match(std::string_view name) {
  constexpr std::string_view kPrefix = "blocks.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  HookPoint hook;
  const auto [end, error] = std::from_chars(name.data(), name.data() + dot, hook.layer);
  if (error != std::errc() || end != name.data() + dot) return std::nullopt;
  for (const auto& [text, site] : kSites) {
    if (name.substr(dot + 1) != text) continue;
    hook.site = site;
    return hook;
  }
  return std::nullopt;
}

// The name that was probably meant, of the same block where the model has it; empty where none is near.
std::string nearest_hook(std::string_view name, int64_t layers) {
  const size_t digits = name.find_first_of("0123456789");
  int64_t layer = 0;
  if (digits != std::string_view::npos) {
    const auto read = std::from_chars(name.data() + digits, name.data() + name.size(), layer);
    if (read.ec != std::errc() || layer >= layers) return "";
  }
  std::vector<std::string> names;
  for (const auto& [text, site] : kSites) names.push_back(fmt::format("blocks.{}.{}", layer, text));
  const std::string nearest = nearest_name(name, names);
  if (!nearest.empty()) return nearest;
  return nearest_name(fmt::format("hook_{}", name.substr(name.rfind('.') + 1)), names);
}

}  // namespace

HookPoint parse_hook(std::string_view name, int64_t layers) {
  const std::optional<HookPoint> hook = match(name);
  if (hook && hook->layer >= 0 && hook->layer < layers) return *hook;
  std::string forms;
  for (const auto& [text, site] : kSites)
    forms += fmt::format("{}blocks.L.{}", forms.empty() ? "" : ", ", text);
  const std::string nearest = hook ? "" : nearest_hook(name, layers);
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("unknown hook \"{}\"", name),
               .why = hook ? fmt::format("the model has {} blocks", layers) : "no such hook point",
               .suggestion = fmt::format("{}use one of {} with L from 0 to {}",
                                         nearest.empty() ? "" : fmt::format("did you mean {}? ", nearest),
                                         forms, layers - 1)});
}

std::string to_string(HookPoint hook) {
  for (const auto& [text, site] : kSites) {
    if (site == hook.site) return fmt::format("blocks.{}.{}", hook.layer, text);
  }
  require(false, "every hook site has a name");
  return {};
}

}  // namespace orthant::models
