// The normalizer, pre_tokenizer and decoder sections of a Hugging Face tokenizer.json, as the steps the two
// kinds of tokenizer take.
//
// NFC is accepted and not carried out: for text that is in NFC already, as nearly all text is, it changes
// nothing.
#pragma once

#include <string>

#include "models/formats/json_file.h"
#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/sentence_piece_bpe.h"

namespace orthant::models {

struct HfTextSteps {
  PreTokenizer pre_tokenizer;
  bool byte_level = false;
  bool marks_spaces = false;  // spaces become U+2581
  PrefixSpace prefix_space = PrefixSpace::kNever;
  bool prefix_unless_present = false;
  bool split_at_spaces = false;
  bool strips_leading_space = false;  // when decoding
};

// `tokenizer` is the whole of the file. Throws Error(kConfig) naming a step that is not supported.
[[nodiscard]] HfTextSteps read_hf_text_steps(const JsonFields& tokenizer, const std::string& path);

}  // namespace orthant::models
