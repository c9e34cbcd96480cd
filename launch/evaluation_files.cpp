#include "launch/evaluation_files.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <chrono>

#include "launch/evaluation_text.h"
#include "launch/version.h"
#include "runtime/storage/file.h"
#include "sae/measure/saebench.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

std::string text_of(const EvaluationJob& job, int32_t token_id) {
  return job.model ? token_text(*job.model->tokenizer, token_id) : fmt::format("[{}]", token_id);
}

json::object to_json(const EvaluationJob& job, const sae::LatentContexts& found) {
  json::array contexts;
  for (const sae::Context& context : found.contexts) {
    json::array tokens;
    for (const int32_t id : context.token_ids) tokens.emplace_back(text_of(job, id));
    contexts.push_back({{"tokens", tokens},
                        {"activations", json::value_from(context.activations)},
                        {"peak", context.peak},
                        {"document", context.document},
                        {"position", context.position}});
  }
  return {{"latent", found.latent},
          {"density", job.evaluation.latents->density[static_cast<size_t>(found.latent)]},
          {"max_activation", found.max_activation},
          {"contexts", contexts}};
}

}  // namespace

void write_measures(const EvaluationJob& job, const std::string& directory) {
  sae::write_latent_files(job.evaluation, directory);
  if (!job.evaluation.quality) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const json::object document = sae::saebench_json(
      job.evaluation, {.id = to_hex(job.invocation.config.key()),
                       .sae = job.own.sae(),
                       .version = version(),
                       .git_hash = git_hash(),
                       .epoch_millis = std::chrono::duration_cast<std::chrono::milliseconds>(now).count(),
                       .compat = job.own.compat()});
  replace_file(directory + "/saebench.json", json::serialize(document) + "\n");
}

void write_contexts(const EvaluationJob& job, const std::vector<sae::LatentContexts>& contexts,
                    const std::string& directory) {
  std::string lines;
  for (const sae::LatentContexts& found : contexts) lines += json::serialize(to_json(job, found)) + "\n";
  replace_file(directory + "/contexts.jsonl", lines);
}

}  // namespace orthant::launch
