// JSON files of models: parsed with errors that name the file and the offset, read with errors that name the
// field.
//
// Thread-safe.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orthant::models {

// Throws Error(kIo) or Error(kData).
[[nodiscard]] boost::json::value read_json_file(const std::string& path);

// The fields of one object of a file. A field that is absent or null gives nothing; one of another type
// throws Error(kData). Neither the object nor the path is copied.
class JsonFields {
 public:
  // Throws Error(kData) unless `value` is an object; `what` names it in messages.
  JsonFields(const boost::json::value& value, const std::string& path, std::string_view what);

  [[nodiscard]] const boost::json::value* find(std::string_view key) const;
  [[nodiscard]] std::optional<int64_t> integer(std::string_view key) const;
  [[nodiscard]] std::optional<double> real(std::string_view key) const;
  [[nodiscard]] std::optional<bool> boolean(std::string_view key) const;
  [[nodiscard]] std::optional<std::string> text(std::string_view key) const;
  // Throws Error(kData) when the field is absent, too.
  [[nodiscard]] const boost::json::value& required(std::string_view key) const;
  [[nodiscard]] const boost::json::array& required_array(std::string_view key) const;
  [[nodiscard]] const boost::json::object& required_object(std::string_view key) const;
  [[nodiscard]] std::string required_text(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> required_texts(std::string_view key) const;  // an array of strings
  // The fields of an object that is a field of this one.
  [[nodiscard]] JsonFields part(std::string_view key) const;
  [[nodiscard]] const boost::json::object& object() const { return *object_; }

  // Error(kData) about a field of this object.
  [[noreturn]] void refuse(std::string_view key, std::string_view why) const;

 private:
  const boost::json::object* object_ = nullptr;
  const std::string* path_;
};

}  // namespace orthant::models
