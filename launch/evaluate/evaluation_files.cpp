#include "launch/evaluate/evaluation_files.h"

#include <boost/json/serialize.hpp>
#include <chrono>

#include "launch/evaluate/contexts_json.h"
#include "launch/program/version.h"
#include "runtime/storage/file.h"
#include "sae/measure/saebench.h"

namespace orthant::launch {
namespace json = boost::json;

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
  for (const sae::LatentContexts& found : contexts) {
    const double density = job.evaluation.latents->density[static_cast<size_t>(found.latent)];
    const models::Tokenizer* const tokenizer = job.model ? job.model->tokenizer.get() : nullptr;
    lines += json::serialize(contexts_json(found, density, tokenizer)) + "\n";
  }
  replace_file(directory + "/contexts.jsonl", lines);
}

}  // namespace orthant::launch
