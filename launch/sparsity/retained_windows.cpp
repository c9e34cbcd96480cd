#include "launch/sparsity/retained_windows.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "launch/program/refuse.h"
#include "models/sparsity/retained_inputs.h"
#include "runtime/core/hash.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

void require_fits(const models::SparsityPattern& pattern, const models::ModelConfig& config) {
  if (pattern.is_dense()) return;
  for (int p = 0; p < models::kProjections; ++p) {
    const auto projection = static_cast<models::Projection>(p);
    (void)models::row_pattern(
        pattern, models::shape_of(config, projection).inputs,
        fmt::format("--retained_windows and projection {}", models::name_of(projection)));
  }
}

}  // namespace

RetainedWindows::RetainedWindows(const Sparsity& own, const models::ModelConfig& config,
                                 const std::string& model_identity, const CalibrationText& text)
    : windows_(text.windows(own.retained_windows(), own.calibration().window())) {
  if (own.patterns().empty())
    refuse("--retained_windows without a pattern", "all survives", "Give --patterns, for example 8:16.");
  json::array names;
  for (const std::string& name : own.patterns()) {
    patterns_.push_back(models::parse_pattern(name));
    require_fits(patterns_.back(), config);
    names.emplace_back(models::to_string(patterns_.back()));
  }
  origin_ = json::serialize(json::object{{"retained", names},
                                         {"model", model_identity},
                                         {"precision", own.precision()},
                                         {"text", text.hash()},
                                         {"length", own.calibration().window()}});
}

std::string RetainedWindows::key(int64_t window) const {
  return to_hex(hash128(fmt::format("{} {}", origin_, window)));
}

json::array RetainedWindows::measured(int64_t window, const models::Weights& weights, Memory& memory,
                                      Stream& stream) const {
  json::array rows;
  const std::span<const std::span<const int32_t>> crop(&windows_[static_cast<size_t>(window)], 1);
  for (const auto& input : models::retained_inputs(weights, patterns_, crop, memory, stream)) {
    for (size_t p = 0; p < patterns_.size(); ++p) {
      rows.push_back({{"pattern", models::to_string(patterns_[p])},
                      {"layer", input.layer},
                      {"projection", models::name_of(input.projection)},
                      {"squares", input.patterns[p].squares},
                      {"magnitudes", input.patterns[p].magnitudes}});
    }
  }
  return rows;
}

json::array RetainedWindows::rows(const RequestRecords& records) const {
  json::array means = records.of(key(0));
  for (size_t row = 0; row < means.size(); ++row) {
    json::object& mean = means[row].as_object();
    for (const char* share : {"squares", "magnitudes"}) {
      double sum = 0.0;
      for (int64_t w = 0; w < count(); ++w) sum += records.of(key(w))[row].at(share).to_number<double>();
      mean[share] = sum / static_cast<double>(count());
    }
    mean["windows"] = count();
  }
  return means;
}

}  // namespace orthant::launch
