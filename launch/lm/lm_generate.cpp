#include <boost/json.hpp>
#include <optional>

#include "launch/config.pb.h"
#include "launch/lm/magnitude_pruning.h"
#include "launch/program/required_field.h"
#include "launch/program/verb.h"
#include "models/tasks/generation.h"
#include "models/text/documents.h"
#include "models/transformer/decode_weights.h"
#include "models/transformer/language_model.h"
#include "runtime/core/stopwatch.h"

namespace orthant::launch {
namespace {

std::vector<int32_t> prompt_ids(const LmGenerate& config, const models::Tokenizer& tokenizer, Log& log) {
  int64_t replaced = 0;
  std::string prompt = models::replace_invalid_utf8(required_field("prompt", config.prompt()), replaced);
  models::warn_of_invalid_utf8(log, "--prompt", replaced);
  if (config.chat()) {
    const models::ChatMessage message{"user", prompt};
    prompt = tokenizer.apply_chat_template({&message, 1});
  }
  std::vector<int32_t> ids = tokenizer.encode(prompt);
  if ((config.bos() || tokenizer.adds_bos()) && tokenizer.bos()) ids.insert(ids.begin(), *tokenizer.bos());
  return ids;
}

// What --sparsity and --weights ask for; null or nothing without them.
struct Decoding {
  std::optional<models::ModelPruning> pruning;
  std::optional<models::DecodeWeights> weights;
};

Decoding decoding_of(const LmGenerate& config, Memory& memory, Stream& stream, Log& log) {
  Decoding decoding;
  if (config.sparsity().empty() && config.weights().empty()) return decoding;
  const auto file = models::open_model_file(config.model());
  decoding.pruning = magnitude_pruning(config.sparsity(), *file, memory, stream);
  if (!decoding.pruning && config.weights().empty()) return decoding;
  const auto format =
      kernels::weight_format_from_name(config.weights()).value_or(kernels::WeightFormat::kF32);
  decoding.weights = models::load_decode_weights(*file, format, memory, stream);
  log.info("weights of decoded tokens: {:.1f} MiB in {} beside those of the prompt",
           static_cast<double>(decoding.weights->bytes()) / (1 << 20), name_of(format));
  return decoding;
}

ExitCode run(Invocation& invocation) {
  const auto& config = invocation.own<LmGenerate>();
  Memory memory(invocation.device);
  Stream stream(invocation.device);
  const auto model =
      models::open_language_model(required_field("model", config.model()), config.tokenizer(), {}, memory,
                                  stream, kernels::precision_from_name(config.precision()));
  const std::vector<std::vector<int32_t>> prompts = {prompt_ids(config, *model.tokenizer, invocation.log)};
  const Decoding decoding = decoding_of(config, memory, stream, invocation.log);
  Stopwatch watch;
  const auto ids = models::generate(model.weights, prompts,
                                    {.max_new_tokens = config.max_new_tokens(),
                                     .temperature = config.temperature(),
                                     .seed = invocation.common.seed(),
                                     .stops = model.tokenizer->ends(),
                                     .pruning = decoding.pruning ? &*decoding.pruning : nullptr,
                                     .decode_weights = decoding.weights ? &*decoding.weights : nullptr,
                                     .decoding = &watch},
                                    memory, stream)[0];
  boost::json::object result{{"ids", boost::json::value_from(ids)}, {"text", model.tokenizer->decode(ids)}};
  // The first token is the prompt's.
  if (ids.size() > 1) result["tokens_per_second"] = static_cast<double>(ids.size() - 1) / watch.seconds();
  if (decoding.weights) result["decode_weight_bytes"] = decoding.weights->bytes();
  return invocation.finish(result);
}

std::string table(const boost::json::value& result) {
  return std::string(result.at("text").as_string()) + '\n';
}

}  // namespace

Verb lm_generate_verb() {
  return {.name = "lm generate",
          .summary = "continue a prompt",
          .schema = LmGenerate::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run,
          .table = table,
          .runs_on_cuda = true};
}

}  // namespace orthant::launch
