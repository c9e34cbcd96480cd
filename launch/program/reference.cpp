#include "launch/program/reference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace orthant::launch {
namespace {

std::string upper(std::string_view text) {
  std::string capital(text);
  std::transform(capital.begin(), capital.end(), capital.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return capital;
}

}  // namespace

std::string usage_line(const Verb& verb) {
  const auto schema = schema_of(verb);
  std::string line = "orthant " + verb.name;
  for (const std::string& name : verb.positional) {
    line += fmt::format(" [{}{}]", upper(name), schema->field(name).is_repeated() ? "..." : "");
  }
  return line + " [--config=FILE] [--field=value ...]";
}

std::string value_name(const Field& field) {
  const std::string type = field.type();
  return upper(type.substr(type.rfind(' ') + 1)) + (field.is_repeated() ? ",..." : "");
}

std::string details_of(const Field& field) {
  std::vector<std::string> details;
  if (!field.unit().empty()) details.push_back(field.unit());
  if (!field.default_text().empty()) details.push_back("default " + field.default_text());
  if (!field.allowed().empty()) details.push_back(field.allowed());
  if (field.is_group()) details.emplace_back("in files only");
  return fmt::format("{}", fmt::join(details, "; "));
}

namespace {

size_t fields_of(const google::protobuf::Descriptor& part, const ConfigSchema& schema) {
  const auto is_of_part = [&](const Field& field) {
    const std::string top = field.name().substr(0, field.name().find('.'));
    return part.FindFieldByName(top) != nullptr;
  };
  return static_cast<size_t>(std::count_if(schema.fields().begin(), schema.fields().end(), is_of_part));
}

}  // namespace

size_t own_field_count(const Verb& verb, const ConfigSchema& schema) {
  return fields_of(*verb.schema, schema);
}

size_t borrowed_field_count(const Verb& verb, const ConfigSchema& schema) {
  return verb.borrowed == nullptr ? 0 : fields_of(*verb.borrowed, schema);
}

std::string lender_of(const Verb& verb) {
  return verb.name.substr(verb.name.find(' ') + 1);
}

}  // namespace orthant::launch
