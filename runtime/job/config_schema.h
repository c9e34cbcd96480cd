// The schema of one verb: its own message with the common fields beside it at top level.
//
// The two messages have disjoint field numbers (common 1-49, own from 50), so that a message of the joined
// type can be read as either by its wire format. Immutable after construction; thread-safe.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/job/field.h"

namespace orthant {

// A verb whose configuration can be a part of another's.
struct NestedVerb {
  std::string name;  // of the group that holds it
  const google::protobuf::Descriptor* own = nullptr;
  const google::protobuf::Descriptor* common = nullptr;  // may be null
};

class ConfigSchema {
 public:
  // `common` may be null, and so may `borrowed`, the own fields of another verb, which stand between. Where
  // there are `nested` verbs, the list of groups `base` (kBaseField) holds their configurations, one group
  // for each. Throws Error(kInternal) when names or numbers of them collide.
  ConfigSchema(std::string_view verb, const google::protobuf::Descriptor& own,
               const google::protobuf::Descriptor* common,
               const google::protobuf::Descriptor* borrowed = nullptr,
               const std::vector<NestedVerb>& nested = {});
  static constexpr int kBaseField = 51;

  [[nodiscard]] const std::string& verb() const { return verb_; }
  [[nodiscard]] const google::protobuf::Descriptor& descriptor() const { return *descriptor_; }
  // Every leaf, the verb's own first, in the order of declaration.
  [[nodiscard]] const std::vector<Field>& fields() const { return fields_; }
  [[nodiscard]] const Field* find(std::string_view dotted_name) const;  // null: no such leaf
  [[nodiscard]] bool is_group(std::string_view dotted_name) const;
  // Throws Error(kUsage) with the nearest name when there is no such leaf or it is a group.
  [[nodiscard]] const Field& field(std::string_view dotted_name) const;
  // Error(kUsage) for an unknown field with the nearest name. `written` says what and where.
  [[noreturn]] void throw_unknown(std::string_view name, std::string_view written) const;
  [[nodiscard]] std::unique_ptr<google::protobuf::Message> make_message() const;

 private:
  void add_leaves(const google::protobuf::Descriptor& group, const Field::Path& path);

  std::string verb_;
  google::protobuf::DescriptorPool pool_;
  std::unique_ptr<google::protobuf::DynamicMessageFactory> factory_;
  const google::protobuf::Descriptor* descriptor_ = nullptr;
  std::vector<Field> fields_;
};

}  // namespace orthant
