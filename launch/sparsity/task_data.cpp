#include "launch/sparsity/task_data.h"

#include <fmt/format.h>

#include <algorithm>

#include "launch/program/refuse.h"
#include "launch/program/required_field.h"
#include "models/tasks/harness/read_task.h"
#include "models/tasks/harness/wikitext.h"
#include "models/tasks/window_perplexity.h"
#include "runtime/core/hash.h"
#include "runtime/core/parse_number.h"

namespace orthant::launch {
namespace {

using models::TaskForm;
using models::TokenPair;

// Of a unit, so that its forwards are full and a killed job loses little.
int64_t unit_documents(TaskForm form) {
  switch (form) {
    case TaskForm::kWindows:
      return 4;
    case TaskForm::kRolling:
      return 1;
    case TaskForm::kGeneration:
      return 8;
    case TaskForm::kAnswers:
      return 16;
    case TaskForm::kChoices:
    case TaskForm::kGreedyWord:
      return 64;
  }
  return 1;
}

// Windows that do not overlap (activation_sparsity 7).
void load_windows(TaskData& task, const Sparsity& own, const models::Tokenizer& tokenizer,
                  int64_t context_length) {
  std::vector<int32_t> ids = tokenizer.encode(task.documents[0].page);
  if (tokenizer.adds_bos() && tokenizer.bos()) ids.insert(ids.begin(), *tokenizer.bos());
  const int64_t window = own.window();
  const int64_t windows = models::count_windows(static_cast<int64_t>(ids.size()), window,
                                                limit_of(own, task.spec.name), context_length);
  task.documents.assign(static_cast<size_t>(windows), {});
  for (int64_t w = 0; w < windows; ++w) {
    const auto begin = ids.begin() + w * window;
    task.windows.emplace_back(begin, begin + window);
  }
}

// Windows of whole pages that keep a token of context: what a window scores is the end of its input moved by
// one.
std::vector<TokenPair> rolling_pairs(const std::string& page, const models::Tokenizer& tokenizer,
                                     int64_t context_length) {
  std::vector<int32_t> ids = tokenizer.encode(models::wikitext_detokenize(page));
  const std::optional<int32_t> prefix = tokenizer.bos() ? tokenizer.bos() : tokenizer.eos();
  std::vector<TokenPair> pairs;
  int64_t scored = 0;
  for (const models::RollingWindow& window :
       models::rolling_windows(ids, prefix.value_or(0), context_length)) {
    const auto context = window.input.end() - (window.scored - 1);
    pairs.push_back(
        {{window.input.begin(), context}, {ids.begin() + scored, ids.begin() + scored + window.scored}});
    scored += window.scored;
  }
  return pairs;
}

[[noreturn]] void throw_no_token(const std::string& task, size_t document) {
  throw Error(ExitCode::kData, {.problem = fmt::format("document {} of {} has no token", document, task),
                                .why = "there is nothing to score",
                                .suggestion = "Leave it out of the file."});
}

// As the harness forms it, naming the document where it cannot be.
TokenPair pair_of(const models::TaskRequest& request, const models::Tokenizer& tokenizer,
                  const std::string& task, size_t document) {
  try {
    return models::encode_pair(tokenizer, request.context, request.continuation,
                               models::PairStart::kOnlyOfEmptyContexts);
  } catch (const Error& error) {
    throw Error(error.code(), {.problem = fmt::format("document {} of {} is not usable", document, task),
                               .why = error.what(),
                               .suggestion = "Leave it out of the file."});
  }
}

void hash_ids(HashStream& stream, const std::vector<int32_t>& ids) {
  const auto count = static_cast<int64_t>(ids.size());
  stream.update(&count, sizeof count);
  stream.update(ids.data(), count * static_cast<int64_t>(sizeof(int32_t)));
}

std::string hash_of(const TaskData& task) {
  HashStream stream;
  for (const auto& document : task.pairs) {
    for (const TokenPair& pair : document) {
      hash_ids(stream, pair.context);
      hash_ids(stream, pair.continuation);
    }
  }
  for (const auto& window : task.windows) hash_ids(stream, window);
  for (const auto& prompt : task.prompts) hash_ids(stream, prompt);
  return to_hex(stream.digest());
}

}  // namespace

std::vector<TaskUnit> TaskData::units(const Sparsity& own) const {
  const auto count = static_cast<int64_t>(documents.size());
  int64_t size = unit_documents(spec.form);
  if (own.statistics() == "call" && own.batch() > 1 && !is_generation()) {
    // Windows are batched in order, other requests by length over the whole task.
    const int64_t batches = (size + own.batch() - 1) / own.batch();
    size = spec.form == TaskForm::kWindows ? batches * own.batch() : std::max<int64_t>(count, 1);
  }
  std::vector<TaskUnit> units;
  for (int64_t first = 0; first < count; first += size)
    units.push_back({first, std::min(size, count - first)});
  return units;
}

int64_t limit_of(const Sparsity& own, const std::string& task) {
  for (const std::string& limit : own.limits()) {
    const size_t equals = limit.find('=');
    const auto count =
        parse_number<int64_t>(std::string_view(limit).substr(std::min(equals, limit.size() - 1) + 1));
    if (equals == std::string::npos || !count || *count < 0)
      refuse(fmt::format("limits = {}", limit), "it is no task with a number", "Write it as piqa=200.");
    if (models::find_task(limit.substr(0, equals)).name == task) return *count;
  }
  return own.limit();
}

TaskData load_task(const models::TaskSpec& spec, const Sparsity& own, const models::Tokenizer& tokenizer,
                   int64_t context_length) {
  TaskData task{.spec = spec,
                .documents = {},
                .pairs = {},
                .windows = {},
                .prompts = {},
                .cut_prompts = {},
                .ifeval = {},
                .hash = {}};
  if (own.has_shots() && spec.form == TaskForm::kGeneration) task.spec.shots = own.shots();
  task.documents = models::read_task(task.spec, required_field("data", own.data()), limit_of(own, spec.name));
  if (spec.form == TaskForm::kWindows) {
    load_windows(task, own, tokenizer, context_length);
  } else if (task.is_generation()) {
    const int64_t room = context_length - spec.max_new_tokens;
    if (room < 1) {
      throw Error(ExitCode::kConfig, {.problem = "task " + spec.name,
                                      .why = "its " + std::to_string(spec.max_new_tokens) +
                                             " new tokens are more than the model's context",
                                      .suggestion = "leave it out of --tasks"});
    }
    if (spec.name == "ifeval")
      task.ifeval = models::read_ifeval(models::task_file(spec, own.data()), limit_of(own, spec.name));
    for (const auto& document : task.documents) {
      std::vector<int32_t> ids = tokenizer.encode(document.requests.at(0).context);
      const auto excess = static_cast<int64_t>(ids.size()) - room;
      task.cut_prompts.push_back(excess > 0);
      if (excess > 0) ids.erase(ids.begin(), ids.begin() + excess);
      task.prompts.push_back(std::move(ids));
    }
  } else {
    for (const auto& document : task.documents) {
      auto& pairs = task.pairs.emplace_back();
      if (spec.form == TaskForm::kRolling) {
        pairs = rolling_pairs(document.page, tokenizer, context_length);
        if (pairs.empty()) throw_no_token(spec.name, task.pairs.size() - 1);
        continue;
      }
      for (const auto& request : document.requests)
        pairs.push_back(pair_of(request, tokenizer, spec.name, task.pairs.size() - 1));
    }
  }
  task.hash = hash_of(task);
  return task;
}

}  // namespace orthant::launch
