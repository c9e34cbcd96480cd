#include "launch/diff/diff_source.h"

#include <fmt/format.h>

#include "launch/program/refuse.h"
#include "launch/source/open_source.h"

namespace orthant::launch {

std::unique_ptr<ActivationSource> open_pair(Invocation& invocation, Source config, const char* combine,
                                            int64_t d_model, Memory& memory) {
  std::unique_ptr<ActivationSource> source;
  agree(*invocation.world.control, "open the stores", [&] {
    if (config.store_size() != 2) {
      refuse(fmt::format("{} stores are given", config.store_size()), "two are compared, row by row",
             "Give --source.store=FIRST,SECOND.");
    }
    config.set_combine(combine);
    config.set_shuffle(false);
    source = open_source(config, invocation.common.seed(), invocation.world, memory, memory, invocation.log);
    if (source->d_model() != d_model) {
      refuse(fmt::format("the stores give rows of {}, {} are expected", source->d_model(), d_model),
             "the dictionary was trained on others", "Give the stores that it was trained on.");
    }
    if (source->rows(measured_split(*source)) == 0) {
      refuse("the stores have no rows to measure", "source.exclude leaves all of them out",
             "Harvest more text, or loosen source.exclude.");
    }
  });
  return source;
}

Split measured_split(const ActivationSource& source) {
  return source.rows(Split::kHoldout) > 0 ? Split::kHoldout : Split::kTrain;
}

}  // namespace orthant::launch
