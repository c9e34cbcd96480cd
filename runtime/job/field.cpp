#include "runtime/job/field.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/core/parse_number.h"
#include "runtime/job/schema.pb.h"

namespace orthant {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const google::protobuf::FieldOptions& options_of(const FieldDescriptor& field) {
  return field.options();
}

// Shortest text that reads back as the same number.
std::string number_text(double value) {
  return fmt::format("{}", value);
}

std::optional<bool> parse_bool(std::string_view text) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "0" || text == "no" || text == "off") return false;
  return std::nullopt;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> values;
  std::string value;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escaped_comma = text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ',';
    if (escaped_comma) {
      value += text[++i];
    } else if (text[i] == ',') {
      values.push_back(std::exchange(value, {}));
    } else {
      value += text[i];
    }
  }
  if (!text.empty()) values.push_back(value);
  return values;
}

std::string escape_commas(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == ',') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string_view type_name(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return "int";
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return "float";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "bool";
    case FieldDescriptor::CPPTYPE_ENUM:
      return "name";
    case FieldDescriptor::CPPTYPE_STRING:
      return "text";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "group";
  }
  return "?";
}

// Element `index` of a repeated field, or the value of a single one (index is ignored).
std::string element_text(const Message& group, const FieldDescriptor& field, int index) {
  const auto& reflection = *group.GetReflection();
  const bool many = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return fmt::format("{}", many ? reflection.GetRepeatedInt32(group, &field, index)
                                    : reflection.GetInt32(group, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return fmt::format("{}", many ? reflection.GetRepeatedInt64(group, &field, index)
                                    : reflection.GetInt64(group, &field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return fmt::format("{}", many ? reflection.GetRepeatedUInt32(group, &field, index)
                                    : reflection.GetUInt32(group, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return fmt::format("{}", many ? reflection.GetRepeatedUInt64(group, &field, index)
                                    : reflection.GetUInt64(group, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return number_text(many ? reflection.GetRepeatedDouble(group, &field, index)
                              : reflection.GetDouble(group, &field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return fmt::format("{}", many ? reflection.GetRepeatedFloat(group, &field, index)
                                    : reflection.GetFloat(group, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return (many ? reflection.GetRepeatedBool(group, &field, index) : reflection.GetBool(group, &field))
                 ? "true"
                 : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return (many ? reflection.GetRepeatedEnum(group, &field, index) : reflection.GetEnum(group, &field))
          ->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return many ? reflection.GetRepeatedString(group, &field, index) : reflection.GetString(group, &field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return (many ? reflection.GetRepeatedMessage(group, &field, index)
                   : reflection.GetMessage(group, &field))
          .ShortDebugString();
  }
  return {};
}

// Writes `text` as a single value or one more element; false where it does not parse.
bool store(Message& group, const FieldDescriptor& field, std::string_view text) {
  const auto& reflection = *group.GetReflection();
  const bool many = field.is_repeated();
  const auto put = [&](const auto& value, auto set, auto add) {
    if (!value) return false;
    many ? (reflection.*add)(&group, &field, *value) : (reflection.*set)(&group, &field, *value);
    return true;
  };
  using R = google::protobuf::Reflection;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return put(parse_number<int32_t>(text), &R::SetInt32, &R::AddInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return put(parse_number<int64_t>(text), &R::SetInt64, &R::AddInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return put(parse_number<uint32_t>(text), &R::SetUInt32, &R::AddUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return put(parse_number<uint64_t>(text), &R::SetUInt64, &R::AddUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return put(parse_finite(text), &R::SetDouble, &R::AddDouble);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return put(parse_finite(text), &R::SetFloat, &R::AddFloat);
    case FieldDescriptor::CPPTYPE_BOOL:
      return put(parse_bool(text), &R::SetBool, &R::AddBool);
    case FieldDescriptor::CPPTYPE_STRING:
      return put(std::optional<std::string>(text), &R::SetString, &R::AddString);
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* value = field.enum_type()->FindValueByName(std::string(text));
      if (value == nullptr) return false;
      many ? reflection.AddEnum(&group, &field, value) : reflection.SetEnum(&group, &field, value);
      return true;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return false;
  }
  return false;
}

[[noreturn]] void throw_bad_value(const Field& field, std::string_view value) {
  const std::string allowed = field.allowed();
  const std::string unit = field.unit();
  throw Error(ExitCode::kConfig, {.problem = fmt::format("{} = '{}' is not possible", field.name(), value),
                                  .why = fmt::format("allowed: {}{}{}{}", field.type(),
                                                     unit.empty() ? "" : fmt::format(" in {}", unit),
                                                     allowed.empty() ? "" : ", ", allowed)});
}

}  // namespace

Field::Field(Path path) : path_(std::move(path)) {
  for (const FieldDescriptor* step : path_)
    name_ += fmt::format("{}{}", name_.empty() ? "" : ".", step->name());
}

std::string Field::help() const {
  return options_of(leaf()).GetExtension(orthant::help);
}

std::string Field::unit() const {
  return options_of(leaf()).GetExtension(orthant::unit);
}

std::string Field::type() const {
  return fmt::format("{}{}", is_repeated() ? "list of " : "", type_name(leaf()));
}

std::string Field::default_text() const {
  if (!leaf().has_default_value()) return {};
  switch (leaf().cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return fmt::format("{}", leaf().default_value_int32());
    case FieldDescriptor::CPPTYPE_INT64:
      return fmt::format("{}", leaf().default_value_int64());
    case FieldDescriptor::CPPTYPE_UINT32:
      return fmt::format("{}", leaf().default_value_uint32());
    case FieldDescriptor::CPPTYPE_UINT64:
      return fmt::format("{}", leaf().default_value_uint64());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return number_text(leaf().default_value_double());
    case FieldDescriptor::CPPTYPE_FLOAT:
      return fmt::format("{}", leaf().default_value_float());
    case FieldDescriptor::CPPTYPE_BOOL:
      return leaf().default_value_bool() ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return leaf().default_value_enum()->name();
    case FieldDescriptor::CPPTYPE_STRING:
      return leaf().default_value_string();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return {};
  }
  return {};
}

std::string Field::allowed() const {
  const auto& options = options_of(leaf());
  if (options.ExtensionSize(orthant::one_of) > 0) return fmt::format("one of {}", fmt::join(choices(), ", "));
  const bool low = options.HasExtension(orthant::at_least);
  const bool high = options.HasExtension(orthant::at_most);
  const std::string least = number_text(options.GetExtension(orthant::at_least));
  const std::string most = number_text(options.GetExtension(orthant::at_most));
  if (low && high) return fmt::format("{} to {}", least, most);
  if (low) return fmt::format("at least {}", least);
  if (high) return fmt::format("at most {}", most);
  return {};
}

std::vector<std::string> Field::choices() const {
  if (is_bool()) return {"true", "false"};
  std::vector<std::string> names;
  if (leaf().cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    for (int i = 0; i < leaf().enum_type()->value_count(); ++i)
      names.push_back(leaf().enum_type()->value(i)->name());
    return names;
  }
  const auto& options = options_of(leaf());
  for (int i = 0; i < options.ExtensionSize(orthant::one_of); ++i) {
    names.push_back(options.GetExtension(orthant::one_of, i));
  }
  return names;
}

bool Field::is_bool() const {
  return leaf().cpp_type() == FieldDescriptor::CPPTYPE_BOOL;
}

bool Field::is_group() const {
  return leaf().cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}

bool Field::is_execution() const {
  for (const FieldDescriptor* step : path_) {
    if (options_of(*step).GetExtension(orthant::execution)) return true;
  }
  return false;
}

bool Field::may_be_raised() const {
  return options_of(leaf()).GetExtension(orthant::may_be_raised);
}

const Message* Field::group_of(const Message& message) const {
  const Message* group = &message;
  for (size_t i = 0; i + 1 < path_.size(); ++i) {
    const auto& reflection = *group->GetReflection();
    if (!reflection.HasField(*group, path_[i])) return nullptr;
    group = &reflection.GetMessage(*group, path_[i]);
  }
  return group;
}

void Field::append(Message& group, std::string_view value) const {
  if (!store(group, leaf(), value)) throw_bad_value(*this, value);
}

void Field::set(Message& message, std::string_view text) const {
  Message* group = &message;
  for (size_t i = 0; i + 1 < path_.size(); ++i) {
    group = group->GetReflection()->MutableMessage(group, path_[i]);
  }
  if (!is_repeated()) return append(*group, text);
  for (const std::string& value : split_list(text)) append(*group, value);
}

void Field::clear(Message& message) const {
  Message* group = &message;
  for (size_t i = 0; i + 1 < path_.size(); ++i) {
    if (!group->GetReflection()->HasField(*group, path_[i])) return;
    group = group->GetReflection()->MutableMessage(group, path_[i]);
  }
  group->GetReflection()->ClearField(group, &leaf());
}

void Field::check(const Message& message) const {
  const Message* group = group_of(message);
  if (group == nullptr || is_group()) return;
  const auto& options = options_of(leaf());
  const bool named = options.ExtensionSize(orthant::one_of) > 0;
  const bool low = options.HasExtension(orthant::at_least);
  const bool high = options.HasExtension(orthant::at_most);
  if (!named && !low && !high) return;
  const auto& reflection = *group->GetReflection();
  const int count =
      is_repeated() ? reflection.FieldSize(*group, &leaf()) : reflection.HasField(*group, &leaf());
  for (int i = 0; i < count; ++i) {
    const std::string value = element_text(*group, leaf(), i);
    if (named) {
      const std::vector<std::string> names = choices();
      if (std::find(names.begin(), names.end(), value) == names.end()) throw_bad_value(*this, value);
      continue;
    }
    const std::optional<double> at = parse_finite(value);
    const bool inside = at && (!low || *at >= options.GetExtension(orthant::at_least)) &&
                        (!high || *at <= options.GetExtension(orthant::at_most));
    if (!inside) throw_bad_value(*this, value);
  }
}

std::optional<std::string> Field::value_text(const Message& message) const {
  const Message* group = group_of(message);
  if (group == nullptr) return std::nullopt;
  const auto& reflection = *group->GetReflection();
  if (!is_repeated()) {
    if (!reflection.HasField(*group, &leaf())) return std::nullopt;
    return element_text(*group, leaf(), 0);
  }
  std::string list;
  const int count = reflection.FieldSize(*group, &leaf());
  for (int i = 0; i < count; ++i) {
    const std::string value = element_text(*group, leaf(), i);
    list += fmt::format("{}{}", i > 0 ? "," : "",
                        is_group() ? fmt::format("{{{}}}", value) : escape_commas(value));
  }
  return count == 0 ? std::nullopt : std::optional(list);
}

std::optional<double> Field::number(const Message& message) const {
  if (is_repeated() || type() == "text") return std::nullopt;
  const std::optional<std::string> text = value_text(message);
  return text ? parse_finite(*text) : std::nullopt;
}

}  // namespace orthant
