// What a finished training says of its dictionary: measures of held-out rows, with the inference threshold
// that is exported, calibrated at the end. Collective over the world; main thread only.
#pragma once

#include <boost/json/object.hpp>

#include "sae/training/trainer.h"

namespace orthant::sae {

// Sets the calibrated threshold in the trainer's dictionary and measures `holdout_rows` held-out rows
// (training rows where the source holds none out, and says so).
[[nodiscard]] boost::json::object training_result(Trainer& trainer, ActivationSource& source, Grid& grid,
                                                  int64_t holdout_rows);

}  // namespace orthant::sae
