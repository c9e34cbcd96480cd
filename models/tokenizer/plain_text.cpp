#include "models/tokenizer/tokenizer.h"

namespace orthant::models {

std::string plain_text(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  std::vector<int32_t> said(ids.begin(), ids.end());
  std::erase_if(said, [&](int32_t id) { return tokenizer.is_special(id); });
  return tokenizer.decode(said);
}

}  // namespace orthant::models
