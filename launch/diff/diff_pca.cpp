// `orthant diff pca`: the directions along which activations of two models differ most, layer by layer.

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>
#include <cmath>
#include <optional>

#include "launch/config.pb.h"
#include "launch/diff/diff_table.h"
#include "launch/diff/paired_rows.h"
#include "launch/program/block_work.h"
#include "launch/program/refuse.h"
#include "runtime/job/run_directory.h"
#include "runtime/storage/safetensors.h"
#include "sae/diffing/principal_components.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

constexpr int64_t kTold[] = {1, 2, 5, 10, 20, 50, 100};  // shares of so many first components

// One decomposition on this rank.
class PcaJob {
 public:
  explicit PcaJob(Invocation& invocation)
      : call_(invocation), own_(invocation.own<DiffPca>()), of_difference_(own_.of() == "difference") {}

  ExitCode run() {
    agree(*call_.world.control, "open the activations", [&] { open(); });
    std::vector<int64_t> widths;
    for (const PairedPlace& place : rows_->places) widths.push_back(place.width);
    sae::Covariances covariances(widths, *call_.world.data);
    const BlockWorkDone done = run_blocks(call_, {.offsets = rows_->offsets,
                                                  .state = {&covariances},
                                                  .take = [&](int64_t block) { take(block); },
                                                  .add = [&](auto blocks) { add(blocks, covariances); }});
    if (done.stopped) return ExitCode::kStopped;
    const auto found = covariances.components(own_.components(), call_.world);
    if (found.front().rows == 0) {
      refuse("no token counts", "all positions are left out", "Give others by --exclude_positions.");
    }
    if (call_.run != nullptr) {
      agree(*call_.world.control, "write the components", [&] { write_components(found); });
    }
    return call_.finish(result_of(found, done));
  }

 private:
  void open() {
    PairedRowFields fields = paired_row_fields(own_);
    fields.has_other = of_difference_;
    rows_.emplace(open_paired_rows(fields, memory_, call_.log));
    if (of_difference_) refuse_different_widths(*rows_);
  }

  // The rows that count, other less first.
  void take(int64_t block) {
    const PairedBlock found = rows_->read(block);
    taken_.assign(rows_->places.size(), {});
    counted_ = static_cast<int64_t>(found.counted.size());
#pragma omp parallel for schedule(dynamic)
    for (size_t place = 0; place < taken_.size(); ++place) {
      const int64_t width = rows_->places[place].width;
      std::vector<float>& rows = taken_[place];
      rows.reserve(static_cast<size_t>(counted_ * width));
      for (const int64_t row : found.counted) {
        const float* const x = found.first[place].row(row);
        if (!of_difference_) {
          rows.insert(rows.end(), x, x + width);
          continue;
        }
        const float* const y = found.other[place].row(row);
        for (int64_t c = 0; c < width; ++c) rows.push_back(y[c] - x[c]);
      }
    }
  }

  // Collective.
  void add(std::span<const int64_t> blocks, sae::Covariances& covariances) {
    const auto rank = static_cast<size_t>(call_.world.rank());
    const int64_t rows = blocks[rank] < blocks[rank + 1] ? counted_ : 0;
    for (size_t place = 0; place < rows_->places.size(); ++place) {
      const float* const data = rows > 0 ? taken_[place].data() : nullptr;
      covariances.add(place, {data, {rows, rows_->places[place].width}});
    }
  }

  void write_components(const std::vector<sae::PrincipalComponents>& found) const {
    if (call_.world.rank() != 0) return;
    std::vector<SafetensorsTensor> tensors;
    for (size_t place = 0; place < found.size(); ++place) {
      const std::string& name = rows_->places[place].name;
      const int64_t width = rows_->places[place].width;
      tensors.push_back({name + ".components",
                         Dtype::kF32,
                         {static_cast<int64_t>(found[place].components.size()) / width, width},
                         found[place].components.data()});
      tensors.push_back({name + ".variance", Dtype::kF64, {width}, found[place].variance.data()});
      tensors.push_back({name + ".mean", Dtype::kF64, {width}, found[place].mean.data()});
    }
    write_safetensors(call_.run->file("components.safetensors"), tensors,
                      {{"format", "orthant principal components"}, {"of", own_.of()}});
  }

  [[nodiscard]] json::object place_json(const PairedPlace& place,
                                        const sae::PrincipalComponents& found) const {
    double squares = 0.0;
    for (const double value : found.mean) squares += value * value;
    json::object shares;
    for (const int64_t count : kTold) {
      if (count <= place.width) shares[fmt::format("{}", count)] = found.share_of_first(count);
    }
    std::vector<double> variance(found.variance.begin(),
                                 found.variance.begin() + std::min(own_.components(), place.width));
    const double total = found.total_variance();
    json::object told = {{"hook", place.name}};
    if (of_difference_ && place.other_name != place.name) told["other_hook"] = place.other_name;
    const json::object measures = {{"total_variance", total},
                                   {"mean_norm", std::sqrt(squares)},
                                   {"mean_share", total + squares > 0.0 ? squares / (total + squares) : 0.0},
                                   {"effective_dimension", found.effective_dimension()},
                                   {"share_of_first", shares},
                                   {"variance", json::value_from(variance)}};
    told.insert(measures.begin(), measures.end());
    return told;
  }

  [[nodiscard]] json::object result_of(const std::vector<sae::PrincipalComponents>& found,
                                       const BlockWorkDone& done) const {
    json::array layers;
    for (size_t place = 0; place < found.size(); ++place) {
      layers.push_back(place_json(rows_->places[place], found[place]));
    }
    return {{"source", rows_->identity},
            {"of", own_.of()},
            {"tokens", rows_->offsets.back()},
            {"counted_tokens", found.front().rows},
            {"layers", layers},
            {"seconds", done.seconds},
            {"tokens_per_second", static_cast<double>(done.tokens) / done.seconds}};
  }

  Invocation& call_;
  const DiffPca& own_;
  bool of_difference_;
  Memory memory_;
  std::optional<PairedRows> rows_;
  std::vector<std::vector<float>> taken_;  // of each place [counted, width]
  int64_t counted_ = 0;
};

ExitCode run_pca(Invocation& invocation) {
  return PcaJob(invocation).run();
}

std::string table_of(const json::value& result) {
  return table_with_rows(result, "layers");
}

}  // namespace

Verb diff_pca_verb() {
  return {.name = "diff pca",
          .summary = "principal components of the difference of activations, layer by layer",
          .schema = DiffPca::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run_pca,
          .table = table_of};
}

}  // namespace orthant::launch
