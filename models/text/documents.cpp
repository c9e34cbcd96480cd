#include "models/text/documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/value.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "models/text/text_file.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

namespace fs = std::filesystem;

bool is_text(const fs::path& path) {
  return path.extension() == ".txt" || path.extension() == ".jsonl";
}

std::vector<fs::path> files_of(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    throw Error(ExitCode::kIo, {.problem = fmt::format("no text at {}", path),
                                .why = error ? error.message() : "no such file or directory",
                                .suggestion = "give a .txt, a .jsonl or a directory of them"});
  }
  if (!fs::is_directory(status)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file() && is_text(entry.path())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("no text in {}", path),
                                    .why = "the directory holds no .txt and no .jsonl",
                                    .suggestion = "give a directory with text files"});
  }
  return files;
}

std::ifstream open_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw Error(ExitCode::kIo, {.problem = fmt::format("{} cannot be read", path.string()),
                                .why = std::strerror(errno),
                                .suggestion = "check its permissions"});
  }
  return file;
}

std::string field_of(const boost::json::object& line, const std::string& field, const fs::path& path,
                     int64_t number) {
  const boost::json::value* text = line.if_contains(field);
  if (text != nullptr && text->is_string()) return {text->as_string().begin(), text->as_string().end()};
  throw Error(ExitCode::kData, {.problem = fmt::format("{}, line {} is not usable", path.string(), number),
                                .why = text == nullptr ? fmt::format("there is no field \"{}\"", field)
                                                       : fmt::format("the field \"{}\" is no string", field),
                                .suggestion = "name the field with --text_field"});
}

std::string document_of_line(const boost::json::value& line, const TextSource& source, const fs::path& path,
                             int64_t number) {
  if (!line.is_object()) throw_unusable_line(path.string(), number, "no JSON object");
  const boost::json::object& object = line.get_object();
  if (!source.openthoughts) return field_of(object, source.field, path, number);
  return openthoughts_document(*source.openthoughts, object,
                               [&](const char* name) { return field_of(object, name, path, number); });
}

bool is_blank(const std::string& line) {
  return line.find_first_not_of(" \t\r\f\v") == std::string::npos;
}

// Each returns false when the visitor wants no more.
using Visit = std::function<bool(const std::string&)>;

bool visit_documents_of_lines(const fs::path& path, const TextSource& source, int64_t& invalid_utf8,
                              const Visit& visit) {
  bool wants_more = true;
  visit_json_lines(path.string(), invalid_utf8, [&](const boost::json::value& line, int64_t number) {
    return wants_more = visit(document_of_line(line, source, path, number));
  });
  return wants_more;
}

bool visit_paragraphs(const fs::path& path, const Visit& visit) {
  std::ifstream file = open_text(path);
  std::string line;
  std::string paragraph;
  while (std::getline(file, line)) {
    if (!is_blank(line)) {
      paragraph += (paragraph.empty() ? "" : "\n") + line;
      continue;
    }
    if (!paragraph.empty() && !visit(paragraph)) return false;
    paragraph.clear();
  }
  return paragraph.empty() || visit(paragraph);
}

bool visit_file(const fs::path& path, const TextSource& source, int64_t& invalid_utf8, const Visit& visit) {
  if (path.extension() == ".jsonl") return visit_documents_of_lines(path, source, invalid_utf8, visit);
  if (source.split == TextSplit::kParagraph) return visit_paragraphs(path, visit);
  std::ifstream file = open_text(path);
  return visit(std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace

TextSplit text_split_from_name(const std::string& name) {
  if (name == "file") return TextSplit::kFile;
  if (name == "paragraph") return TextSplit::kParagraph;
  throw Error(ExitCode::kConfig, {.problem = fmt::format("unknown text split \"{}\"", name),
                                  .why = "",
                                  .suggestion = "use file or paragraph"});
}

void visit_documents(const TextSource& source, TextCounts& counts,
                     const std::function<bool(std::string)>& visit) {
  const auto counted = [&](const std::string& raw) {
    ++counts.documents;
    if (raw.empty()) ++counts.empty_documents;
    return visit(replace_invalid_utf8(raw, counts.invalid_utf8));
  };
  for (const fs::path& path : files_of(source.path)) {
    if (!visit_file(path, source, counts.invalid_utf8, counted)) return;
  }
}

void warn_of_invalid_utf8(Log& log, const std::string& path, int64_t sequences) {
  if (sequences == 0) return;
  log.warning("{}: {} ill-formed UTF-8 sequences were replaced by U+FFFD", path, sequences);
}

}  // namespace orthant::models
