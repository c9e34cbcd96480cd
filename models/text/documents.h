// Documents of a text source: a .txt (one document, or one a paragraph), a .jsonl with the text in a field,
// or a directory of them read in the order of their paths.
//
// Ill-formed UTF-8 is replaced by U+FFFD and counted. A document's number counts all documents, empty ones
// too, so that it is the same for every reader of the source. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "models/text/document_template.h"
#include "runtime/core/log.h"

namespace orthant::models {

enum class TextSplit { kFile, kParagraph };

// "file" or "paragraph"; throws Error(kConfig) otherwise.
[[nodiscard]] TextSplit text_split_from_name(const std::string& name);

struct TextSource {
  std::string path;
  std::string field = "text";                            // of JSON lines
  TextSplit split = TextSplit::kFile;                    // of .txt
  std::optional<OpenThoughtsPrompts> openthoughts = {};  // JSON lines are rows of that data set
};

// What was met on the way.
struct TextCounts {
  int64_t documents = 0;
  int64_t empty_documents = 0;
  int64_t invalid_utf8 = 0;  // sequences replaced
};

// Calls visit(text) for every document in order until it returns false; an empty document is passed too. Adds
// to `counts`. Throws Error(kConfig) for a path that is no text, Error(kIo) for one that cannot be read,
// Error(kData) naming file and line where a JSON line is broken or lacks the field.
void visit_documents(const TextSource& source, TextCounts& counts,
                     const std::function<bool(std::string)>& visit);

// Warns on `log` where `sequences` of the text at `path` were replaced.
void warn_of_invalid_utf8(Log& log, const std::string& path, int64_t sequences);

}  // namespace orthant::models
