// Products of a single row with the projections of a block, from decode weights (decode_weights.h): what
// projections.cpp calls where a forward has one row. Not Collective.
#pragma once

#include <span>

#include "models/transformer/pass.h"
#include "models/transformer/projections.h"

namespace orthant::models {

// Whether the forward in progress reads decode weights.
[[nodiscard]] bool has_decoded_row(const Pass& pass);

// Of the one row that the targets share. Pruned projections keep the largest magnitudes of
// each group or of the row, without gains, centre or mending.
void project_row(const Pass& pass, int64_t layer, const ProjectionInput& input,
                 std::span<const Target> targets);

}  // namespace orthant::models
