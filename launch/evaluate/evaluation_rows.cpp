#include "launch/evaluate/evaluation_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "launch/source/open_source.h"
#include "runtime/core/error.h"
#include "runtime/storage/row_selection.h"
#include "sae/measure/reconstruction_quality.h"

namespace orthant::launch {
namespace {

constexpr int64_t kNormRows = 4096;

}  // namespace

EvaluationRows::EvaluationRows(EvaluationJob& job) : job_(&job) {
  Source config = job.own.source();
  config.set_shuffle(false);  // contexts need the order of the file
  source_ = open_source(config, job.invocation.common.seed(), job.world, job.memory.host(),
                        job.memory.device(), job.invocation.log, job.precision);
  if (source_->d_model() != job.dictionary.d_model) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("the dictionary has d_model {}, the source {}",
                                                           job.dictionary.d_model, source_->d_model()),
                                    .why = "they belong to different models or hooks",
                                    .suggestion = "Give the source that the dictionary was trained on."});
  }
  const bool held_out = source_->rows(Split::kHoldout) > 0 || source_->rows(Split::kTrain) == 0;
  split_ = held_out ? Split::kHoldout : Split::kTrain;
  const int64_t available = source_->rows(split_);
  rows_ = job.own.rows() == 0 ? available : job.own.rows();
  if (available > 0) rows_ = std::min(rows_, available);
  job.evaluation.measured_split = held_out ? "holdout" : "train";
  job.evaluation.excluded = source_->excluded();
}

void EvaluationRows::measure_reconstruction() {
  sae::Evaluation& found = job_->evaluation;
  found.quality = sae::measure_reconstruction(job_->dictionary, *source_, split_, rows_, job_->grid,
                                              job_->virtual_shards);
  found.latents =
      sae::latent_statistics(*found.quality, job_->dictionary, *job_->grid.dictionary, job_->virtual_shards);
}

std::vector<sae::LatentContexts> EvaluationRows::find_contexts() {
  const auto& asked = job_->own.contexts();
  const std::vector<int64_t> latents =
      sae::latents_across_densities(job_->evaluation.latents->density, asked.latents());
  std::vector<sae::LatentContexts> contexts =
      sae::find_top_contexts(job_->dictionary, *source_, latents,
                             {.split = split_, .rows = rows_, .top = asked.top(), .width = asked.width()},
                             job_->world, job_->grid, job_->virtual_shards);
  if (contexts.empty() && !latents.empty())
    job_->invocation.log.warning("the source has no tokens: no contexts");
  return contexts;
}

double EvaluationRows::norm_limit() {
  const double ratio = job_->own.source().exclude().norm_ratio();
  const int64_t rows = std::min(rows_, kNormRows);
  if (ratio <= 0.0 || rows == 0) return 0.0;
  Tensor<float, 2> x(job_->memory.host(), "measure", {rows, source_->d_model()});
  source_->read(split_, 0, x.view(), nullptr);
  std::vector<float> norms;
  for (int64_t r = 0; r < rows; ++r) {
    double square = 0.0;
    for (int64_t c = 0; c < source_->d_model(); ++c) {
      square += static_cast<double>(x.view().row(r)[c]) * x.view().row(r)[c];
    }
    norms.push_back(static_cast<float>(std::sqrt(square)));
  }
  return ratio * static_cast<double>(median_of(std::move(norms)));
}

}  // namespace orthant::launch
