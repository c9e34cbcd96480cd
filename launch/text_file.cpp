#include "launch/text_file.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <fstream>
#include <iterator>

#include "models/tokenizer/tokenizer.h"
#include "runtime/core/error.h"

namespace orthant::launch {
namespace {

std::ifstream open_or_throw(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (file && file.peek() != std::ifstream::traits_type::eof()) return file;
  if (file.is_open() && !file.bad()) return file;
  throw Error(ExitCode::kIo, {.problem = fmt::format("{} cannot be read", path),
                              .why = "the operating system refused to open it",
                              .suggestion = "check the path"});
}

}  // namespace

std::string read_text_file(const std::string& path, Log& log) {
  std::ifstream file = open_or_throw(path);
  const std::string raw(std::istreambuf_iterator<char>(file), {});
  int64_t replaced = 0;
  std::string text = models::replace_invalid_utf8(raw, replaced);
  if (replaced > 0) log.warning("{}: {} ill-formed UTF-8 sequences replaced by U+FFFD", path, replaced);
  return text;
}

void visit_json_values(const std::string& path,
                       const std::function<void(const boost::json::value&, int64_t)>& visit) {
  std::ifstream file = open_or_throw(path);
  std::string line;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    boost::system::error_code error;
    const boost::json::value value = boost::json::parse(line, error);
    if (error) throw_unusable_line(path, number, error.message());
    visit(value, number);
  }
}

void throw_unusable_line(const std::string& path, int64_t line, const std::string& why) {
  throw Error(
      ExitCode::kData,
      {.problem = fmt::format("{}, line {} is not usable", path, line), .why = why, .suggestion = ""});
}

}  // namespace orthant::launch
