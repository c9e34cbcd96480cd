// The rows of tokens that a harvest runs.
#pragma once

#include "launch/config.pb.h"
#include "models/text/token_rows.h"

namespace orthant::launch {

[[nodiscard]] models::TokenRows read_text(const Harvest& config, const models::Tokenizer& tokenizer);

}  // namespace orthant::launch
