#include "runtime/storage/sealed_json.h"

#include <fmt/format.h>

#include "runtime/core/error.h"
#include "runtime/core/hash.h"
#include "runtime/storage/file.h"

namespace orthant {
namespace {

std::string first_line(std::string_view body) {
  return fmt::format("{{\"hash\": \"{}\",\n", to_hex(hash128(body)));
}

}  // namespace

void write_sealed_json(const std::string& path, const boost::json::object& fields) {
  require(!fields.empty(), "a sealed document has fields");
  std::string body;
  for (const auto& [key, value] : fields) {
    body += fmt::format("{}{}: {}", body.empty() ? "" : ",\n",
                        boost::json::serialize(boost::json::value(key)), boost::json::serialize(value));
  }
  body += "}\n";
  replace_file(path, first_line(body) + body);
}

boost::json::object read_sealed_json(const std::string& path) {
  const std::string text = read_file(path);
  const size_t line_bytes = first_line("").size();
  const std::string body = text.size() < line_bytes ? "" : text.substr(line_bytes);
  if (const std::string expected = first_line(body); text.substr(0, line_bytes) != expected) {
    throw Error(ExitCode::kData,
                {.problem = fmt::format("{} is damaged at offset 0", path),
                 .why = fmt::format("its {} bytes do not have the hash of its first line, found {}",
                                    text.size(), to_hex(hash128(body))),
                 .suggestion = "Restore the file from a copy."});
  }
  boost::system::error_code error;
  boost::json::value parsed = boost::json::parse(text, error);
  require(!error && parsed.is_object(), "a sealed document parses: " + path);
  boost::json::object fields;
  for (const auto& [key, value] : parsed.get_object()) {
    if (key != "hash") fields[key] = value;
  }
  return fields;
}

}  // namespace orthant
