// `orthant sparsity`: what pruning the inputs (or the weights) of a language model's projections costs, by
// criterion, pattern and mitigation.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "launch/config.pb.h"
#include "launch/program/refuse.h"
#include "launch/program/required_field.h"
#include "launch/program/verb.h"
#include "launch/sparsity/learned_settings.h"
#include "launch/sparsity/measured_rows.h"
#include "launch/sparsity/request_records.h"
#include "launch/sparsity/retained_windows.h"
#include "launch/sparsity/variant_model.h"
#include "models/tasks/generation.h"
#include "models/tasks/harness/response.h"
#include "models/tasks/window_perplexity.h"
#include "runtime/core/hash.h"
#include "runtime/job/checkpoint_schedule.h"
#include "runtime/job/faults.h"
#include "runtime/job/progress.h"
#include "runtime/job/run_directory.h"
#include "runtime/job/signals.h"
#include "runtime/storage/file.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

// A unit of a task under a variant, and the key of its record.
struct Work {
  const TaskData* task;
  TaskUnit unit;
  std::string key;
};

class SparsityStudy {
 public:
  explicit SparsityStudy(Invocation& call)
      : call_(call),
        own_(call.own<Sparsity>()),
        memory_(call.device),
        stream_(call.device),
        schedule_(call.common.checkpoint(), call.common.stop_before()),
        progress_(progress_style(call.common.progress(), call.world.rank()), "unit") {}

  ExitCode run() {
    ControlGroup& control = *call_.world.control;
    agree(control, "open the model and the tasks", [&] { open(); });
    // A unit of a large model takes long, and nothing is to be lost by waiting.
    const DeadlineScope patient(control, std::chrono::hours(1));
    records_.emplace(call_.run == nullptr ? "" : call_.run->file("records"), control);
    VariantModel model(call_, *model_, *file_, memory_, stream_, text_ ? &*text_ : nullptr, [this] {
      return stop_requested() || (call_.world.rank() == 0 && schedule_.stop_due());
    });
    for (const Variant& variant : variants_.measured) units_ += static_cast<int64_t>(work_of(variant).size());
    for (const Variant& variant : variants_.measured) {
      for (const Work& work : work_of(variant)) done_ += records_->has(work.key) ? 1 : 0;
    }
    if (call_.run != nullptr) call_.run->begin_attempt("cell", done_);
    if (!measure_retained()) return ExitCode::kStopped;
    for (const Variant& variant : variants_.measured) {
      if (!measure(variant, model)) return ExitCode::kStopped;
    }
    return finish();
  }

 private:
  void open() {
    const std::string& path = required_field("model", own_.model());
    if (own_.tasks().empty())
      refuse("no task", "there is nothing to measure", "Give --tasks, for example piqa.");
    if (own_.statistics() == "call" && own_.batch() == 0) {
      refuse("--statistics=call without a batch", "statistics run over the requests of a forward",
             "Give --batch; 1 is what the study has.");
    }
    variants_ = variants_of(own_);
    for (const LeftOut& left : variants_.left_out)
      call_.log.info("{} is left out: {}", left.variant.name(), left.why);
    file_ = models::open_model_file(path);
    model_ = models::open_language_model(path, own_.tokenizer(), {}, memory_, stream_,
                                         kernels::precision_from_name(own_.precision()));
    // What cannot be is refused before anything is measured.
    (void)layers_of(own_, model_->weights.config.layers);
    for (const Variant& variant : variants_.measured) {
      check_widths(variant);
      if (variant.learns()) {
        read_windows(variant.name(), learned_settings(call_.common, own_, variant).length);
      } else if (variant.calibrates()) {
        read_windows(variant.name(), own_.calibration().window());
      }
      if (variant.learns()) check_learning(variant);
    }
    if (own_.retained_windows() > 0) {
      read_windows("--retained_windows", own_.calibration().window());
      retained_.emplace(own_, model_->weights.config, model_->identity, *text_);
    }
    for (const std::string& name : distinct_tasks(own_)) {
      tasks_.push_back(load_task(models::find_task(name), own_, *model_->tokenizer,
                                 model_->weights.config.context_length));
    }
  }

  void check_widths(const Variant& variant) const {
    if (variant.is_dense()) return;
    for (const models::Projection projection : projections_of(own_)) {
      (void)models::row_pattern(variant.pattern, models::shape_of(model_->weights.config, projection).inputs,
                                fmt::format("projection {}", models::name_of(projection)));
    }
  }

