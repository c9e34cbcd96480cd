#include "models/text/letter_case.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <memory>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
using Code = std::unique_ptr<pcre2_code, FreeCode>;

PCRE2_SPTR units_of(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

Code letters() {
  const std::string_view expression = R"(\p{L}+)";
  int error = 0;
  size_t offset = 0;
  return Code(pcre2_compile(units_of(expression), expression.size(), PCRE2_UTF | PCRE2_UCP, &error, &offset,
                            nullptr));
}

// Every run of letters replaced by `form`, a replacement of PCRE2.
std::string with_letters(std::string_view text, std::string_view form) {
  static const Code code = letters();
  require(code != nullptr, "the letters of Unicode are known");
  size_t length = 2 * text.size() + 1;
  std::string found(length, '\0');
  const int replaced = pcre2_substitute(
      code.get(), units_of(text), text.size(), 0, PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_EXTENDED,
      nullptr, nullptr, units_of(form), form.size(), reinterpret_cast<PCRE2_UCHAR*>(found.data()), &length);
  require(replaced >= 0, "letters can be replaced in well-formed UTF-8");
  found.resize(length);
  return found;
}

}  // namespace

std::string lower_case(std::string_view text) {
  return with_letters(text, R"(\L$0\E)");
}

std::string upper_case(std::string_view text) {
  return with_letters(text, R"(\U$0\E)");
}

}  // namespace orthant::models
