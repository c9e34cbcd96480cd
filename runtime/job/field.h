// One leaf of a configuration schema: its dotted name, what the schema says of it, and its value as text.
//
// A leaf is a scalar, a repeated scalar or a repeated group; its path leads through single groups from the
// top. Immutable after construction; thread-safe. Texts are those that flags take and help prints.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orthant {

class Field {
 public:
  using Path = std::vector<const google::protobuf::FieldDescriptor*>;
  explicit Field(Path path);

  [[nodiscard]] const std::string& name() const { return name_; }  // "sae.orthogonality.coefficient"
  [[nodiscard]] std::string_view leaf_name() const { return leaf().name(); }
  [[nodiscard]] std::string help() const;
  [[nodiscard]] std::string unit() const;  // "" where the field has none
  [[nodiscard]] std::string type() const;  // "int", "float", "bool", "text", "list of int", "group", ...
  [[nodiscard]] std::string default_text() const;          // "" where the field has none
  [[nodiscard]] std::string allowed() const;               // "", "at least 1", "0 to 1", "one of a, b"
  [[nodiscard]] std::vector<std::string> choices() const;  // values of `one_of`; "true", "false" of a bool
  [[nodiscard]] bool is_bool() const;
  [[nodiscard]] bool is_repeated() const { return leaf().is_repeated(); }
  [[nodiscard]] bool is_group() const;       // a repeated group: only files can set it
  [[nodiscard]] bool is_execution() const;   // how a job runs, no part of what it is
  [[nodiscard]] bool may_be_raised() const;  // a run may be continued with a larger value

  // Sets the value from the text of a flag. A repeated field takes a comma list ("\," is a comma within a
  // value) and appends. Throws Error(kConfig) naming the field, the value and what is allowed.
  void set(google::protobuf::Message& message, std::string_view text) const;
  // Throws Error(kConfig) unless every value in `message` is within the schema's range.
  void check(const google::protobuf::Message& message) const;
  // Removes the value.
  void clear(google::protobuf::Message& message) const;
  // The value as a flag would write it; nothing where neither a value nor its group is present.
  [[nodiscard]] std::optional<std::string> value_text(const google::protobuf::Message& message) const;
  // The value as a number; nothing where it is absent or not a number.
  [[nodiscard]] std::optional<double> number(const google::protobuf::Message& message) const;

 private:
  [[nodiscard]] const google::protobuf::FieldDescriptor& leaf() const { return *path_.back(); }
  [[nodiscard]] const google::protobuf::Message* group_of(const google::protobuf::Message& message) const;
  void append(google::protobuf::Message& group, std::string_view value) const;

  Path path_;
  std::string name_;
};

}  // namespace orthant
