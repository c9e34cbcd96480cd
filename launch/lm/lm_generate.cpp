#include <boost/json.hpp>

#include "launch/config.pb.h"
#include "launch/program/required_field.h"
#include "launch/program/verb.h"
#include "models/tasks/generation.h"
#include "models/text/documents.h"
#include "models/transformer/language_model.h"

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

ExitCode run(Invocation& invocation) {
  const auto& config = invocation.own<LmGenerate>();
  Memory memory(invocation.device);
  Stream stream(invocation.device);
  const auto model =
      models::open_language_model(required_field("model", config.model()), config.tokenizer(), {}, memory,
                                  stream, kernels::precision_from_name(config.precision()));
  const std::vector<std::vector<int32_t>> prompts = {prompt_ids(config, *model.tokenizer, invocation.log)};
  const auto ids = models::generate(model.weights, prompts,
                                    {.max_new_tokens = config.max_new_tokens(),
                                     .temperature = config.temperature(),
                                     .seed = invocation.common.seed(),
                                     .stop = model.tokenizer->eos()},
                                    memory, stream)[0];
  return invocation.finish(
      boost::json::object{{"ids", boost::json::value_from(ids)}, {"text", model.tokenizer->decode(ids)}});
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
