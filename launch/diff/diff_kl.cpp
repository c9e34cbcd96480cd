// `orthant diff kl`: how far the next-token distributions of two language models are apart over a text.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <cmath>
#include <limits>
#include <optional>

#include "launch/config.pb.h"
#include "launch/diff/diff_table.h"
#include "launch/diff/paired_models.h"
#include "launch/evaluate/evaluation_text.h"
#include "launch/program/block_work.h"
#include "launch/program/refuse.h"
#include "launch/program/result.h"
#include "models/tasks/divergence_totals.h"
#include "models/text/same_tokens.h"
#include "runtime/job/run_directory.h"
#include "runtime/storage/file.h"
#include "runtime/storage/safetensors.h"
#include "sae/measure/histogram.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

constexpr double kLeastLog = -10.0;  // of the histogram; smaller divergences stand in its first bin
constexpr double kMostLog = 2.0;

// Tokens and rows of the largest of `blocks` (rows [blocks[b], blocks[b + 1])).
models::RunLimits limits_of(const models::TokenRows& text, std::span<const int64_t> blocks) {
  models::RunLimits limits{.tokens = 1, .sequences = 1, .positions = text.longest_row()};
  for (size_t b = 0; b + 1 < blocks.size(); ++b) {
    limits.tokens = std::max(limits.tokens, text.first_token(blocks[b + 1]) - text.first_token(blocks[b]));
    limits.sequences = std::max(limits.sequences, blocks[b + 1] - blocks[b]);
  }
  return limits;
}

// One comparison on this rank.
class KlComparison {
 public:
  explicit KlComparison(Invocation& invocation) : call_(invocation), own_(invocation.own<DiffKl>()) {}

  ExitCode run() {
    agree(*call_.world.control, "open the models", [&] { open(); });
    models::DivergenceTotals totals(pair_->text, call_.world.rank());
    std::vector<int64_t> offsets;
    for (const int64_t row : blocks_) offsets.push_back(pair_->text.first_token(row));
    const BlockWorkDone done = run_blocks(
        call_,
        {.offsets = offsets,
         .state = {&totals},
         .take = [&](int64_t block) { measure(block, totals); },
         .add = [&](std::span<const int64_t> blocks) { totals.share(rows_at(blocks), *call_.world.data); }});
    if (done.stopped) return ExitCode::kStopped;
    if (call_.run != nullptr) {
      agree(*call_.world.control, "write the divergences", [&] { write_tokens(totals); });
    }
    return call_.finish(result_of(totals, done));
  }

 private:
  void open() {
    const PairedModelFields fields = paired_model_fields(own_);
    (void)required_field("other_model", fields.other_model);
    pair_.emplace(open_paired_models(fields, {}, memory_, stream_, call_.log));
    const models::ModelConfig& first = pair_->first.weights.config;
    const models::ModelConfig& other = pair_->other().weights.config;
    if (first.vocabulary != other.vocabulary) {
      refuse(fmt::format("the models predict {} and {} tokens", first.vocabulary, other.vocabulary),
             "their distributions are over different sets", "Give models of one vocabulary.");
    }
    blocks_ = models::row_blocks(pair_->text, own_.block_tokens());
    meter_.emplace(pair_->first.weights, pair_->other().weights, limits_of(pair_->text, blocks_), memory_,
                   stream_);
  }

  void measure(int64_t block, models::DivergenceTotals& totals) {
    const int64_t first = blocks_[static_cast<size_t>(block)];
    models::BatchBuilder builder;
    for (int64_t row = first; row < blocks_[static_cast<size_t>(block) + 1]; ++row) {
      builder.add(pair_->text.row(row));
    }
    const models::TokenBatch batch = builder.batch();
    totals.add(first, batch, meter_->measure(batch));
  }

  [[nodiscard]] std::vector<int64_t> rows_at(std::span<const int64_t> blocks) const {
    std::vector<int64_t> rows;
    for (const int64_t block : blocks) rows.push_back(blocks_[static_cast<size_t>(block)]);
    return rows;
  }

  void write_tokens(const models::DivergenceTotals& totals) const {
    if (call_.world.rank() != 0) return;
    const int64_t tokens = pair_->text.tokens();
    std::vector<int64_t> documents;
    std::vector<int32_t> positions;
    for (int64_t row = 0; row < pair_->text.rows(); ++row) {
      for (int64_t token = pair_->text.first_token(row); token < pair_->text.first_token(row + 1); ++token) {
        documents.push_back(pair_->text.document_of(token));
        positions.push_back(static_cast<int32_t>(token - pair_->text.first_token(row)));
      }
    }
    write_safetensors(call_.run->file("tokens.safetensors"),
                      {{"divergences", Dtype::kF32, {tokens, 2}, totals.of_tokens().data()},
                       {"token_ids", Dtype::kI32, {tokens}, pair_->text.token_ids().data()},
                       {"positions", Dtype::kI32, {tokens}, positions.data()},
                       {"documents", Dtype::kI64, {tokens}, documents.data()}},
                      {{"format", "orthant divergences"},
                       {"columns_of_divergences", "kl,reverse_kl (nats; NaN where a row ends)"}});
  }