  // The text is read before anything is measured, so that nothing is measured in vain.
  void read_windows(const std::string& reader, int64_t length) {
    if (!text_) text_ = read_calibration_text(own_, *model_->tokenizer);
    const int64_t context = model_->weights.config.context_length;
    if (length > context) {
      refuse(fmt::format("{} reads {} tokens at a time", reader, length),
             fmt::format("the model's context is {} tokens", context),
             "Give a smaller --calibration.window or --learning.length.");
    }
    (void)text_->windows(1, length);
  }

  void check_learning(const Variant& variant) const {
    const bool is_f32 = model_->weights.precision == kernels::Precision::kF32;
    if (call_.device != kCpu || !is_f32) {
      refuse(fmt::format("{} is learned", variant.name()), "transforms are trained in f32 on the CPU",
             "Give --device=cpu --precision=f32.");
    }
    for (const models::Projection projection : projections_of(own_)) {
      const models::ProjectionShape shape = models::shape_of(model_->weights.config, projection);
      const int64_t most = std::min(shape.inputs, shape.outputs);
      if (variant.method.transform.rank <= most) continue;
      refuse(fmt::format("{} of rank {}", variant.name(), variant.method.transform.rank),
             fmt::format("projection {} has rank {} at most", models::name_of(projection), most),
             "Leave the projection out with --projections, or the transform.");
    }
  }

  [[nodiscard]] std::string key_of(const Variant& variant, const TaskData& task, TaskUnit unit) const {
    json::object parts{{"model", model_->identity},
                       {"precision", own_.precision()},
                       {"variant", variant.name()},
                       {"layers", layers_name(own_)},
                       {"projections", projections_name(own_)},
                       {"statistics", own_.statistics()},
                       {"batch", own_.batch()},
                       {"task", task.spec.name},
                       {"version", task.spec.version},
                       {"data", task.hash},
                       {"first", unit.first},
                       {"count", unit.count}};
    if (task.is_generation()) parts["responses"] = "to any end token, without special tokens";
    if (variant.calibrates() || variant.learns()) {
      parts["text"] = text_->hash();
      parts["calibration"] = own_.calibration().ShortDebugString();
      parts["learning"] = own_.learning().ShortDebugString();
      parts["seed"] = call_.common.seed();
    }
    return to_hex(hash128(json::serialize(parts)));
  }

  [[nodiscard]] std::vector<Work> work_of(const Variant& variant) const {
    std::vector<Work> work;
    for (const TaskData& task : tasks_) {
      for (const TaskUnit& unit : task.units(own_))
        work.push_back({&task, unit, key_of(variant, task, unit)});
    }
    return work;
  }

  // Collective. How much of the dense model's inputs survives, window by window; false: told to stop.
  bool measure_retained() {
    if (!retained_) return true;
    ControlGroup& control = *call_.world.control;
    std::vector<int64_t> left;
    for (int64_t window = 0; window < retained_->count(); ++window) {
      if (!records_->has(retained_->key(window))) left.push_back(window);
    }
    for (size_t first = 0; first < left.size(); first += static_cast<size_t>(control.size())) {
      const size_t mine = first + static_cast<size_t>(control.rank());
      json::array rows;
      agree(control, "measure what survives", [&] {
        if (mine < left.size()) rows = retained_->measured(left[mine], model_->weights, memory_, stream_);
      });
      records_->add(mine < left.size() ? retained_->key(left[mine]) : "", rows);
      if (stops()) return false;
    }
    return true;
  }

  // Collective. Whether the variant is measured; false: told to stop.
  bool measure(const Variant& variant, VariantModel& model) {
    ControlGroup& control = *call_.world.control;
    std::vector<Work> left;
    for (Work& work : work_of(variant)) {
      if (!records_->has(work.key)) left.push_back(std::move(work));
    }
    if (left.empty()) return true;
    if (!become(variant, model)) return false;
    const models::ModelPruning* const pruning = model.pruning();
    for (size_t first = 0; first < left.size(); first += static_cast<size_t>(control.size())) {
      fault_point("sparsity.round");
      const size_t mine = first + static_cast<size_t>(control.rank());
      json::array requests;
      agree(control, "measure a unit", [&] {
        if (mine < left.size()) requests = measured(variant, left[mine], pruning);
      });
      records_->add(mine < left.size() ? left[mine].key : "", requests);
      done_ += static_cast<int64_t>(std::min(left.size() - first, static_cast<size_t>(control.size())));
      show(variant);
      if (stops()) return false;
    }
    return true;
  }

