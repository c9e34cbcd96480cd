#include "launch/sweep/sweep_cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "launch/config.pb.h"
#include "launch/program/precision_choice.h"
#include "launch/program/refuse.h"
#include "runtime/core/parse_number.h"
#include "runtime/job/sweep.pb.h"

namespace orthant::launch {
namespace {

const Verb* verb_of_group(const std::string& group) {
  const auto found = std::find_if(verbs().begin(), verbs().end(), [&](const Verb& verb) {
    return may_be_cell(verb) && group_name(verb) == group;
  });
  return found == verbs().end() ? nullptr : &*found;
}

struct Base {
  const Verb* verb;
  std::string text;
};

Base base_of(const Config& config, const Sweep& sweep) {
  const auto texts = config.nested_texts();
  if (texts.size() != 1) {
    refuse(fmt::format("a sweep has {} base configurations", texts.size()), "every cell starts from one",
           "Write base { train { ... } } in the file of --config.");
  }
  const Verb* verb = verb_of_group(texts[0].first);
  require(verb != nullptr, "a base is of a verb that may be a cell");
  std::string named = sweep.verb();
  std::replace(named.begin(), named.end(), ' ', '_');
  if (sweep.has_verb() && named != texts[0].first) {
    refuse(fmt::format("the sweep is of verb '{}' and its base of '{}'", sweep.verb(), verb->name),
           "every cell runs one verb", "Make them equal, or leave verb out.");
  }
  return {verb, texts[0].second};
}

int mesh_size(const Mesh& mesh) {
  return std::max(1, mesh.data()) * std::max(1, mesh.dictionary());
}

// A table of results does not depend on the ranks that made it: a cell runs at the mesh that the file gives.
int group_size(const Common& sweep, const Common& cell, const Verb& verb) {
  const int asked = sweep.mesh().group();
  const bool has_mesh = cell.mesh().data() > 0 || cell.mesh().dictionary() > 0;
  if (!has_mesh && verb.schema != Train::descriptor()) return std::max(1, asked);
  const int needed = mesh_size(cell.mesh());
  if (asked != 0 && asked != needed) {
    refuse(fmt::format("--mesh.group={} does not fit cells of {} ranks", asked, needed),
           "a cell runs at the mesh of the base, so that its result does not depend on who shares the work",
           fmt::format("Leave --mesh.group out, or write base {{ {} {{ mesh {{ dictionary: {} }} ... }} }}.",
                       group_name(verb), asked));
  }
  return needed;
}

SweepCell make_cell(const Base& base, const std::shared_ptr<const ConfigSchema>& schema, GridPoint point,
                    const std::string& out, Device device, const std::string& precision) {
  SweepCell cell{.point = std::move(point), .config = Config(schema), .key = {}};
  cell.config.merge_text(base.text, "base");
  for (const auto& [field, value] : cell.point.settings) cell.config.set(field, value);
  cell.config.set("progress", "none");  // the sweep shows its own
  cell.config.resolve();
  const bool has_precision = schema->find("precision") != nullptr;
  if (has_precision && !precision.empty() && !cell.config.as<Common>().deterministic()) {
    cell.config.set_default("precision", precision);
  }
  settle_precision(cell.config, device);
  cell.key = to_hex(cell.config.key());
  cell.config.set("out", fmt::format("{}/cells/{}", out, cell.key));
  return cell;
}

void refuse_twins(const std::vector<SweepCell>& cells) {
  std::map<std::string, size_t> seen;
  for (size_t i = 0; i < cells.size(); ++i) {
    const auto [earlier, is_new] = seen.emplace(cells[i].key, i);
    if (is_new) continue;
    refuse(fmt::format("cells {} and {} of the grid are the same", earlier->second, i),
           "their configurations are equal", "Leave out values that say the same.");
  }
}

boost::json::value typed(const Field& field, const std::string& text) {
  if (field.is_repeated() || field.type() == "text") return boost::json::value(text);
  if (field.is_bool()) return text == "true";
  if (const auto whole = parse_number<int64_t>(text); field.type() == "int" && whole) return *whole;
  const auto number = parse_finite(text);
  return number ? boost::json::value(*number) : boost::json::value(text);
}

}  // namespace

SweepCells sweep_cells(const Config& config, const std::string& out, Device device) {
  const auto sweep = config.as<Sweep>();
  const Base base = base_of(config, sweep);
  SweepCells made{.verb = base.verb, .cells = {}};
  made.device = base.verb->runs_on_cuda ? device : kCpu;
  const auto schema = schema_of(*base.verb);
  for (GridPoint& point : expand_grid(sweep, *schema)) {
    made.cells.push_back(make_cell(base, schema, std::move(point), out, made.device, sweep.precision()));
  }
  refuse_twins(made.cells);
  made.group_size = group_size(config.as<Common>(), made.cells.front().config.as<Common>(), *base.verb);
  return made;
}

boost::json::object point_json(const SweepCell& cell) {
  boost::json::object point;
  for (const auto& [name, value] : cell.point.settings) {
    point[name] = typed(cell.config.schema().field(name), cell.config.value_text(name).value_or(value));
  }
  return point;
}

}  // namespace orthant::launch
