#include "models/adapt/learned_transforms.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/core/hash.h"
#include "runtime/core/parse_number.h"
#include "runtime/device/pinned_buffer.h"
#include "runtime/storage/safetensors.h"

namespace orthant::models {
namespace {

constexpr const char* kFormat = "orthant learned transforms 1";

std::string projection_name(int64_t layer, size_t projection) {
  const std::string weight = weight_name(layer, static_cast<Projection>(projection));
  return weight.substr(0, weight.rfind('.'));
}

// visit(parameter, shape, values, is learned) of all that a projection may have.
template <typename Own, typename Visit>
void visit_parameters(Own& own, ProjectionShape shape, const LearnedKind& kind, const Visit& visit) {
  visit("input_shift", std::vector<int64_t>{shape.inputs}, own.input_shift, kind.input_shift);
  visit("output_shift", std::vector<int64_t>{shape.outputs}, own.output_shift, kind.output_shift);
  visit("output_scale", std::vector<int64_t>{shape.outputs}, own.output_scale, kind.output_scale);
  visit("low_rank_out", std::vector<int64_t>{shape.outputs, kind.rank}, own.low_rank_out, kind.rank > 0);
  visit("low_rank_in", std::vector<int64_t>{kind.rank, shape.inputs}, own.low_rank_in, kind.rank > 0);
}

// visit(name in the file, shape, values, is learned) of all projections of a model.
template <typename Learned, typename Visit>
void visit_model(Learned& learned, const ModelConfig& config, const Visit& visit) {
  for (size_t layer = 0; layer < learned.blocks.size(); ++layer) {
    for (size_t p = 0; p < kProjections; ++p) {
      const std::string name = projection_name(static_cast<int64_t>(layer), p);
      visit_parameters(learned.blocks[layer][p], shape_of(config, static_cast<Projection>(p)), learned.kind,
                       [&](const char* parameter, const std::vector<int64_t>& shape, auto& values,
                           bool is_learned) { visit(name + "." + parameter, shape, values, is_learned); });
    }
  }
}

std::string moment_name(const char* which, size_t tensor) {
  return fmt::format("optimiser.{}.{}", which, tensor);
}

TensorMetadata metadata_of(const LearnedTransforms& learned) {
  TensorMetadata metadata = learned.origin;
  metadata["format"] = kFormat;
  metadata["key"] = key_of(learned.origin);
  metadata["finished"] = std::to_string(learned.finished);
  metadata["total"] = std::to_string(learned.total);
  metadata["optimiser_steps"] = std::to_string(learned.optimiser.steps_taken);
  return metadata;
}

[[noreturn]] void throw_damaged(const std::string& path, std::string why) {
  throw Error(ExitCode::kData, {.problem = fmt::format("{} holds no learned transforms", path),
                                .why = std::move(why),
                                .suggestion = "remove it, and they are learned again"});
}

std::string metadata_at(const SafetensorsReader& file, const std::string& name) {
  const auto found = file.metadata().find(name);
  return found == file.metadata().end() ? std::string() : found->second;
}

int64_t number_at(const SafetensorsReader& file, const std::string& name) {
  const auto number = parse_number<int64_t>(metadata_at(file, name));
  if (!number || *number < 0) throw_damaged(file.path(), fmt::format("its \"{}\" is no number", name));
  return *number;
}

void check_origin(const SafetensorsReader& file, const LearnedOrigin& origin) {
  if (metadata_at(file, "format") != kFormat)
    throw_damaged(file.path(), "its metadata are of something else");
  std::vector<std::string> differing;
  for (const auto& [name, value] : origin) {
    if (metadata_at(file, name) != value) differing.push_back(name);
  }
  if (differing.empty() && metadata_at(file, "key") == key_of(origin)) return;
  throw Error(ExitCode::kConfig, {.problem = fmt::format("{} was learned for something else", file.path()),
                                  .why = fmt::format("it differs in {}", fmt::join(differing, ", ")),
                                  .suggestion = "give another file, or remove it to learn again"});
}

// The parameters that the file has: those of finished blocks, or of all.
void read_parameters(const SafetensorsReader& file, const ModelConfig& config, LearnedTransforms& learned) {
  learned.blocks.resize(static_cast<size_t>(config.layers));
  visit_model(learned, config,
              [&](const std::string& name, const std::vector<int64_t>& shape, auto& values, bool is_learned) {
                if (!is_learned || !file.has(name)) return;
                const SafetensorsEntry& entry = file.entry(name, shape);
                values.resize(static_cast<size_t>(entry.elements()));
                file.read(entry, values);
              });
}

void read_moments(const SafetensorsReader& file, LearnedTransforms& learned) {
  learned.optimiser.steps_taken = number_at(file, "optimiser_steps");
  for (size_t tensor = 0; file.has(moment_name("first", tensor)); ++tensor) {
    for (const auto& [which, moments] :
         {std::pair("first", &learned.optimiser.first), std::pair("second", &learned.optimiser.second)}) {
      const SafetensorsEntry& entry = file.entry(moment_name(which, tensor));
      moments->emplace_back(static_cast<size_t>(entry.elements()));
      file.read(entry, moments->back());
    }
  }
}

template <typename T>
void hash_value(HashStream& hash, const T& value) {
  hash.update(&value, sizeof value);
}

void hash_tensor(HashStream& hash, const Tensor<float, 1>& tensor) {
  hash_value(hash, tensor.shape()[0]);
  std::vector<float> values(static_cast<size_t>(tensor.shape()[0]));
  if (values.empty()) return;
  copy_bytes(values.data(), kCpu, tensor.data(), tensor.view().device, tensor.view().bytes());
  hash.update(values.data(), tensor.view().bytes());
}

kernels::PackedWeights packed(const std::vector<float>& values, int64_t columns, Memory& memory,
                              Stream& stream) {
  if (values.empty()) return {};
  const auto depth = static_cast<int64_t>(values.size()) / columns;
  const Tensor<float, 1> rows = uploaded(values, memory, stream);
  kernels::PackedWeights weights(memory, "pruning", columns, depth);
  weights.pack({rows.data(), {columns, depth}, memory.device()}, stream);
  stream.synchronize();
  return weights;
}

Tensor<float, 1> copy_of(const Tensor<float, 1>& from, Memory& memory) {
  if (from.shape()[0] == 0) return {};
  Tensor<float, 1> copy(memory, "pruning", from.shape());
  copy_bytes(copy.data(), memory.device(), from.data(), from.view().device, from.view().bytes());
  return copy;
}

// W x on the host, of weights on the device of `memory`.
std::vector<float> product_of(const kernels::PackedWeights& weights, const std::vector<float>& x,
                              Memory& memory, Stream& stream) {
  if (x.empty()) return {};
  const Tensor<float, 1> row = uploaded(x, memory, stream);
  Tensor<float, 2> product(memory, "pruning", {1, weights.columns()});
  kernels::matmul_nt({row.data(), {1, weights.depth()}, memory.device()}, weights, product.view(), stream);
  stream.synchronize();
  std::vector<float> values(static_cast<size_t>(weights.columns()));
  copy_bytes(values.data(), kCpu, product.data(), memory.device(), product.view().bytes());
  return values;
}

// The same selection with a centre: projections that shared one have their own now.
std::shared_ptr<const InputSelection> with_center(const InputSelection& selection,
                                                  const std::vector<float>& center, Memory& memory,
                                                  Stream& stream) {
  auto own = std::make_shared<InputSelection>();
  own->pattern = selection.pattern;
  own->sequence_share = selection.sequence_share;
  own->by_row_norm = selection.by_row_norm;
  own->gain = selection.gain;
  own->gains = copy_of(selection.gains, memory);
  own->restores_variance = selection.restores_variance;
  own->center = kernels::RowCenter::kGiven;
  own->given_center = uploaded(center, memory, stream);
  return own;
}

}  // namespace

std::string key_of(const LearnedOrigin& origin) {
  std::string text;
  for (const auto& [name, value] : origin) text += fmt::format("{}={}\n", name, value);
  return to_hex(hash128(text));
}

std::string identity_of(const ModelPruning& pruning) {
  HashStream hash;
  hash_value(hash, static_cast<int64_t>(pruning.scope));
  for (const auto& block : pruning.blocks) {
    for (const PrunedProjection& projection : block) {
      hash_value(hash, static_cast<int64_t>(projection.selection != nullptr));
      if (projection.selection == nullptr) continue;
      const InputSelection& selection = *projection.selection;
      for (const int64_t value :
           {selection.pattern.keep, selection.pattern.group, int64_t{selection.by_row_norm},
            static_cast<int64_t>(selection.gain), static_cast<int64_t>(selection.center),
            int64_t{selection.restores_variance}}) {
        hash_value(hash, value);
      }
      hash_value(hash, selection.sequence_share);
      hash_tensor(hash, selection.gains);
      hash_tensor(hash, selection.given_center);
    }
  }
  return to_hex(hash.digest());
}

void save_learned(const LearnedTransforms& learned, const ModelConfig& config, const std::string& path) {
  std::vector<SafetensorsTensor> tensors;
  visit_model(learned, config,
              [&](const std::string& name, const std::vector<int64_t>& shape, const auto& values, bool) {
                if (!values.empty()) tensors.push_back({name, Dtype::kF32, shape, values.data()});
              });
  for (size_t i = 0; i < learned.optimiser.first.size(); ++i) {
    const auto& first = learned.optimiser.first[i];
    const auto& second = learned.optimiser.second[i];
    const std::vector<int64_t> shape = {static_cast<int64_t>(first.size())};
    tensors.push_back({moment_name("first", i), Dtype::kF32, shape, first.data()});
    tensors.push_back({moment_name("second", i), Dtype::kF32, shape, second.data()});
  }
  if (!learned.block_errors.empty()) {
    tensors.push_back({"block_errors",
                       Dtype::kF32,
                       {static_cast<int64_t>(learned.block_errors.size()), 2},
                       learned.block_errors.data()});
  }
  write_safetensors(path, tensors, metadata_of(learned));
}

LearnedTransforms load_learned(const std::string& path, const ModelConfig& config, const LearnedKind& kind,
                               const LearnedOrigin& origin) {
  const SafetensorsReader file(path);
  check_origin(file, origin);
  LearnedTransforms learned;
  learned.kind = kind;
  learned.origin = origin;
  learned.finished = number_at(file, "finished");
  learned.total = number_at(file, "total");
  read_parameters(file, config, learned);
  read_moments(file, learned);
  if (!file.has("block_errors")) return learned;
  std::vector<float> errors(static_cast<size_t>(2 * config.layers));
  file.read(file.entry("block_errors", std::array<int64_t, 2>{config.layers, 2}), errors);
  for (size_t i = 0; i < errors.size(); i += 2) learned.block_errors.push_back({errors[i], errors[i + 1]});
  return learned;
}

void apply(const LearnedTransforms& learned, const Weights& weights, ModelPruning& pruning, Memory& memory,
           Stream& stream) {
  require(learned.blocks.size() == pruning.blocks.size() && weights.blocks.size() >= learned.blocks.size(),
          "transforms are applied to the model that they were learned for");
  if (!learned.is_finished()) {
    throw Error(ExitCode::kConfig,
                {.problem = "the learned transforms are not finished",
                 .why = fmt::format("{} of {} were trained", learned.finished, learned.total),
                 .suggestion = "run their training again, it continues"});
  }
  for (size_t layer = 0; layer < learned.blocks.size(); ++layer) {
    for (size_t p = 0; p < kProjections; ++p) {
      PrunedProjection& pruned = pruning.blocks[layer][p];
      if (pruned.selection == nullptr) continue;
      const LearnedProjection& own = learned.blocks[layer][p];
      const kernels::PackedWeights& matrix = weights_of(weights.blocks[layer], static_cast<Projection>(p));
      const LearnedMending mending = mending_of(own, product_of(matrix, own.input_shift, memory, stream));
      pruned.mending.column_factors = uploaded(mending.factors, memory, stream);
      pruned.mending.column_offsets = uploaded(mending.offsets, memory, stream);
      pruned.mending.low_rank_in = packed(own.low_rank_in, learned.kind.rank, memory, stream);
      pruned.mending.low_rank_out = packed(own.low_rank_out, matrix.columns(), memory, stream);
      if (!own.input_shift.empty())
        pruned.selection = with_center(*pruned.selection, own.input_shift, memory, stream);
    }
  }
}

}  // namespace orthant::models