  // Collective. Calibration and training of a variant take longer than a unit.
  bool become(const Variant& variant, VariantModel& model) {
    const DeadlineScope patient(*call_.world.control, std::chrono::hours(24 * 7));
    return model.become(variant);
  }

  // Collective.
  bool stops() {
    const bool is_due = stop_requested() || (call_.world.rank() == 0 && schedule_.stop_due());
    return call_.world.control->bit_or(is_due ? 1 : 0) != 0 && done_ < units_;
  }

  void show(const Variant& variant) {
    ++shown_;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    progress_.show({.done = done_,
                    .total = units_,
                    .text = variant.name(),
                    .seconds_left = seconds / static_cast<double>(shown_ * call_.world.control->size()) *
                                    static_cast<double>(units_ - done_)});
  }

  [[nodiscard]] json::array measured(const Variant& variant, const Work& work,
                                     const models::ModelPruning* pruning) {
    return work.task->is_generation() ? generated(variant, work, pruning) : scored(variant, work, pruning);
  }

  [[nodiscard]] static json::object request_of(const Variant& variant, const TaskData& task,
                                               int64_t document) {
    return {{"pattern", variant.pattern_name()},
            {"criterion", variant.criterion_name()},
            {"transform", variant.transform_name()},
            {"task", task.spec.name},
            {"doc", document}};
  }

  json::array scored(const Variant& variant, const Work& work, const models::ModelPruning* pruning) {
    const TaskData& task = *work.task;
    const std::vector<models::PairScore> scores = scores_of(task, work.unit, pruning);
    json::array requests;
    size_t next = 0;
    for (int64_t d = work.unit.first; d < work.unit.first + work.unit.count; ++d) {
      const size_t choices = task.windows.empty() ? task.pairs[static_cast<size_t>(d)].size() : 1;
      for (size_t choice = 0; choice < choices; ++choice, ++next) {
        const models::PairScore& score = scores[next];
        if (!std::isfinite(score.log_prob)) {
          throw Error(ExitCode::kNonFinite,
                      {.problem = fmt::format("log-probability {} under {}", score.log_prob, variant.name()),
                       .why = fmt::format("of choice {} of document {} of {}", choice, d, task.spec.name),
                       .suggestion = "look at the model's weights, or leave the variant out"});
        }
        json::object request = request_of(variant, task, d);
        request["choice"] = choice;
        request["log_prob"] = score.log_prob;
        request["greedy"] = score.greedy;
        request["tokens"] = score.tokens;
        if (uses_bf16()) {
          request["log_prob_bf16"] = score.log_prob_bf16;
          request["greedy_bf16"] = score.greedy_bf16;
        }
        if (task.windows.empty() && is_cut(task.pairs[static_cast<size_t>(d)][choice])) request["cut"] = true;
        requests.emplace_back(std::move(request));
      }
    }
    return requests;
  }

  [[nodiscard]] bool uses_bf16() const { return own_.numeric() == "bf16"; }

  [[nodiscard]] bool is_cut(const models::TokenPair& pair) const {
    return static_cast<int64_t>(pair.context.size() + pair.continuation.size()) - 1 >
           model_->weights.config.context_length;
  }

  // Of all requests of a unit, in order.
  [[nodiscard]] std::vector<models::PairScore> scores_of(const TaskData& task, TaskUnit unit,
                                                         const models::ModelPruning* pruning) {
    const auto rounding = uses_bf16() ? models::LogitRounding::kBf16Too : models::LogitRounding::kNone;
    const auto first = static_cast<size_t>(unit.first), end = static_cast<size_t>(unit.first + unit.count);
    if (!task.windows.empty()) {
      const std::vector<std::span<const int32_t>> windows(task.windows.begin() + unit.first,
                                                          task.windows.begin() + unit.first + unit.count);
      return models::window_scores(model_->weights, windows, own_.batch(), rounding, pruning, memory_,
                                   stream_);
    }
    std::vector<models::TokenPair> pairs;
    for (size_t d = first; d < end; ++d)
      pairs.insert(pairs.end(), task.pairs[d].begin(), task.pairs[d].end());
    const bool is_call = own_.statistics() == "call";
    models::PairOptions options;
    options.layout = {
        .shares_contexts = !is_call, .batch = own_.batch(), .pads = is_call && own_.batch() > 1};
    options.rounding = rounding;
    options.pruning = pruning;
    return models::score_pairs(model_->weights, pairs, options, memory_, stream_).pairs;
  }

