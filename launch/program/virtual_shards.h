// Into how many parts a deterministic job that only measures a dictionary cuts its sums over latents.
#pragma once

#include "runtime/job/config.pb.h"

namespace orthant::launch {

// 0 unless `common` asks for a result that does not depend on the number of shards.
[[nodiscard]] inline int virtual_shards_of(const Common& common) {
  constexpr int kVirtualShards = 12;
  return common.deterministic() ? kVirtualShards : 0;
}

}  // namespace orthant::launch
