#include "launch/source/text_file.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "models/text/documents.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/core/error.h"

namespace orthant::launch {
namespace {

std::ifstream open_or_throw(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const int refused = errno;
  if (file && file.peek() != std::ifstream::traits_type::eof()) return file;
  if (file.is_open() && !file.bad()) return file;
  throw Error(ExitCode::kIo, {.problem = fmt::format("{} cannot be read", path),
                              .why = file.is_open() ? "it is no file" : std::strerror(refused),
                              .suggestion = "Check the path."});
}

}  // namespace

std::string read_text_file(const std::string& path, Log& log) {
  std::ifstream file = open_or_throw(path);
  const std::string raw(std::istreambuf_iterator<char>(file), {});
  int64_t replaced = 0;
  std::string text = models::replace_invalid_utf8(raw, replaced);
  models::warn_of_invalid_utf8(log, path, replaced);
  return text;
}

void visit_json_values(const std::string& path, Log& log,
                       const std::function<void(const boost::json::value&, int64_t)>& visit) {
  std::ifstream file = open_or_throw(path);
  std::string line;
  int64_t replaced = 0;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    boost::system::error_code error;
    const boost::json::value value = boost::json::parse(models::replace_invalid_utf8(line, replaced), error);
    if (error) throw_unusable_line(path, number, error.message());
    visit(value, number);
  }
  models::warn_of_invalid_utf8(log, path, replaced);
}

void throw_unusable_line(const std::string& path, int64_t line, const std::string& why) {
  throw Error(ExitCode::kData, {.problem = fmt::format("{}, line {} is not usable", path, line),
                                .why = why,
                                .suggestion = "Mend the line, or leave it out."});
}

}  // namespace orthant::launch
