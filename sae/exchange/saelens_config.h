// cfg.json of a SAELens directory: what it says of a dictionary, and the two generations of its layout.
//
// Version 6 and later keep the architecture and its fields at the top and provenance under "metadata";
// before, all fields lay flat and TopK was an activation function. The version key decides. Thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

struct SaelensConfig {
  Architecture architecture = Architecture::kStandard;
  bool training_checkpoint = false;  // BatchTopK with its topk_threshold, not yet exported as JumpReLU
  int64_t d_in = 0;
  int64_t d_sae = 0;
  int64_t k = 0;  // 0: the architecture has none
  bool rescale_acts_by_decoder_norm = false;
  bool apply_b_dec_to_input = true;
  InputScaling normalize_activations = InputScaling::kNone;
  boost::json::object metadata;  // as found; of the flat layout everything that names the model and its data
};

// `path` is for messages. Throws Error(kData) when the text is no such configuration, lacks a field that must
// not be defaulted (sizes, the k of topk) or names an architecture or activation that cannot be loaded,
// saying which can.
[[nodiscard]] SaelensConfig parse_saelens_config(std::string_view text, const std::string& path);

// The text of cfg.json for a folded dictionary: version 6 layout, every convention written out. BatchTopK is
// written as jumprelu. `metadata` gets the version keys added.
[[nodiscard]] std::string saelens_config_text(const Dictionary& folded, boost::json::object metadata);

}  // namespace orthant::sae