  [[nodiscard]] json::array positions_json(const models::Divergence& found) const {
    json::array positions;
    for (const models::PositionDivergence& each : found.positions) {
      if (each.tokens == 0) continue;
      positions.push_back(json::object{{"from", each.from},
                                       {"to", each.to - 1},
                                       {"tokens", each.tokens},
                                       {"kl", each.kl},
                                       {"reverse_kl", each.reverse_kl}});
    }
    return positions;
  }

  [[nodiscard]] std::string text_of(int64_t token) const {
    const int32_t id = pair_->text.token_ids()[static_cast<size_t>(token)];
    return pair_->first.tokenizer ? token_text(*pair_->first.tokenizer, id) : fmt::format("{}", id);
  }

  [[nodiscard]] json::array largest_json(const models::DivergenceTotals& totals) const {
    constexpr int64_t kBefore = 12;  // tokens shown
    json::array largest;
    for (const int64_t token : totals.largest(own_.top())) {
      const int64_t begin = pair_->text.first_token(pair_->text.row_of(token));
      std::string before;
      for (int64_t t = std::max(begin, token - kBefore); t <= token; ++t) before += text_of(t);
      largest.push_back(json::object{{"document", pair_->text.document_of(token)},
                                     {"position", token - begin},
                                     {"kl", totals.of_tokens()[static_cast<size_t>(token) * 2]},
                                     {"reverse_kl", totals.of_tokens()[static_cast<size_t>(token) * 2 + 1]},
                                     {"before", before},
                                     {"next", text_of(token + 1)}});
    }
    return largest;
  }

  [[nodiscard]] json::object histogram_of(const models::DivergenceTotals& totals) const {
    std::vector<float> logs;
    for (size_t i = 0; i < totals.of_tokens().size(); i += 2) {
      const float kl = totals.of_tokens()[i];
      // One that is 0 stands with the smallest.
      if (!std::isnan(kl)) logs.push_back(kl > 0.0f ? std::log10(kl) : static_cast<float>(kLeastLog));
    }
    return histogram_json(sae::histogram_of(logs, kLeastLog, kMostLog, own_.bins()),
                          "log10 of the KL divergence of a token");
  }

  [[nodiscard]] json::object result_of(const models::DivergenceTotals& totals,
                                       const BlockWorkDone& done) const {
    const models::Divergence found = totals.divergence();
    json::object result = {{"model", own_.model()},
                           {"other_model", own_.other_model()},
                           {"text_identity", pair_->text.identity()},
                           {"documents", found.documents},
                           {"rows", pair_->text.rows()},
                           {"tokens", found.tokens}};
    const auto add = [&](const std::string& name, const models::DocumentMean& mean) {
      result[name] = mean.mean;
      result[name + "_stderr"] = mean.standard_error ? json::value(*mean.standard_error) : json::value();
    };
    add("kl", found.kl);
    add("reverse_kl", found.reverse_kl);
    add("ce", found.ce);
    add("other_ce", found.other_ce);
    add("ce_difference", found.ce_difference);
    add("agreement", found.agreement);
    result["log10_kl_histogram"] = histogram_of(totals);
    result["positions"] = positions_json(found);
    result["largest"] = largest_json(totals);
    result["seconds"] = done.seconds;
    result["tokens_per_second"] = static_cast<double>(done.tokens) / done.seconds;
    return result;
  }

  Invocation& call_;
  const DiffKl& own_;
  Memory memory_;
  Stream stream_;
  std::optional<PairedModels> pair_;
  std::vector<int64_t> blocks_;  // rows of the text
  std::optional<models::DivergenceMeter> meter_;
};

ExitCode run_kl(Invocation& invocation) {
  return KlComparison(invocation).run();
}

std::string table_of(const json::value& result) {
  json::object numbers = result.as_object();
  const json::array largest = numbers.at("largest").as_array();
  const json::array positions = numbers.at("positions").as_array();
  for (const char* const name : {"largest", "positions", "log10_kl_histogram"}) numbers.erase(name);
  return plain_table(numbers) + "\n" + columns_table(positions) + "\n" + columns_table(largest);
}

}  // namespace

Verb diff_kl_verb() {
  return {.name = "diff kl",
          .summary = "KL divergence between two language models over a text, in both directions",
          .schema = DiffKl::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run_kl,
          .table = table_of};
}

}  // namespace orthant::launch
