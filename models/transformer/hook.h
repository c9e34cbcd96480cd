// Where the residual stream can be read or changed, by TransformerLens names: "blocks.15.hook_resid_post".
//
// Values; thread-safe.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace orthant::models {

// In the order in which a block reaches them.
enum class HookSite {
  kResidPre,   // the residual stream that enters the block
  kAttnOut,    // what attention adds to it
  kResidMid,   // after attention
  kMlpOut,     // what the MLP adds
  kResidPost,  // the residual stream that leaves the block
};

struct HookPoint {
  int64_t layer = 0;
  HookSite site = HookSite::kResidPost;
  auto operator<=>(const HookPoint&) const = default;
};

// Throws Error(kConfig) naming the known forms and the range of layers when `name` is no hook of a model of
// `layers` blocks.
[[nodiscard]] HookPoint parse_hook(std::string_view name, int64_t layers);
[[nodiscard]] std::string to_string(HookPoint hook);

}  // namespace orthant::models
