#include "models/text/text_file.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "models/tokenizer/tokenizer.h"
#include "runtime/core/error.h"

namespace orthant::models {
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

std::string read_text_file(const std::string& path, int64_t& replaced) {
  std::ifstream file = open_or_throw(path);
  const std::string raw(std::istreambuf_iterator<char>(file), {});
  return replace_invalid_utf8(raw, replaced);
}

void visit_json_lines(const std::string& path, int64_t& replaced,
                      const std::function<bool(const boost::json::value& value, int64_t line)>& visit) {
  std::ifstream file = open_or_throw(path);
  std::string line;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    if (line.find_first_not_of(" \t\r\f\v") == std::string::npos) continue;
    boost::system::error_code error;
    const boost::json::value value = boost::json::parse(replace_invalid_utf8(line, replaced), error);
    if (error) throw_unusable_line(path, number, error.message());
    if (!visit(value, number)) return;
  }
  if (file.bad()) {
    throw Error(ExitCode::kIo, {.problem = fmt::format("'{}' could not be read to its end", path),
                                .why = "the system reported a read error",
                                .suggestion = "Check the disk, or copy the file."});
  }
}

void throw_unusable_line(const std::string& path, int64_t line, const std::string& why) {
  throw Error(ExitCode::kData, {.problem = fmt::format("{}, line {} is not usable", path, line),
                                .why = why,
                                .suggestion = "Mend the line, or leave it out."});
}

}  // namespace orthant::models
