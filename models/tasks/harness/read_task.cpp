#include "models/tasks/harness/read_task.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/object.hpp>
#include <filesystem>
#include <fstream>
#include <functional>

#include "models/tasks/harness/gsm8k.h"
#include "models/tasks/harness/task_rows.h"
#include "models/tasks/harness/wikitext.h"
#include "models/text/text_file.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

namespace fs = std::filesystem;

void refuse_replaced(const std::string& path, int64_t replaced) {
  if (replaced == 0) return;
  throw Error(ExitCode::kData, {.problem = fmt::format("{} is not UTF-8", path),
                                .why = fmt::format("it has {} ill-formed sequences", replaced),
                                .suggestion = "Fetch the file again."});
}

std::string text_of(const std::string& path) {
  int64_t replaced = 0;
  std::string text = read_text_file(path, replaced);
  refuse_replaced(path, replaced);
  return text;
}

// Calls visit(row, name of the line for messages) for the first `limit` rows, 0: all.
void visit_rows(const std::string& path, int64_t limit,
                const std::function<void(const boost::json::value&, const std::string& line)>& visit) {
  int64_t replaced = 0, rows = 0;
  visit_json_lines(path, replaced, [&](const boost::json::value& row, int64_t line) {
    if (replaced > 0) throw_unusable_line(path, line, "it or one before it is not UTF-8");
    visit(row, fmt::format("{}, line {}", path, line));
    return ++rows != limit;
  });
}

std::vector<TaskDocument> documents_of_rows(const TaskSpec& task, const std::string& path, int64_t limit) {
  std::vector<TaskDocument> documents;
  visit_rows(path, limit, [&](const boost::json::value& row, const std::string& line) {
    documents.push_back(document_of_row(task, JsonFields(row, line, "the row")));
  });
  return documents;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (lines.back().ends_with('\r')) lines.back().pop_back();
    begin = end + 1;
  }
  return lines;
}

// The published PIQA keeps the labels in a file of their own, one a line.
std::vector<TaskDocument> piqa_of_two_files(const TaskSpec& task, const std::string& path, int64_t limit) {
  const std::string labels_path = (fs::path(path).parent_path() / "valid-labels.lst").string();
  const std::vector<std::string> labels = lines_of(text_of(labels_path));
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == "0" || labels[i] == "1") continue;
    throw_unusable_line(labels_path, static_cast<int64_t>(i) + 1, "a label is 0 or 1");
  }
  const auto refuse_other_than = [&](const std::string& items) {
    throw Error(ExitCode::kData, {.problem = fmt::format("{} has {} labels", labels_path, labels.size()),
                                  .why = fmt::format("{} has {} items", path, items),
                                  .suggestion = "Fetch both files again."});
  };
  std::vector<TaskDocument> documents;
  visit_rows(path, limit, [&](const boost::json::value& row, const std::string& line) {
    if (documents.size() == labels.size()) refuse_other_than("more");
    boost::json::value labelled = row;
    if (labelled.is_object()) labelled.as_object()["label"] = labels[documents.size()];
    documents.push_back(document_of_row(task, JsonFields(labelled, line, "the row")));
  });
  const bool read_all = static_cast<int64_t>(documents.size()) != limit;
  if (read_all && documents.size() != labels.size()) refuse_other_than(fmt::format("{}", documents.size()));
  return documents;
}

std::vector<Gsm8kProblem> gsm8k_problems(const fs::path& folder) {
  std::vector<Gsm8kProblem> problems;
  for (const char* const name : {"gsm8k_train.jsonl", "train.jsonl"}) {
    const std::string path = (folder / name).string();
    if (!fs::exists(path)) continue;
    visit_rows(path, 0, [&](const boost::json::value& row, const std::string& line) {
      const JsonFields fields(row, line, "the row");
      problems.push_back({fields.required_text("question"), fields.required_text("answer")});
    });
    return problems;
  }
  throw Error(ExitCode::kConfig, {.problem = fmt::format("no train.jsonl in {}", folder.string()),
                                  .why = "the examples before a question of gsm8k are drawn from it",
                                  .suggestion = "Put it there, or ask without examples."});
}

