#include <boost/json.hpp>
#include <chrono>
#include <optional>

#include "launch/config.pb.h"
#include "launch/lm/magnitude_pruning.h"
#include "launch/program/required_field.h"
#include "launch/program/verb.h"
#include "launch/source/text_file.h"
#include "models/tasks/pair_scoring.h"
#include "models/transformer/language_model.h"
#include "runtime/core/share.h"
#include "runtime/job/progress.h"

namespace orthant::launch {
namespace {

// Pairs of a rank between two meetings of the ranks: some forwards full.
constexpr int64_t kRoundPairs = 256;

std::string text_of(const boost::json::value& pair, const char* field, const std::string& path,
                    int64_t line) {
  const boost::json::value* text = pair.is_object() ? pair.as_object().if_contains(field) : nullptr;
  if (text == nullptr || !text->is_string()) {
    throw_unusable_line(path, line, std::string("there is no text field ").append(field));
  }
  return std::string(text->as_string());
}

std::vector<models::TokenPair> read_pairs(const std::string& path, const models::Tokenizer& tokenizer,
                                          Log& log) {
  std::vector<models::TokenPair> pairs;
  visit_json_values(path, log, [&](const boost::json::value& value, int64_t line) {
    const std::string context = text_of(value, "context", path, line);
    const std::string continuation = text_of(value, "continuation", path, line);
    try {
      pairs.push_back(models::encode_pair(tokenizer, context, continuation));
    } catch (const Error& error) {
      throw_unusable_line(path, line, error.what());
    }
  });
  return pairs;
}

boost::json::object object_of(const models::PairScore& score, bool has_bf16) {
  boost::json::object fields{
      {"log_prob", score.log_prob}, {"greedy", score.greedy}, {"tokens", score.tokens}};
  if (has_bf16) {
    fields["log_prob_bf16"] = score.log_prob_bf16;
    fields["greedy_bf16"] = score.greedy_bf16;
  }
  return fields;
}

// What a rank scored in a round.
boost::json::object part_of(const models::PairScores& scored, bool has_bf16) {
  boost::json::array scores;
  for (const models::PairScore& score : scored.pairs) scores.push_back(object_of(score, has_bf16));
  return {{"scores", std::move(scores)}, {"cut_contexts", scored.cut_contexts}};
}

ExitCode run(Invocation& invocation) {
  const auto& config = invocation.own<LmScore>();
  Memory memory(invocation.device);
  Stream stream(invocation.device);
  ControlGroup& control = *invocation.world.control;
  std::optional<models::LanguageModel> opened;
  std::optional<models::ModelPruning> pruning;
  agree(control, "open the model", [&] {
    opened = models::open_language_model(required_field("model", config.model()), config.tokenizer(), {},
                                         memory, stream, kernels::precision_from_name(config.precision()));
    pruning = magnitude_pruning(config.sparsity(), *models::open_model_file(config.model()), memory, stream);
  });
  const models::LanguageModel& model = *opened;
  const models::PairOptions options{
      .rounding = config.bf16_logits() ? models::LogitRounding::kBf16Too : models::LogitRounding::kNone,
      .pruning = pruning ? &*pruning : nullptr};
  const auto start = std::chrono::steady_clock::now();
  std::vector<models::TokenPair> pairs;
  agree(control, "read the pairs", [&] {
    pairs = read_pairs(required_field("pairs", config.pairs()), *model.tokenizer, invocation.log);
  });
  const auto count = static_cast<int64_t>(pairs.size());
  Progress progress(progress_style(invocation.common.progress(), control.rank()), "pair");
  boost::json::array scores;
  int64_t cut_contexts = 0;
  while (static_cast<int64_t>(scores.size()) < count) {
    const auto first = static_cast<int64_t>(scores.size());
    const Share mine =
        share_of(std::min(count - first, kRoundPairs * control.size()), control.size(), control.rank());
    std::string part;
    agree(control, "score the pairs", [&] {
      const auto own =
          std::span(pairs).subspan(static_cast<size_t>(first + mine.first), static_cast<size_t>(mine.count));
      const models::PairScores scored = models::score_pairs(model.weights, own, options, memory, stream);
      part = boost::json::serialize(part_of(scored, config.bf16_logits()));
    });
    for (const std::string& text : control.gather_all(part)) {
      const boost::json::value parsed = boost::json::parse(text);
      for (const auto& score : parsed.at("scores").as_array()) scores.push_back(score);
      cut_contexts += parsed.at("cut_contexts").as_int64();
    }
    progress.show({.done = static_cast<int64_t>(scores.size()), .total = count, .text = ""});
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (cut_contexts > 0) {
    invocation.log.warning("{} of {} contexts are longer than the model's {} tokens and were cut on the left",
                           cut_contexts, count, model.weights.config.context_length);
  }
  return invocation.finish(
      boost::json::object{{"scores", scores}, {"cut_contexts", cut_contexts}, {"seconds", seconds}});
}

// One line a pair.
std::string table(const boost::json::value& result) {
  std::string text;
  for (const auto& score : result.at("scores").as_array()) text += boost::json::serialize(score) + '\n';
  return text;
}

}  // namespace

Verb lm_score_verb() {
  return {.name = "lm score",
          .summary = "log-likelihood of continuations",
          .schema = LmScore::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run,
          .table = table,
          .runs_on_cuda = true};
}

}  // namespace orthant::launch
