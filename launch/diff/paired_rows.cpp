#include "launch/diff/paired_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "launch/diff/live_pair.h"
#include "launch/diff/store_pair.h"
#include "launch/program/refuse.h"

namespace orthant::launch {

std::vector<int64_t> counted_tokens(std::span<const int32_t> positions,
                                    const std::vector<int32_t>& excluded) {
  std::vector<int64_t> counted;
  for (size_t i = 0; i < positions.size(); ++i) {
    if (std::find(excluded.begin(), excluded.end(), positions[i]) == excluded.end()) {
      counted.push_back(static_cast<int64_t>(i));
    }
  }
  return counted;
}

PairedRows open_paired_rows(const PairedRowFields& fields, Memory& memory, Log& log) {
  return fields.stores.empty() ? live_pair(fields, memory, log) : store_pair(fields, memory);
}

void refuse_different_widths(const PairedRows& rows) {
  for (const PairedPlace& place : rows.places) {
    if (place.width == place.other_width) continue;
    refuse(fmt::format("{} has d_model {}, {} has {}", place.name, place.width, place.other_name,
                       place.other_width),
           "their activations are no vectors of the same space", "Compare models of the same width.");
  }
}

}  // namespace orthant::launch
