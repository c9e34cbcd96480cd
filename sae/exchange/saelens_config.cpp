#include "sae/exchange/saelens_config.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <initializer_list>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

namespace json = boost::json;

constexpr std::string_view kVersion = "6.18.0";
constexpr std::string_view kCopyAgain = "Copy or export the dictionary again.";
constexpr std::string_view kLoadable = "Architectures that load: standard, topk, jumprelu, batchtopk.";

[[noreturn]] void refuse(const std::string& path, const std::string& why,
                         std::string_view suggestion = kCopyAgain) {
  throw Error(ExitCode::kData, {.problem = fmt::format("'{}' cannot be loaded", path),
                                .why = why,
                                .suggestion = std::string(suggestion)});
}

// Fields of one JSON object, with complaints that name file and field.
class Fields {
 public:
  Fields(const json::object& object, const std::string& path) : object_(object), path_(path) {}

  [[nodiscard]] const json::value* find(std::string_view name) const {
    const json::value* value = object_.if_contains(name);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  [[nodiscard]] std::string text(std::string_view name, std::string_view absent) const {
    const json::value* value = find(name);
    if (value == nullptr) return std::string(absent);
    if (!value->is_string()) refuse(path_, fmt::format("{} is not a text", name));
    return std::string(value->as_string());
  }
  [[nodiscard]] bool flag(std::string_view name, bool absent) const {
    const json::value* value = find(name);
    if (value == nullptr) return absent;
    if (!value->is_bool()) refuse(path_, fmt::format("{} is not true or false", name));
    return value->as_bool();
  }
  // A positive whole number, also where it is written as 64.0; 0 when absent.
  [[nodiscard]] int64_t count(std::string_view name) const {
    const json::value* value = find(name);
    if (value == nullptr) return 0;
    boost::system::error_code inexact;
    const int64_t number = value->is_number() ? value->to_number<int64_t>(inexact) : 0;
    if (inexact || number < 1) refuse(path_, fmt::format("{} is not a positive whole number", name));
    return number;
  }
  [[nodiscard]] int64_t required_count(std::string_view name,
                                       std::string_view suggestion = kCopyAgain) const {
    if (find(name) == nullptr) refuse(path_, fmt::format("{} is missing", name), suggestion);
    return count(name);
  }

 private:
  const json::object& object_;
  const std::string& path_;
};

json::object parse_object(std::string_view text, const std::string& path) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error) refuse(path, "it is not JSON: " + error.message());
  if (!value.is_object()) refuse(path, "it is not a JSON object");
  return std::move(value.as_object());
}

bool written_by_version_6(const json::object& config, const std::string& path) {
  const Fields top(config, path);
  std::string version = top.text("sae_lens_version", "");
  const json::value* metadata = top.find("metadata");
  if (version.empty() && metadata != nullptr && metadata->is_object()) {
    version = Fields(metadata->as_object(), path).text("sae_lens_version", "");
  }
  int major = 0;
  std::from_chars(version.data(), version.data() + version.size(), major);
  return major >= 6;
}

InputScaling scaling_named(const std::string& name, const std::string& path) {
  // Files for inference have the scalar of expected_average_only_in folded into their weights.
  if (name == "none" || name == "expected_average_only_in") return InputScaling::kNone;
  if (name == "constant_norm_rescale") return InputScaling::kConstantNormRescale;
  if (name == "layer_norm") return InputScaling::kLayerNorm;
  refuse(path, fmt::format("normalize_activations '{}' is not supported", name),
         "Supported: none, expected_average_only_in, constant_norm_rescale, layer_norm.");
}

void set_architecture(const std::string& name, SaelensConfig& config, const std::string& path) {
  config.training_checkpoint = name == "batchtopk" || name == "matryoshka_batchtopk";
  if (config.training_checkpoint) {
    config.architecture = Architecture::kBatchTopK;
  } else if (name == "standard" || name == "topk" || name == "jumprelu") {
    config.architecture = architecture_from_name(name);
  } else {
    refuse(path, fmt::format("architecture '{}' is not supported", name), kLoadable);
  }
}

