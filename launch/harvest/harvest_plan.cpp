#include "launch/harvest/harvest_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/dense/precision.h"
#include "launch/harvest/harvest_text.h"
#include "launch/plan/plan_rates.h"
#include "launch/program/required_field.h"
#include "models/tokenizer/tokenizer.h"
#include "models/transformer/harvest.h"
#include "runtime/storage/activation_store.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

// What the model file says and what it takes to run it.
struct Counted {
  models::ModelConfig model;
  std::vector<models::HookPoint> hooks;
};

Counted count(const Harvest& config, int model, JobMemory& counting) {
  const auto file = models::open_model_file(models_of(config)[static_cast<size_t>(model)]);
  Counted counted{file->config(), hooks_of(config, file->config().layers)};
  models::count_harvest(*file, counted.hooks, config.context(), dtype_from_name(config.dtype()),
                        kernels::precision_from_name(config.precision()), counting.host(), counting.device());
  return counted;
}

int64_t tokens_of(const Harvest& config) {
  if (config.tokens() > 0) return config.tokens();
  const auto tokenizer = models::open_tokenizer(config.model(0), config.tokenizer());
  return read_text(config, *tokenizer).tokens();
}

}  // namespace

std::vector<std::string> models_of(const Harvest& config) {
  if (config.model().empty()) (void)required_field("model", "");
  std::vector<std::string> all(config.model().begin(), config.model().end());
  for (auto model = all.begin(); model != all.end(); ++model) {
    if (std::find(all.begin(), model, *model) == model) continue;
    throw Error(ExitCode::kConfig, {.problem = fmt::format("the model {} is given twice", *model),
                                    .why = "each model makes stores of its own",
                                    .suggestion = "name it once"});
  }
  return all;
}

std::vector<models::HookPoint> hooks_of(const Harvest& config, int64_t layers) {
  if (config.hook().empty()) (void)required_field("hook", "");
  std::vector<models::HookPoint> hooks;
  for (const std::string& name : config.hook()) {
    hooks.push_back(models::parse_hook(name, layers));
    if (std::count(hooks.begin(), hooks.end(), hooks.back()) > 1) {
      throw Error(ExitCode::kConfig,
                  {.problem = std::string("the hook ").append(name).append(" is given twice"),
                   .why = "each hook makes one store",
                   .suggestion = "name it once"});
    }
  }
  return hooks;
}

boost::json::object plan_harvest(const Common& common, const Harvest& config, const PlannedWorld& world) {
  const PlanRates rates = plan_rates(world.device, world.ranks, common.threads());
  const Device device = world.device == "cpu" ? kCpu : Device{DeviceKind::kCuda, 0};
  const int models = static_cast<int>(models_of(config).size());
  const int64_t tokens = tokens_of(config);
  json::object segments;
  int64_t largest = -1, largest_beside = 0, d_model = 0, stores = 0, disk = 0;
  double flops = 0.0;
  for (int model = 0; model < models; ++model) {  // one after the other
    JobMemory counting(JobMemory::Counting{}, device);
    const Counted counted = count(config, model, counting);
    const auto hooks = static_cast<int64_t>(counted.hooks.size());
    stores += hooks;
    disk += hooks * store_bytes(tokens, counted.model.d_model, dtype_from_name(config.dtype()));
    flops += models::forward_flops_per_token(counted.model, models::blocks_needed(counted.hooks).blocks,
                                             config.context());
    largest_beside = std::max(largest_beside, counting.beside_bytes());
    if (model == 0) d_model = counted.model.d_model;
    if (counting.device().allocated_bytes() <= largest) continue;
    largest = counting.device().allocated_bytes();
    segments = {};
    for (const SegmentUse& use : counting.device().segments()) segments[use.segment] = use.allocated_bytes;
    segments["total"] = largest;
  }
  const double rate = rates.device.flops * rates.device.flops_share * world.ranks / flops;
  json::object plan = {{"verb", "harvest"},
                       {"world", world.ranks},
                       {"device", world.device},
                       {"d_model", d_model},
                       {"stores", stores},
                       {"tokens", tokens},
                       {"rates", rates.json()},
                       {"memory_bytes", segments},
                       {"fits", largest <= rates.device.capacity_bytes},
                       {"store_bytes", disk},
                       {"flops_per_token", flops},
                       {"tokens_per_second", rate},
                       {"seconds", static_cast<double>(tokens) / rate}};
  if (device != kCpu) plan["host_memory_bytes"] = largest_beside;
  return plan;
}

void predict_harvest(const Harvest& config, int model, int ranks_of_host, JobMemory& memory) {
  JobMemory counted(JobMemory::Counting{}, memory.device().device());
  (void)count(config, model, counted);
  memory.predict(
      counted, "this harvest", ranks_of_host,
      "Use more hosts or fewer ranks a host, or a smaller --context; `orthant plan harvest` with the "
      "same fields shows what takes the room.");
}

}  // namespace orthant::launch
