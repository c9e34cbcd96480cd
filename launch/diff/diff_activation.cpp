// `orthant diff activation`: how the activations of two models differ, layer by layer.

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <optional>

#include "launch/config.pb.h"
#include "launch/diff/diff_table.h"
#include "launch/diff/paired_rows.h"
#include "launch/program/block_work.h"
#include "launch/program/refuse.h"
#include "sae/diffing/activation_difference.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

std::vector<int64_t> widths_of(const std::vector<PairedPlace>& places) {
  std::vector<int64_t> widths;
  for (const PairedPlace& place : places) widths.push_back(place.width);
  return widths;
}

json::object place_json(const PairedPlace& place, const sae::ActivationDifference& found) {
  json::object told = {{"hook", place.name}};
  if (place.other_name != place.name) told["other_hook"] = place.other_name;
  const json::object measures = {
      {"norm", found.norm},
      {"other_norm", found.other_norm},
      {"norm_ratio", found.norm_ratio},
      {"difference_norm", found.difference_norm},
      {"relative_difference", found.relative_difference},
      {"mean_shift", found.mean_shift},
      {"cosine", found.cosine},
      {"correlation", found.correlation},
      {"explained_of_other", found.explained_of_other},
      {"explained_of_first", found.explained_of_first},
      {"histogram", histogram_json(found.cosines, "cosine of a token's activations")}};
  told.insert(measures.begin(), measures.end());
  return told;
}

ExitCode run_activation(Invocation& invocation) {
  const DiffActivation& own = invocation.own<DiffActivation>();
  World& world = invocation.world;
  Memory memory;
  std::optional<PairedRows> rows;
  agree(*world.control, "open the activations", [&] {
    rows = open_paired_rows(paired_row_fields(own), memory, invocation.log);
    refuse_different_widths(*rows);
  });
  sae::ActivationDifferenceSums sums(widths_of(rows->places), own.bins(), world.rank());
  const BlockWorkDone done = run_blocks(invocation, {.offsets = rows->offsets,
                                                     .state = {&sums.state()},
                                                     .take =
                                                         [&](int64_t block) {
                                                           const PairedBlock found = rows->read(block);
                                                           sums.take(found.first, found.other, found.counted);
                                                         },
                                                     .add = [&](auto) { sums.add(*world.data); }});
  if (done.stopped) return ExitCode::kStopped;
  json::array layers;
  for (size_t place = 0; place < rows->places.size(); ++place) {
    layers.push_back(place_json(rows->places[place], sums.difference(place)));
  }
  const int64_t counted = sums.difference(0).rows;
  if (counted == 0)
    refuse("no token counts", "all positions are left out", "Give others by --exclude_positions.");
  return invocation.finish(
      json::object{{"source", rows->identity},
                   {"tokens", rows->offsets.back()},
                   {"counted_tokens", counted},
                   {"layers", layers},
                   {"seconds", done.seconds},
                   {"tokens_per_second", static_cast<double>(done.tokens) / done.seconds}});
}

std::string table_of(const json::value& result) {
  return table_with_rows(result, "layers");
}

}  // namespace

Verb diff_activation_verb() {
  return {.name = "diff activation",
          .summary = "how activations of two models differ at the same tokens, layer by layer",
          .schema = DiffActivation::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run_activation,
          .table = table_of};
}

}  // namespace orthant::launch
