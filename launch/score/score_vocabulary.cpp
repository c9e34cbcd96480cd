#include "launch/score/score_vocabulary.h"

#include <fmt/format.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <set>

#include "launch/score/vocabulary.pb.h"
#include "runtime/core/error.h"
#include "runtime/storage/file.h"

namespace orthant::launch {
namespace {

constexpr char kExample[] = "Groups look like: group { name: \"wait\" form: \"wait\" form: \" Wait\" }";

// The first problem of a file, by line.
class FirstProblem : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text_.empty()) text_ = fmt::format("line {}, column {}: {}", line + 1, column + 1, message);
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

Vocabulary parse(const std::string& path) {
  Vocabulary vocabulary;
  FirstProblem problem;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&problem);
  if (parser.ParseFromString(read_file(path), &vocabulary)) return vocabulary;
  throw Error(
      ExitCode::kConfig,
      {.problem = fmt::format("{} is no vocabulary", path), .why = problem.text(), .suggestion = kExample});
}

[[noreturn]] void refuse(const std::string& path, const std::string& problem, const std::string& why) {
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("{}: {}", path, problem), .why = why, .suggestion = kExample});
}

}  // namespace

std::vector<sae::TokenGroup> read_vocabulary(const std::string& path, const models::Tokenizer& tokenizer) {
  std::vector<sae::TokenGroup> groups;
  std::set<std::string> names;
  const Vocabulary vocabulary = parse(path);
  for (const VocabularyGroup& given : vocabulary.group()) {
    if (given.name().empty()) refuse(path, "a group has no name", "results are listed by it");
    if (!names.insert(given.name()).second) {
      refuse(path, fmt::format("two groups are called '{}'", given.name()), "results are listed by name");
    }
    sae::TokenGroup group{.name = given.name(), .forms = {}};
    for (const std::string& form : given.form()) {
      const sae::TokenForm ids = tokenizer.encode(form);
      if (ids.empty()) {
        refuse(path, fmt::format("form '{}' of group '{}' has no tokens", form, given.name()),
               "the tokenizer makes nothing of it");
      }
      if (std::find(group.forms.begin(), group.forms.end(), ids) == group.forms.end())
        group.forms.push_back(ids);
    }
    if (group.forms.empty()) {
      refuse(path, fmt::format("group '{}' has no forms", given.name()), "it could never occur");
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace orthant::launch