  json::array generated(const Variant& variant, const Work& work, const models::ModelPruning* pruning) {
    const auto prompts =
        std::span(work.task->prompts)
            .subspan(static_cast<size_t>(work.unit.first), static_cast<size_t>(work.unit.count));
    models::GenerationOptions options{.max_new_tokens = work.task->spec.max_new_tokens,
                                      .stops = model_->tokenizer->ends()};
    options.pruning = pruning;
    const std::vector<std::string> stops = models::stop_texts(work.task->spec, *model_->tokenizer);
    options.is_complete = [&](std::span<const int32_t> said) {
      return models::has_stop(stops, *model_->tokenizer, said);
    };
    // A pruning that looks across rows sees a prompt by itself.
    options.together = pruning != nullptr && pruning->looks_across_rows() ? 1 : own_.batch();
    const auto ids = models::generate(model_->weights, prompts, options, memory_, stream_);
    json::array requests;
    for (size_t i = 0; i < ids.size(); ++i) {
      json::object request = request_of(variant, *work.task, work.unit.first + static_cast<int64_t>(i));
      request["text"] = models::response_text(stops, *model_->tokenizer, ids[i]);
      request["tokens"] = ids[i].size();
      if (work.task->cut_prompts[static_cast<size_t>(work.unit.first) + i]) request["cut"] = true;
      requests.emplace_back(std::move(request));
    }
    return requests;
  }

  [[nodiscard]] std::vector<const json::object*> requests_of(const Variant& variant,
                                                             const TaskData& task) const {
    std::vector<const json::object*> requests;
    for (const TaskUnit& unit : task.units(own_)) {
      for (const json::value& request : records_->of(key_of(variant, task, unit)))
        requests.push_back(&request.as_object());
    }
    return requests;
  }

  ExitCode finish() {
    const StudySettings settings{
        .layers = layers_name(own_),
        .projections = projections_name(own_),
        .window = own_.window(),
        .mode = uses_bf16() ? models::NumericMode::kBf16 : models::NumericMode::kF32};
    const json::array rows = measured_rows(
        variants_, tasks_,
        [&](const Variant& variant, const TaskData& task) { return requests_of(variant, task); }, settings);
    json::array left_out;
    for (const LeftOut& left : variants_.left_out)
      left_out.push_back({{"variant", left.variant.name()}, {"why", left.why}});
    if (call_.run != nullptr) {
      agree(*call_.world.control, "write the requests", [&] {
        if (call_.world.rank() == 0) write_requests();
      });
    }
    json::object result{{"rows", rows},
                        {"mean_drops", mean_drops(rows)},
                        {"left_out", left_out},
                        {"statistics", own_.statistics()},
                        {"numeric", own_.numeric()},
                        {"cut_contexts", cut_contexts()},
                        {"manifest", manifest()}};
    if (retained_) result["retained"] = retained_->rows(*records_);
    if (cut_contexts() > 0) {
      call_.log.warning("{} contexts are longer than the model's {} tokens and were cut on the left",
                        cut_contexts(), model_->weights.config.context_length);
    }
    return call_.finish(result);
  }

  // What the numbers depend on, beside the configuration.
  [[nodiscard]] json::object manifest() const {
    json::array tasks;
    for (const TaskData& task : tasks_) {
      tasks.push_back({{"task", task.spec.name},
                       {"version", task.spec.version},
                       {"documents", task.documents.size()},
                       {"tokens_hash", task.hash}});
    }
    json::object found{{"model", model_->identity},
                       {"precision", own_.precision()},
                       {"requests", "lm-evaluation-harness 0.4.9, no chat template"},
                       {"ties", "lowest index"},
                       {"tasks", tasks}};
    if (text_) found["calibration"] = {{"text", text_->path}, {"tokens_hash", text_->hash()}};
    return found;
  }

  void write_requests() const {
    std::string lines;
    for (const Variant& variant : variants_.measured) {
      for (const TaskData& task : tasks_) {
        for (const json::object* request : requests_of(variant, task))
          lines += json::serialize(*request) + '\n';
      }
    }
    replace_file(call_.run->file("requests.jsonl"), lines);
  }

