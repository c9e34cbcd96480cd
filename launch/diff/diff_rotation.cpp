// `orthant diff rotation`: how far the latents of a dictionary turned while it was trained on.

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>

#include "launch/config.pb.h"
#include "launch/diff/diff_table.h"
#include "launch/program/verb.h"
#include "sae/diffing/nearest_latents.h"
#include "sae/exchange/load_dictionary.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

void refuse_different(const std::string& path, const sae::Dictionary& stage, const sae::Dictionary& before) {
  if (stage.latents == before.latents && stage.d_model == before.d_model) return;
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("{} has {} latents of width {}, the stage before {} of width {}", path,
                                      stage.latents, stage.d_model, before.latents, before.d_model),
               .why = "latents are compared by their number, as training on keeps it",
               .suggestion = "Give stages of one chain of train --init, or use diff presence."});
}

ExitCode run_rotation(Invocation& invocation) {
  const DiffRotation& own = invocation.own<DiffRotation>();
  Communicator& shards = *invocation.world.data;
  if (own.stages().size() < 2) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("{} stages are given", own.stages().size()),
                                    .why = "latents turn between two",
                                    .suggestion = "Give --stages=FIRST,SECOND."});
  }
  Memory memory;
  std::vector<sae::Dictionary> stages;
  agree(*invocation.world.control, "open the stages", [&] {
    for (const std::string& path : own.stages()) {
      stages.push_back(sae::load_dictionary(path, memory, shards.size(), shards.rank()).dictionary);
      refuse_different(path, stages.back(), stages.front());
    }
  });
  json::array transitions;
  const auto compare = [&](size_t from, size_t to) {
    const std::vector<float> cosines = sae::same_latent_cosines(stages[from], stages[to], shards, 0);
    json::object found = cosines_json(cosines, own.threshold(), own.bins());
    found["from"] = own.stages(static_cast<int>(from));
    found["to"] = own.stages(static_cast<int>(to));
    found["cosine"] = json::value_from(cosines);
    transitions.push_back(std::move(found));
  };
  for (size_t i = 1; i < stages.size(); ++i) compare(i - 1, i);
  if (stages.size() > 2) compare(0, stages.size() - 1);
  return invocation.finish(json::object{{"threshold", own.threshold()}, {"transitions", transitions}});
}

std::string table_of(const json::value& result) {
  return table_with_rows(result, "transitions");
}

}  // namespace

Verb diff_rotation_verb() {
  return {.name = "diff rotation",
          .summary = "how far latents turned while a dictionary was trained on: cosine at the same number",
          .schema = DiffRotation::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run_rotation,
          .table = table_of};
}

}  // namespace orthant::launch