std::vector<TaskDocument> gsm8k_documents(const TaskSpec& task, const std::string& path, int64_t limit) {
  std::vector<TaskDocument> documents = documents_of_rows(task, path, limit);
  if (task.shots == 0) return documents;
  const std::vector<Gsm8kProblem> train = gsm8k_problems(fs::path(path).parent_path());
  const auto shots =
      gsm8k_shots(static_cast<int64_t>(train.size()), static_cast<int64_t>(documents.size()), task.shots);
  for (size_t d = 0; d < documents.size(); ++d) {
    std::string& context = documents[d].requests.front().context;
    std::string examples;
    for (const int64_t shot : shots[d]) {
      const Gsm8kProblem& problem = train[static_cast<size_t>(shot)];
      const bool is_asked =
          gsm8k_prompt({}, problem.question) == context && problem.answer == documents[d].answer;
      if (!is_asked) examples += gsm8k_example(problem);
    }
    context.insert(0, examples);
  }
  return documents;
}

std::vector<TaskDocument> documents_of_pages(const std::string& path, int64_t limit) {
  std::vector<TaskDocument> documents;
  for (const std::string& page : wikitext_pages(text_of(path))) {
    if (limit > 0 && static_cast<int64_t>(documents.size()) == limit) break;
    documents.push_back(document_of_page(page));
  }
  return documents;
}

std::vector<TaskDocument> whole_text(const std::string& path) {
  TaskDocument document{.page = text_of(path)};
  if (document.page.empty()) return {};
  return {std::move(document)};
}

std::vector<TaskDocument> documents_of(const TaskSpec& task, const std::string& path, int64_t limit) {
  if (task.form == TaskForm::kWindows) return whole_text(path);
  const std::string name = fs::path(path).filename().string();
  if (task.name == "piqa" && name == "valid.jsonl") return piqa_of_two_files(task, path, limit);
  if (task.name == "wikitext" && !name.ends_with(".jsonl")) return documents_of_pages(path, limit);
  if (task.name == "gsm8k") return gsm8k_documents(task, path, limit);
  return documents_of_rows(task, path, limit);
}

}  // namespace

std::string task_file(const TaskSpec& task, const std::string& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw Error(ExitCode::kIo, {.problem = fmt::format("no data of task {} at {}", task.name, folder),
                                .why = "it is no directory",
                                .suggestion = "Give the folder with the task's files."});
  }
  std::vector<fs::path> places;
  for (const std::string& name : task.folders) places.push_back(fs::path(folder) / name);
  places.emplace_back(folder);
  for (const fs::path& place : places) {
    for (const std::string& name : task.files) {
      if (fs::is_regular_file(place / name, ignored)) return (place / name).string();
    }
  }
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("no data of task {} in {}", task.name, folder),
               .why = fmt::format("there is no {} in it or in a folder {}", fmt::join(task.files, ", "),
                                  fmt::join(task.folders, ", ")),
               .suggestion = "launch/fetch_tasks.py turns the public data sets into these files."});
}

std::vector<TaskDocument> read_task(const TaskSpec& task, const std::string& folder, int64_t limit) {
  if (limit < 0) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("{} documents of task {}", limit, task.name),
                                    .why = "their number is negative",
                                    .suggestion = "Give how many, or 0 for all."});
  }
  const std::string path = task_file(task, folder);
  std::vector<TaskDocument> documents = documents_of(task, path, limit);
  if (!documents.empty()) return documents;
  throw Error(ExitCode::kConfig, {.problem = fmt::format("no document of task {}", task.name),
                                  .why = fmt::format("{} is empty", path),
                                  .suggestion = "Fetch the file again."});
}

}  // namespace orthant::models
