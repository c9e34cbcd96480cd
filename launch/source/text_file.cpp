#include "launch/source/text_file.h"

#include "models/text/documents.h"

namespace orthant::launch {

std::string read_text_file(const std::string& path, Log& log) {
  int64_t replaced = 0;
  std::string text = models::read_text_file(path, replaced);
  models::warn_of_invalid_utf8(log, path, replaced);
  return text;
}

void visit_json_values(const std::string& path, Log& log,
                       const std::function<void(const boost::json::value&, int64_t)>& visit) {
  int64_t replaced = 0;
  models::visit_json_lines(path, replaced, [&](const boost::json::value& value, int64_t line) {
    visit(value, line);
    return true;
  });
  models::warn_of_invalid_utf8(log, path, replaced);
}

}  // namespace orthant::launch
