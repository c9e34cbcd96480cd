#include <boost/json.hpp>
#include <chrono>
#include <cstring>
#include <optional>

#include "launch/config.pb.h"
#include "launch/program/required_field.h"
#include "launch/program/verb.h"
#include "launch/source/text_file.h"
#include "models/tasks/window_perplexity.h"
#include "models/transformer/language_model.h"
#include "runtime/job/progress.h"

namespace orthant::launch {
namespace {

// Windows of a rank between two meetings of the ranks.
constexpr int64_t kRoundWindows = 8;

std::vector<int32_t> tokens_of(const LmPerplexity& config, const models::Tokenizer& tokenizer, Log& log) {
  std::vector<int32_t> ids =
      tokenizer.encode(read_text_file(required_field("text_file", config.text_file()), log));
  if (!config.bos()) return ids;
  if (!tokenizer.bos()) {
    throw Error(ExitCode::kConfig, {.problem = "a BOS is asked for",
                                    .why = "the model's tokenizer has no BOS token",
                                    .suggestion = "leave --bos out"});
  }
  ids.insert(ids.begin(), *tokenizer.bos());
  return ids;
}

// Joins the values of all ranks in rank order.
std::vector<double> joined(ControlGroup& control, const std::vector<double>& mine) {
  const std::string bytes(reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(double));
  std::vector<double> all;
  for (const std::string& part : control.gather_all(bytes)) {
    const size_t begin = all.size();
    all.resize(begin + part.size() / sizeof(double));
    std::memcpy(all.data() + begin, part.data(), part.size());
  }
  return all;
}

ExitCode run(Invocation& invocation) {
  const auto& config = invocation.own<LmPerplexity>();
  Memory memory(invocation.device);
  Stream stream(invocation.device);
  ControlGroup& control = *invocation.world.control;
  std::optional<models::LanguageModel> opened;
  std::vector<int32_t> ids;
  int64_t windows = 0;
  agree(control, "open the model and the text", [&] {
    opened = models::open_language_model(required_field("model", config.model()), config.tokenizer(), {},
                                         memory, stream, kernels::precision_from_name(config.precision()));
    ids = tokens_of(config, *opened->tokenizer, invocation.log);
    windows = models::count_windows(static_cast<int64_t>(ids.size()), config.window(), config.max_windows(),
                                    opened->weights.config.context_length);
  });
  const models::LanguageModel& model = *opened;
  Progress progress(progress_style(invocation.common.progress(), control.rank()), "window");
  const auto start = std::chrono::steady_clock::now();
  std::vector<double> nll;
  double seconds = 0.0;
  while (static_cast<int64_t>(nll.size()) < windows) {
    const auto first = static_cast<int64_t>(nll.size());
    const Share mine =
        share_of(std::min(windows - first, kRoundWindows * control.size()), control.size(), control.rank());
    std::vector<double> part;
    agree(control, "measure the perplexity", [&] {
      part = models::window_nll(
          model.weights, ids, config.window(), {first + mine.first, mine.count}, [](int64_t) {}, memory,
          stream);
    });
    const std::vector<double> all = joined(control, part);
    nll.insert(nll.end(), all.begin(), all.end());
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    progress.show({.done = static_cast<int64_t>(nll.size()),
                   .total = windows,
                   .text = "",
                   .tokens_per_second = static_cast<double>(nll.size()) * config.window() / seconds});
  }
  return invocation.finish(
      boost::json::object{{"perplexity", models::perplexity_of(nll)},
                          {"windows", windows},
                          {"tokens", windows * config.window()},
                          {"nll", boost::json::value_from(nll)},
                          {"tokens_per_second", static_cast<double>(windows * config.window()) / seconds}});
}

}  // namespace

Verb lm_perplexity_verb() {
  return {.name = "lm perplexity",
          .summary = "perplexity of a text over non-overlapping windows",
          .schema = LmPerplexity::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run,
          .runs_on_cuda = true};
}

}  // namespace orthant::launch
