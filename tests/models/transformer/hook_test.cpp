#include "models/transformer/hook.h"

#include <gtest/gtest.h>

#include "runtime/core/error.h"

namespace orthant {
namespace {

using models::HookPoint;
using models::HookSite;
using models::parse_hook;

TEST(Hook, ReadsWhatItWrites) {
  for (const char* name : {"blocks.0.hook_resid_pre", "blocks.29.hook_resid_mid", "blocks.15.hook_resid_post",
                           "blocks.3.hook_attn_out", "blocks.7.hook_mlp_out"}) {
    EXPECT_EQ(to_string(parse_hook(name, 30)), name);
  }
}

TEST(Hook, FollowsTheOrderOfTheForward) {
  EXPECT_LT((HookPoint{3, HookSite::kResidPost}), (HookPoint{4, HookSite::kResidPre}));
  EXPECT_LT((HookPoint{3, HookSite::kAttnOut}), (HookPoint{3, HookSite::kResidMid}));
}

TEST(Hook, RefusesUnknownNamesWithTheKnownForms) {
  for (const char* name :
       {"", "blocks", "blocks.", "blocks.1", "blocks.1.", "blocks.1.hook_z", "blocks.-1.hook_resid_pre",
        "blocks.30.hook_resid_post", "blocks.x.hook_resid_post", "blocks.1 .hook_resid_post",
        "block.1.hook_resid_post", "blocks.99999999999999999999.hook_resid_post"}) {
    try {
      (void)parse_hook(name, 30);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      EXPECT_NE(std::string(error.what()).find("blocks.L.hook_resid_post"), std::string::npos);
      EXPECT_NE(std::string(error.what()).find("0 to 29"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace orthant
