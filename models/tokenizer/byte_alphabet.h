// The GPT-2 byte alphabet: byte-level vocabularies write every byte as one printable character.
//
// Bytes 0x21-0x7E, 0xA1-0xAC and 0xAE-0xFF stand for themselves as code points; the other 68, in order, are
// code points from 0x100 on. Thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace orthant::models {

// The bytes a token of a vocabulary stands for. A token with a character outside the alphabet stands for
// itself.
[[nodiscard]] std::string bytes_from_alphabet(std::string_view token);

}  // namespace orthant::models