SaelensConfig parse_version_6(const json::object& object, const std::string& path) {
  const Fields fields(object, path);
  SaelensConfig config;
  set_architecture(fields.text("architecture", "standard"), config, path);
  const bool has_k = config.architecture == Architecture::kTopK || config.training_checkpoint;
  if (has_k) config.k = fields.required_count("k", "Without it the number of latents that fire is unknown.");
  config.rescale_acts_by_decoder_norm =
      has_k && fields.flag("rescale_acts_by_decoder_norm", config.training_checkpoint);
  config.normalize_activations = scaling_named(fields.text("normalize_activations", "none"), path);
  const json::value* metadata = fields.find("metadata");
  if (metadata != nullptr && metadata->is_object()) config.metadata = metadata->as_object();
  return config;
}

// A bool in the oldest files.
std::string flat_scaling(const Fields& fields) {
  const json::value* value = fields.find("normalize_activations");
  if (value != nullptr && value->is_bool()) return value->as_bool() ? "expected_average_only_in" : "none";
  return fields.text("normalize_activations", "none");
}

json::object flat_metadata(const json::object& object) {
  json::object metadata;
  for (const std::string_view name :
       {"model_name", "hook_name", "hook_layer", "hook_head_index", "context_size", "prepend_bos",
        "dataset_path", "model_from_pretrained_kwargs"}) {
    if (const json::value* value = object.if_contains(name)) metadata[name] = *value;
  }
  if (const json::value* hook = object.if_contains("hook_point")) metadata["hook_name"] = *hook;
  return metadata;
}

SaelensConfig parse_flat(const json::object& object, const std::string& path) {
  const Fields fields(object, path);
  SaelensConfig config;
  set_architecture(fields.text("architecture", "standard"), config, path);
  const std::string activation = fields.text("activation_fn_str", fields.text("activation_fn", "relu"));
  if (activation == "topk") {
    const json::value* arguments = fields.find("activation_fn_kwargs");
    const json::object none;
    const Fields keywords(arguments != nullptr && arguments->is_object() ? arguments->as_object() : none,
                          path);
    config.architecture = Architecture::kTopK;
    config.k = keywords.required_count("k", "It is expected in activation_fn_kwargs.");
  } else if (activation != "relu") {
    refuse(path, fmt::format("activation '{}' is not supported", activation), "Supported: relu, topk.");
  } else if (config.architecture == Architecture::kTopK || config.training_checkpoint) {
    config.k = fields.required_count("k");
  }
  if (fields.flag("finetuning_scaling_factor", false)) {
    refuse(path, "finetuning_scaling_factor is set",
           "Fold the factor into the weights with the program that wrote it.");
  }
  config.normalize_activations = scaling_named(flat_scaling(fields), path);
  config.metadata = flat_metadata(object);
  return config;
}

}  // namespace

SaelensConfig parse_saelens_config(std::string_view text, const std::string& path) {
  const json::object object = parse_object(text, path);
  SaelensConfig config =
      written_by_version_6(object, path) ? parse_version_6(object, path) : parse_flat(object, path);
  const Fields fields(object, path);
  config.d_in = fields.required_count("d_in");
  config.d_sae = fields.required_count("d_sae");
  config.apply_b_dec_to_input = fields.flag("apply_b_dec_to_input", true);
  if (config.k > config.d_sae)
    refuse(path, fmt::format("k = {} is larger than d_sae = {}", config.k, config.d_sae));
  return config;
}

std::string saelens_config_text(const Dictionary& folded, json::object metadata) {
  const bool as_jumprelu = folded.architecture == Architecture::kBatchTopK;
  json::object config;
  config["architecture"] = name_of(as_jumprelu ? Architecture::kJumpRelu : folded.architecture);
  config["d_in"] = folded.d_model;
  config["d_sae"] = folded.latents;
  if (folded.architecture == Architecture::kTopK) {
    config["k"] = folded.k;
    config["rescale_acts_by_decoder_norm"] = false;
  }
  config["dtype"] = "float32";
  config["device"] = "cpu";
  config["apply_b_dec_to_input"] = folded.subtract_decoder_bias;
  config["normalize_activations"] = name_of(folded.input_scaling);
  config["reshape_activations"] = "none";
  metadata["sae_lens_version"] = kVersion;
  metadata["sae_lens_training_version"] = kVersion;
  config["metadata"] = std::move(metadata);
  return json::serialize(config) + "\n";
}

}  // namespace orthant::sae
