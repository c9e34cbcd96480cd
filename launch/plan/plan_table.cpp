#include "launch/plan/plan_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <vector>

#include "launch/program/host_room.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

constexpr double kMebibyte = 1024.0 * 1024.0;

double number(const json::value& value) {
  return value.to_number<double>();
}

std::string text_of(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

class Columns {
 public:
  explicit Columns(const json::array& meshes) : meshes_(meshes) {}

  // One line: a name and a cell a mesh.
  template <typename Cell>
  void line(const std::string& name, Cell cell) {
    text_ += fmt::format("{:<28}", name);
    for (const json::value& mesh : meshes_) text_ += fmt::format("{:>12}", cell(mesh.as_object()));
    text_ += "\n";
  }
  void head(const std::string& name) { text_ += name + "\n"; }

  // Every member of the object `group` of the meshes, in the order of first mention.
  void group(const std::string& heading, const char* group, double unit, int digits) {
    head(heading);
    for (const std::string& name : members(group)) {
      line("  " + name, [&](const json::object& mesh) {
        const json::value* value = mesh.at(group).as_object().if_contains(name);
        return fmt::format("{:.{}f}", value == nullptr ? 0.0 : number(*value) / unit, digits);
      });
    }
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  [[nodiscard]] std::vector<std::string> members(const char* group) const {
    std::vector<std::string> names;
    for (const json::value& mesh : meshes_) {
      for (const auto& member : mesh.at(group).as_object()) {
        const std::string name(member.key());
        const bool is_used = std::any_of(meshes_.begin(), meshes_.end(), [&](const json::value& other) {
          const json::value* value = other.at(group).as_object().if_contains(name);
          return value != nullptr && number(*value) != 0.0;
        });
        if (is_used && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
      }
    }
    // The sum last, whatever came first.
    const auto total = std::find(names.begin(), names.end(), "total");
    if (total != names.end()) std::rotate(total, total + 1, names.end());
    return names;
  }

  const json::array& meshes_;
  std::string text_;
};

std::string mesh_name(const json::object& mesh) {
  return fmt::format("{}x{}", text_of(mesh.at("data")), text_of(mesh.at("dictionary")));
}

std::string rates_line(const json::object& plan) {
  const json::object& rates = plan.at("rates").as_object();
  return fmt::format(
      "a rank: {:.4g} Tflop/s x {:.2g} of products, {:.4g} GB/s x {:.2g} of memory, {:.4g} GB/s x {:.2g} to "
      "ranks of its "
      "host, "
      "{} of room ({})\n",
      number(rates.at("flops")) / 1e12, number(rates.at("flops_share")),
      number(rates.at("memory_bytes_per_second")) / 1e9, number(rates.at("memory_share")),
      number(rates.at("link_bytes_per_second")) / 1e9, number(rates.at("link_share")),
      size_text(number(rates.at("capacity_bytes"))), text_of(rates.at("origin")));
}

std::string comparison_lines(const json::object& plan) {
  const json::value* compared = plan.if_contains("compare");
  if (compared == nullptr) return "";
  std::string text =
      fmt::format("{:<28}{:>14}{:>14}{:>9}\n", "beside the finished run", "predicted", "measured", "ratio");
  for (const auto& [name, value] : compared->as_object()) {
    if (!value.is_object()) continue;
    const double predicted = number(value.at("predicted")), measured = number(value.at("measured"));
    text += fmt::format("  {:<26}{:>14.6g}{:>14.6g}{:>9.3f}\n", std::string_view(name), predicted, measured,
                        measured == 0.0 ? 0.0 : predicted / measured);
  }
  return text;
}

}  // namespace

std::string training_plan_table(const json::value& value) {
  const json::object& plan = value.as_object();
  std::string text =
      fmt::format("plan of train: {} rank{} on {}, d_model {}, {} of {} latents, k {}, {} rows a step\n",
                  text_of(plan.at("world")), number(plan.at("world")) == 1 ? "" : "s",
                  text_of(plan.at("device")), text_of(plan.at("d_model")), text_of(plan.at("architecture")),
                  text_of(plan.at("latents")), text_of(plan.at("k")), text_of(plan.at("batch_tokens")));
  text += rates_line(plan);
  Columns columns(plan.at("meshes").as_array());
  columns.line("mesh, data x dictionary", mesh_name);
  columns.line("replicas agree by", [](const json::object& mesh) {
    return number(mesh.at("data")) == 1 ? std::string("-") : text_of(mesh.at("data_parallel"));
  });
  columns.group("memory of a rank, MiB", "memory_bytes", kMebibyte, 1);
  columns.line("  fits", [](const json::object& mesh) { return mesh.at("fits").as_bool() ? "yes" : "no"; });
  columns.group("a rank sends in a step, MiB", "sent_bytes", kMebibyte, 3);
  columns.group("milliseconds of a step", "seconds", 1e-3, 3);
  columns.line("rows a second", [](const json::object& mesh) {
    return fmt::format("{:.0f}", number(mesh.at("tokens_per_second")));
  });
  text += columns.text();
  if (const json::value* impossible = plan.if_contains("impossible")) {
    for (const json::value& mesh : impossible->as_array()) {
      text += fmt::format("{} is impossible: {}\n", mesh_name(mesh.as_object()), text_of(mesh.at("reason")));
    }
  }
  if (const json::value* host = plan.if_contains("host_memory_bytes")) {
    text += fmt::format("host: {} a rank beside its device\n", size_text(number(*host)));
  }
  const json::object& disk = plan.at("disk_bytes").as_object();
  text += fmt::format("disk: {} a checkpoint, {} of those kept\n", size_text(number(disk.at("checkpoint"))),
                      size_text(number(disk.at("kept"))));
  const json::object& best = plan.at("cheapest").as_object();
  text +=
      fmt::format("cheapest: {}{}, {:.4g} s a step, {:.0f} rows a second, {:.4g} h in all\n", mesh_name(best),
                  best.at("fits").as_bool() ? "" : " (no mesh fits)", number(best.at("seconds_per_step")),
                  number(best.at("tokens_per_second")), number(best.at("seconds")) / 3600.0);
  return text + comparison_lines(plan);
}

std::string harvest_plan_table(const json::value& value) {
  const json::object& plan = value.as_object();
  std::string text = fmt::format(
      "plan of harvest: {} rank{} on {}, d_model {}, {} tokens, {} store{}\n", text_of(plan.at("world")),
      number(plan.at("world")) == 1 ? "" : "s", text_of(plan.at("device")), text_of(plan.at("d_model")),
      text_of(plan.at("tokens")), text_of(plan.at("stores")), number(plan.at("stores")) == 1 ? "" : "s");
  text += rates_line(plan) + "memory of a rank, MiB\n";
  for (const auto& [name, bytes] : plan.at("memory_bytes").as_object()) {
    text += fmt::format("  {:<26}{:>12.1f}\n", std::string_view(name), number(bytes) / kMebibyte);
  }
  if (const json::value* host = plan.if_contains("host_memory_bytes")) {
    text += fmt::format("  {:<26}{:>12.1f}\n", "beside it, on the host", number(*host) / kMebibyte);
  }
  text += fmt::format("  {:<26}{:>12}\n", "fits", plan.at("fits").as_bool() ? "yes" : "no");
  text += fmt::format("disk: {} of stores\n", size_text(number(plan.at("store_bytes"))));
  text += fmt::format("time: {:.4g} s, {:.0f} tokens a second\n", number(plan.at("seconds")),
                      number(plan.at("tokens_per_second")));
  return text + comparison_lines(plan);
}

}  // namespace orthant::launch
