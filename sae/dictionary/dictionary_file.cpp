#include "sae/dictionary/dictionary_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <memory>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/storage/safetensors.h"
#include "sae/dictionary/reconstruction.h"

namespace orthant::sae {
namespace {

constexpr const char* kFormat = "orthant dictionary 1";

std::map<std::string, std::string> conventions_of(const Dictionary& d) {
  std::map<std::string, std::string> fields = {
      {"format", kFormat},
      {"architecture", std::string(name_of(d.architecture))},
      {"input_scaling", std::string(name_of(d.input_scaling))},
      {"subtract_decoder_bias", d.subtract_decoder_bias ? "true" : "false"},
      {"rescale_acts_by_decoder_norm", d.rescale_acts_by_decoder_norm ? "true" : "false"},
      {"has_encoder_bias", d.has_encoder_bias ? "true" : "false"},
      {"k", std::to_string(d.k)},
      // Hexadecimal: the same bits come back.
      {"threshold", fmt::format("{:a}", d.threshold)},
      {"input_scale", fmt::format("{:a}", d.input_scale)}};
  if (d.sources == 1) return fields;
  fields["sources"] = std::to_string(d.sources);
  for (size_t s = 0; s < d.source_scales.size(); ++s) {
    fields[fmt::format("input_scale_{}", s)] = fmt::format("{:a}", d.source_scales[s]);
  }
  return fields;
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
  [[nodiscard]] bool has(const std::string& key) const { return values_->contains(key); }
  [[nodiscard]] bool flag(const std::string& key) const {
    if (text(key) != "true" && text(key) != "false") refuse(key, "true or false");
    return text(key) == "true";
  }
  [[nodiscard]] double real(const std::string& key) const {
    const char* begin = text(key).c_str();
    char* end = nullptr;
    const double value = std::strtod(begin, &end);
    if (end == begin || *end != '\0') refuse(key, "a number");
    return value;
  }
  [[nodiscard]] int64_t integer(const std::string& key, int64_t least) const {
    const std::string& value = text(key);
    int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || number < least) {
      refuse(key, fmt::format("a whole number of at least {}", least));
    }
    return number;
  }
  [[nodiscard]] int64_t divisor(const std::string& key, int64_t of) const {
    const int64_t number = integer(key, 1);
    if (of % number != 0) refuse(key, fmt::format("a divisor of {}", of));
    return number;
  }
  // A name that `parse` knows, or throws at.
  template <typename Parse>
  [[nodiscard]] auto name(const std::string& key, Parse parse) const {
    try {
      return parse(text(key));
    } catch (const Error&) {
      refuse(key, "a name that this version knows");
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const {
    throw Error(ExitCode::kData,
                {.problem = fmt::format("'{}' has '{}' = '{}' in its header", path_, key, text(key)),
                 .why = "it is to be " + expected,
                 .suggestion = "The file is damaged or of a newer version; `orthant verify` "
                               "checks the run it comes from."});
  }

  const TensorMetadata* values_;
  std::string path_;
};

// Rank 0's file. The first failure is kept, so that the rank goes on in the exchanges of the others.
class SharedFile {
 public:
  template <typename Write>
  void attempt(Write write) {
    if (failure_) return;
    try {
      write();
    } catch (const Error&) {
      failure_ = std::current_exception();
    }
  }
  // Collective. Throws on every rank when rank 0 failed.
  void agree(const std::string& path, Communicator& shards, Stream& stream) const {
    int64_t failed = failure_ ? 1 : 0;
    shards.broadcast(&failed, 1, Dtype::kI64, 0, stream);
    if (failure_) std::rethrow_exception(failure_);
    if (failed == 0) return;
    throw Error(ExitCode::kIo, {.problem = fmt::format("rank 0 could not write '{}'", path),
                                .why = "see its own message",
                                .suggestion = "Free space or choose another --out."});
  }

 private:
  std::exception_ptr failure_;
};

std::vector<SafetensorsTensor> tensors_of(const Dictionary& d) {
  std::vector<SafetensorsTensor> tensors = {{.name = "encoder", .shape = {d.latents, d.d_model}},
                                            {.name = "encoder_bias", .shape = {d.latents}},
                                            {.name = "decoder", .shape = {d.latents, d.d_model}},
                                            {.name = "decoder_bias", .shape = {d.d_model}}};
  if (d.architecture == Architecture::kJumpRelu) {
    tensors.push_back({.name = "thresholds", .shape = {d.latents}});
  }
  if (d.whitening.d_model() > 0) {
    tensors.push_back({.name = "whitening_mean", .shape = {d.d_model}});
    tensors.push_back({.name = "whitening_axes", .shape = {d.d_model, d.d_model}});
    tensors.push_back({.name = "whitening_spread", .shape = {d.d_model}});
  }
  return tensors;
}

}  // namespace

void write_dictionary_file(const Dictionary& d, const std::map<std::string, std::string>& metadata,
                           const std::string& path, Communicator& shards, bool writes, Stream& stream) {
  std::map<std::string, std::string> header = metadata;
  header.merge(conventions_of(d));
  SharedFile file;
  std::unique_ptr<SafetensorsWriter> writer;
  if (writes && shards.rank() == 0) {
    file.attempt([&] { writer = std::make_unique<SafetensorsWriter>(path, tensors_of(d), header); });
  }
  std::vector<float> visiting;  // the slice of one shard
  const auto write = [&](const char* name, const float* rows, int64_t elements) {
    if (writer == nullptr) return;
    file.attempt([&] { writer->write(name, rows, elements * static_cast<int64_t>(sizeof(float))); });
  };
  // Each shard's rows visit rank 0 in turn.
  const auto write_shards = [&](const char* name, const auto& own) {
    for (int s = 0; s < shards.size(); ++s) {
      int64_t count = own.elements();
      shards.broadcast(&count, 1, Dtype::kI64, s, stream);
      visiting.resize(static_cast<size_t>(count));
      if (s == shards.rank()) std::copy_n(own.data, count, visiting.data());
      if (shards.size() > 1) shards.broadcast(visiting.data(), count, Dtype::kF32, s, stream);
      write(name, visiting.data(), count);
    }
  };
  write_shards("encoder", d.encoder.view());
  write_shards("encoder_bias", d.encoder_bias.view());
  write_shards("decoder", d.decoder.view());
  if (d.architecture == Architecture::kJumpRelu) write_shards("thresholds", d.thresholds.view());
  write("decoder_bias", d.decoder_bias.data(), d.d_model);
  if (d.whitening.d_model() > 0) {
    write("whitening_mean", d.whitening.mean.data(), d.d_model);
    write("whitening_axes", d.whitening.axes.data(), d.d_model * d.d_model);
    write("whitening_spread", d.whitening.spread.data(), d.d_model);
  }
  if (writer != nullptr) file.attempt([&] { writer->finish(); });
  file.agree(path, shards, stream);
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
                 .why = fmt::format("'{}' is expected", kFormat),
                 .suggestion = "Read it with the version of orthant that wrote it."});
  }
  const SafetensorsEntry& encoder = reader.entry("encoder", std::vector<int64_t>{-1, -1});
  Conventions c;
  c.architecture = fields.name("architecture", architecture_from_name);
  c.input_scaling = fields.name("input_scaling", input_scaling_from_name);
  c.subtract_decoder_bias = fields.flag("subtract_decoder_bias");
  c.rescale_acts_by_decoder_norm = fields.flag("rescale_acts_by_decoder_norm");
  c.encoder_bias = fields.flag("has_encoder_bias");
  c.latents = encoder.shape[0];
  const bool selects = c.architecture == Architecture::kTopK || c.architecture == Architecture::kBatchTopK;
  c.k = fields.integer("k", selects ? 1 : 0);
  const int64_t d_model = encoder.shape[1];
  if (fields.has("sources")) c.sources = fields.divisor("sources", d_model);
  const Share slice = latent_slice(c.latents, shards, shard, virtual_shards);
  DictionaryFile file{allocate_dictionary(c, d_model, slice, memory), reader.metadata()};
  Dictionary& d = file.dictionary;
  d.threshold = fields.real("threshold");
  d.input_scale = fields.real("input_scale");
  for (size_t s = 0; s < d.source_scales.size(); ++s) {
    d.source_scales[s] = fields.real(fmt::format("input_scale_{}", s));
  }
  const auto read_rows = [&](const char* name, std::vector<int64_t> shape, std::span<float> into) {
    reader.read_rows(reader.entry(name, shape), slice.first, slice.count, into);
  };
  read_rows("encoder", {c.latents, d_model}, d.encoder.view().span());
  read_rows("encoder_bias", {c.latents}, d.encoder_bias.view().span());
  read_rows("decoder", {c.latents, d_model}, d.decoder.view().span());
  if (c.architecture == Architecture::kJumpRelu)
    read_rows("thresholds", {c.latents}, d.thresholds.view().span());
  const auto read_whole = [&](const char* name, std::vector<int64_t> shape, std::span<float> into) {
    reader.read(reader.entry(name, shape), into);
  };
  read_whole("decoder_bias", {d_model}, d.decoder_bias.view().span());
  if (c.input_scaling == InputScaling::kWhiten) {
    read_whole("whitening_mean", {d_model}, d.whitening.mean.view().span());
    read_whole("whitening_axes", {d_model, d_model}, d.whitening.axes.view().span());
    read_whole("whitening_spread", {d_model}, d.whitening.spread.view().span());
  }
  return file;
}

}  // namespace orthant::sae
