#include "models/formats/json_file.h"

#include <fmt/format.h>

#include <boost/json/stream_parser.hpp>

#include "runtime/core/error.h"
#include "runtime/storage/file.h"

namespace orthant::models {

boost::json::value read_json_file(const std::string& path) {
  const std::string text = read_file(path);
  boost::json::stream_parser parser;
  boost::json::error_code error;
  const size_t consumed = parser.write(text.data(), text.size(), error);
  if (!error) parser.finish(error);
  if (!error) return parser.release();
  throw Error(ExitCode::kData, {.problem = fmt::format("{} is not sound JSON at byte {}", path, consumed),
                                .why = error.message(),
                                .suggestion = "fetch the file again"});
}

JsonFields::JsonFields(const boost::json::value& value, const std::string& path, std::string_view what)
    : object_(value.if_object()), path_(&path) {
  if (object_ != nullptr) return;
  throw Error(ExitCode::kData, {.problem = fmt::format("{} of {} is not a JSON object", what, path),
                                .why = "its fields cannot be read",
                                .suggestion = "check the file"});
}

void JsonFields::refuse(std::string_view key, std::string_view why) const {
  throw Error(ExitCode::kData, {.problem = fmt::format("field \"{}\" of {} cannot be used", key, *path_),
                                .why = std::string(why),
                                .suggestion = "check the file"});
}

const boost::json::value* JsonFields::find(std::string_view key) const {
  const boost::json::value* value = object_->if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::optional<int64_t> JsonFields::integer(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  boost::json::error_code error;
  const auto number = value->to_number<int64_t>(error);
  if (error) refuse(key, "an integer is expected");
  return number;
}

std::optional<double> JsonFields::real(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  boost::json::error_code error;
  const auto number = value->to_number<double>(error);
  if (error) refuse(key, "a number is expected");
  return number;
}

std::optional<bool> JsonFields::boolean(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) refuse(key, "true or false is expected");
  return value->get_bool();
}

std::optional<std::string> JsonFields::text(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) refuse(key, "a string is expected");
  return std::string(value->get_string());
}

const boost::json::value& JsonFields::required(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) refuse(key, "it is absent");
  return *value;
}

const boost::json::array& JsonFields::required_array(std::string_view key) const {
  const boost::json::value& value = required(key);
  if (!value.is_array()) refuse(key, "an array is expected");
  return value.get_array();
}

const boost::json::object& JsonFields::required_object(std::string_view key) const {
  const boost::json::value& value = required(key);
  if (!value.is_object()) refuse(key, "an object is expected");
  return value.get_object();
}

JsonFields JsonFields::part(std::string_view key) const {
  (void)required_object(key);
  return {required(key), *path_, key};
}

std::string JsonFields::required_text(std::string_view key) const {
  const boost::json::value& value = required(key);
  if (!value.is_string()) refuse(key, "a string is expected");
  return std::string(value.get_string());
}

std::vector<std::string> JsonFields::required_texts(std::string_view key) const {
  std::vector<std::string> texts;
  for (const boost::json::value& value : required_array(key)) {
    if (!value.is_string()) refuse(key, "an array of strings is expected");
    texts.emplace_back(value.get_string());
  }
  return texts;
}

}  // namespace orthant::models
