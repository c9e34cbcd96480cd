// The files of an evaluation beside result.json: statistics of latents, SAEBench's shape, contexts of
// latents. Not Collective: for one rank.
#pragma once

#include <string>
#include <vector>

#include "launch/evaluate/evaluation_job.h"
#include "sae/measure/top_contexts.h"

namespace orthant::launch {

// latents.safetensors, histograms.json and, where reconstruction was measured, saebench.json.
void write_measures(const EvaluationJob& job, const std::string& directory);

// contexts.jsonl: a latent a line, its tokens as text where there is a model.
void write_contexts(const EvaluationJob& job, const std::vector<sae::LatentContexts>& contexts,
                    const std::string& directory);

}  // namespace orthant::launch
