// The configuration of a job in layers: defaults < file < flags; resolved, compared and hashed by reflection.
//
// After resolve() every field with a default is set, in every group except those marked `when_set`; has_x()
// then tells something only for fields without a default. Not thread-safe while it is being filled.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/core/hash.h"
#include "runtime/job/config_schema.h"

namespace orthant {

// A field whose value differs between two configurations, as text ("unset" where absent).
struct FieldDifference {
  std::string name;
  std::string before;
  std::string after;
};

class Config {
 public:
  explicit Config(std::shared_ptr<const ConfigSchema> schema);

  // Another configuration of the same schema, empty.
  [[nodiscard]] Config with_nothing_set() const { return Config(schema_); }

  // Merges a file of Protobuf text format or JSON. Error(kIo) unreadable, Error(kUsage) unknown field with
  // the nearest name, Error(kConfig) anything else that does not parse, with line and column.
  void merge_file(const std::string& path);
  void merge_text(std::string_view text, std::string_view origin);
  // One flag. The first value of a repeated field replaces what came from files, later ones append.
  void set(std::string_view dotted_name, std::string_view value);
  // Sets a field that nobody has set: a default that depends on the host.
  void set_default(std::string_view dotted_name, std::string_view value);
  [[nodiscard]] bool is_set_by_flag(std::string_view dotted_name) const {
    return set_by_flag_.contains(dotted_name);
  }
  // Fills defaults and checks every range; Error(kConfig) names field, value and what is allowed.
  void resolve();

  [[nodiscard]] const ConfigSchema& schema() const { return *schema_; }
  [[nodiscard]] std::string text() const;  // Protobuf text format; merge_text() reads it back
  [[nodiscard]] std::string json() const;
  // Of one field; nothing where it is not set.
  [[nodiscard]] std::optional<std::string> value_text(std::string_view dotted_name) const;
  // One line `field=value` for every field that is set and not one of execution.
  [[nodiscard]] std::string job_text() const;
  // Hash of the verb and every field that is not one of execution: equal keys mean the same job.
  [[nodiscard]] Hash128 key() const;
  // Fields, those of execution left out, that differ from the configuration `before`; of the same schema.
  // Fields that may be raised and were are left out.
  [[nodiscard]] std::vector<FieldDifference> differences_from(const Config& before) const;
  // The configurations in the groups `base`: names of verbs and their texts as text() gives them, in the
  // order of the file.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> nested_texts() const;
  // The same values as a message whose fields are a part of the schema's: Common, or the verb's own message.
  void copy_into(google::protobuf::Message& part) const;
  template <typename M>
  [[nodiscard]] M as() const {
    M part;
    copy_into(part);
    return part;
  }

 private:
  std::shared_ptr<const ConfigSchema> schema_;
  std::unique_ptr<google::protobuf::Message> message_;
  std::set<std::string, std::less<>> set_by_flag_;
};

}  // namespace orthant