  // Requests of the dense model whose context lost tokens on the left.
  [[nodiscard]] int64_t cut_contexts() const {
    int64_t cut = 0;
    for (const TaskData& task : tasks_) {
      for (const json::object* request : requests_of(variants_.measured[0], task))
        cut += request->contains("cut") ? 1 : 0;
    }
    return cut;
  }

  Invocation& call_;
  const Sparsity& own_;
  Memory memory_;
  Stream stream_;
  CheckpointSchedule schedule_;
  Progress progress_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::unique_ptr<models::ModelFile> file_;
  std::optional<models::LanguageModel> model_;
  std::vector<TaskData> tasks_;
  Variants variants_;
  std::optional<CalibrationText> text_;
  std::optional<RetainedWindows> retained_;
  std::optional<RequestRecords> records_;
  int64_t units_ = 0;
  int64_t done_ = 0;
  int64_t shown_ = 0;
};

ExitCode run(Invocation& call) {
  return SparsityStudy(call).run();
}

std::string number_or_dash(const json::value& value, const char* form) {
  return value.is_number() ? fmt::format(fmt::runtime(form), value.to_number<double>()) : "-";
}

// Of every pattern and input the mean over blocks of the shares that survive.
std::string retained_lines(const json::array& retained) {
  struct Sums {
    double squares = 0.0, magnitudes = 0.0;
    int64_t blocks = 0;
  };
  std::map<std::pair<std::string, std::string>, Sums> inputs;
  for (const json::value& row : retained) {
    Sums& sums =
        inputs[{std::string(row.at("pattern").as_string()), std::string(row.at("projection").as_string())}];
    sums.squares += row.at("squares").to_number<double>();
    sums.magnitudes += row.at("magnitudes").to_number<double>();
    ++sums.blocks;
  }
  std::string text;
  for (const auto& [name, sums] : inputs) {
    const auto blocks = static_cast<double>(sums.blocks);
    text +=
        fmt::format("{:<8} input of {:<5} {:6.2f} % of the squares and {:6.2f} % of the magnitudes survive\n",
                    name.first, name.second, 100.0 * sums.squares / blocks, 100.0 * sums.magnitudes / blocks);
  }
  return text;
}

// Whether it is one of the task's own, not of a part of it as a subject of mmlu is.
bool is_of_whole_task(const std::string& task, const std::string& metric) {
  const auto& metrics = models::find_task(task).metrics;
  return std::find(metrics.begin(), metrics.end(), metric) != metrics.end();
}

// One line a row of the whole of a task, then the mean drops.
std::string table(const json::value& result) {
  std::string text = fmt::format("{:<8} {:<17} {:<14} {:<18} {:<26} {:>10} {:>9} {:>8}\n", "pattern",
                                 "criterion", "transform", "task", "metric", "value", "stderr", "drop %");
  const auto word = [](const json::value& value) { return std::string(value.as_string()); };
  for (const json::value& row : result.at("rows").as_array()) {
    if (!is_of_whole_task(word(row.at("task")), word(row.at("metric")))) continue;
    text += fmt::format("{:<8} {:<17} {:<14} {:<18} {:<26} {:>10} {:>9} {:>8}\n", word(row.at("pattern")),
                        word(row.at("criterion")), word(row.at("transform")), word(row.at("task")),
                        word(row.at("metric")), number_or_dash(row.at("value"), "{:.4f}"),
                        number_or_dash(row.at("stderr"), "{:.4f}"),
                        number_or_dash(row.at("drop_percent"), "{:.2f}"));
  }
  for (const json::value& row : result.at("mean_drops").as_array()) {
    text +=
        fmt::format("{:<8} {:<17} {:<14} mean drop over {} tasks {:.2f} %\n", word(row.at("pattern")),
                    word(row.at("criterion")), word(row.at("transform")),
                    row.at("tasks").to_number<int64_t>(), row.at("mean_drop_percent").to_number<double>());
  }
  if (const json::value* retained = result.as_object().if_contains("retained"))
    text += retained_lines(retained->as_array());
  return text;
}

}  // namespace

Verb sparsity_verb() {
  return {.name = "sparsity",
          .summary = "what pruned activations or weights cost a language model",
          .schema = Sparsity::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run,
          .table = table,
          .runs_on_cuda = true};
}

}  // namespace orthant::launch
