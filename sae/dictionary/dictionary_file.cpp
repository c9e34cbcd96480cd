#include "sae/dictionary/dictionary_file.h"

#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/storage/safetensors.h"
#include "sae/dictionary/reconstruction.h"

namespace orthant::sae {
namespace {

constexpr const char* kFormat = "orthant dictionary 1";

std::map<std::string, std::string> conventions_of(const Dictionary& d) {
  return {{"format", kFormat},
          {"architecture", std::string(name_of(d.architecture))},
          {"input_scaling", std::string(name_of(d.input_scaling))},
          {"subtract_decoder_bias", d.subtract_decoder_bias ? "true" : "false"},
          {"rescale_acts_by_decoder_norm", d.rescale_acts_by_decoder_norm ? "true" : "false"},
          {"has_encoder_bias", d.has_encoder_bias ? "true" : "false"},
          {"k", std::to_string(d.k)},
          // Hexadecimal: the same bits come back.
          {"threshold", fmt::format("{:a}", d.threshold)},
          {"input_scale", fmt::format("{:a}", d.input_scale)}};
}

class Fields {
 public:
  Fields(const TensorMetadata& values, std::string path) : values_(&values), path_(std::move(path)) {}
  [[nodiscard]] const std::string& text(const std::string& key) const {
    const auto found = values_->find(key);
    if (found != values_->end()) return found->second;
    throw Error(ExitCode::kData, {.problem = fmt::format("'{}' has no field '{}' in its header", path_, key),
                                  .why = "it is no dictionary of a training run",
                                  .suggestion = "Use `orthant import` for files of other programs."});
  }
  [[nodiscard]] bool flag(const std::string& key) const { return text(key) == "true"; }
  [[nodiscard]] double real(const std::string& key) const { return std::strtod(text(key).c_str(), nullptr); }
  [[nodiscard]] int64_t integer(const std::string& key) const {
    return std::strtoll(text(key).c_str(), nullptr, 10);
  }

 private:
  const TensorMetadata* values_;
  std::string path_;
};

// Sends each shard's rows to rank 0 in turn, which writes them. `visiting` holds the largest slice.
template <typename T, int Rank>
void write_shards(SafetensorsWriter* writer, const char* name, const Tensor<T, Rank>& own,
                  Communicator& shards, std::vector<float>& visiting, Stream& stream) {
  int64_t elements = own.view().elements();
  for (int s = 0; s < shards.size(); ++s) {
    int64_t count = elements;
    shards.broadcast(&count, 1, Dtype::kI64, s, stream);
    visiting.resize(static_cast<size_t>(count));
    if (s == shards.rank()) std::copy_n(own.data(), count, visiting.data());
    if (shards.size() > 1) shards.broadcast(visiting.data(), count, Dtype::kF32, s, stream);
    if (writer != nullptr) writer->write(name, visiting.data(), count * static_cast<int64_t>(sizeof(float)));
  }
}

}  // namespace

void write_dictionary_file(const Dictionary& d, const std::map<std::string, std::string>& metadata,
                           const std::string& path, Communicator& shards, bool writes, Stream& stream) {
  std::map<std::string, std::string> header = metadata;
  header.merge(conventions_of(d));
  std::unique_ptr<SafetensorsWriter> writer;
  if (writes && shards.rank() == 0) {
    std::vector<SafetensorsTensor> tensors = {{.name = "encoder", .shape = {d.latents, d.d_model}},
                                              {.name = "encoder_bias", .shape = {d.latents}},
                                              {.name = "decoder", .shape = {d.latents, d.d_model}},
                                              {.name = "decoder_bias", .shape = {d.d_model}}};
    if (d.architecture == Architecture::kJumpRelu)
      tensors.push_back({.name = "thresholds", .shape = {d.latents}});
    writer = std::make_unique<SafetensorsWriter>(path, tensors, header);
  }
  std::vector<float> visiting;
  write_shards(writer.get(), "encoder", d.encoder, shards, visiting, stream);
  write_shards(writer.get(), "encoder_bias", d.encoder_bias, shards, visiting, stream);
  write_shards(writer.get(), "decoder", d.decoder, shards, visiting, stream);
  if (d.architecture == Architecture::kJumpRelu) {
    write_shards(writer.get(), "thresholds", d.thresholds, shards, visiting, stream);
  }
  if (writer == nullptr) return;
  writer->write("decoder_bias", d.decoder_bias.data(), d.decoder_bias.view().bytes());
  writer->finish();
}

bool is_dictionary_file(const std::string& path) {
  try {
    const SafetensorsReader reader(path);
    const auto format = reader.metadata().find("format");
    return format != reader.metadata().end() && format->second == kFormat;
  } catch (const Error&) {
    return false;
  }
}

DictionaryFile read_dictionary_file(const std::string& path, Memory& memory, int shards, int shard,
                                    int virtual_shards) {
  const SafetensorsReader reader(path);
  const Fields fields(reader.metadata(), path);
  if (fields.text("format") != kFormat) {
    throw Error(ExitCode::kData,
                {.problem = fmt::format("'{}' is of format '{}'", path, fields.text("format")),
                 .why = fmt::format("'{}' is expected", kFormat)});
  }
  const SafetensorsEntry& encoder = reader.entry("encoder", std::vector<int64_t>{-1, -1});
  Conventions c;
  c.architecture = architecture_from_name(fields.text("architecture"));
  c.input_scaling = input_scaling_from_name(fields.text("input_scaling"));
  c.subtract_decoder_bias = fields.flag("subtract_decoder_bias");
  c.rescale_acts_by_decoder_norm = fields.flag("rescale_acts_by_decoder_norm");
  c.encoder_bias = fields.flag("has_encoder_bias");
  c.latents = encoder.shape[0];
  c.k = fields.integer("k");
  const int64_t d_model = encoder.shape[1];
  const Share slice = latent_slice(c.latents, shards, shard, virtual_shards);
  DictionaryFile file{allocate_dictionary(c, d_model, slice, memory), reader.metadata()};
  Dictionary& d = file.dictionary;
  d.threshold = fields.real("threshold");
  d.input_scale = fields.real("input_scale");
  const auto read_rows = [&](const char* name, std::vector<int64_t> shape, std::span<float> into) {
    reader.read_rows(reader.entry(name, shape), slice.first, slice.count, into);
  };
  read_rows("encoder", {c.latents, d_model}, d.encoder.view().span());
  read_rows("encoder_bias", {c.latents}, d.encoder_bias.view().span());
  read_rows("decoder", {c.latents, d_model}, d.decoder.view().span());
  if (c.architecture == Architecture::kJumpRelu)
    read_rows("thresholds", {c.latents}, d.thresholds.view().span());
  reader.read(reader.entry("decoder_bias", std::vector<int64_t>{d_model}), d.decoder_bias.view().span());
  return file;
}

}  // namespace orthant::sae
