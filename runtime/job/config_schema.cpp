#include "runtime/job/config_schema.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <set>

#include "runtime/core/error.h"
#include "runtime/job/nearest_name.h"
#include "runtime/job/schema.pb.h"

namespace orthant {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;

void copy_fields(const Descriptor& from, google::protobuf::DescriptorProto& into,
                 std::set<std::string>& files) {
  for (int i = 0; i < from.field_count(); ++i) {
    const FieldDescriptor& field = *from.field(i);
    field.CopyTo(into.add_field());
    if (field.message_type() != nullptr) files.insert(field.message_type()->file()->name());
    if (field.enum_type() != nullptr) files.insert(field.enum_type()->file()->name());
  }
}

// A message whose fields are the configurations of verbs, and a list of it in `joined`. It is a list so that
// its fields are no flags: there would be as many as all verbs have.
void add_base(const std::vector<NestedVerb>& nested, google::protobuf::DescriptorProto& joined,
              std::set<std::string>& files) {
  using google::protobuf::FieldDescriptorProto;
  auto& base = *joined.add_nested_type();
  base.set_name("Base");
  const std::string scope = ".orthant.joined." + joined.name();
  int number = 0;
  for (const NestedVerb& verb : nested) {
    auto& message = *base.add_nested_type();
    message.set_name(verb.name + "_config");
    copy_fields(*verb.own, message, files);
    if (verb.common != nullptr) copy_fields(*verb.common, message, files);
    auto& field = *base.add_field();
    field.set_name(verb.name);
    field.set_number(++number);
    field.set_label(FieldDescriptorProto::LABEL_OPTIONAL);
    field.set_type(FieldDescriptorProto::TYPE_MESSAGE);
    field.set_type_name(scope + ".Base." + message.name());
    field.mutable_options()->SetExtension(orthant::when_set, true);
  }
  auto& list = *joined.add_field();
  list.set_name("base");
  list.set_number(ConfigSchema::kBaseField);
  list.set_label(FieldDescriptorProto::LABEL_REPEATED);
  list.set_type(FieldDescriptorProto::TYPE_MESSAGE);
  list.set_type_name(scope + ".Base");
  list.mutable_options()->SetExtension(
      orthant::help, "configuration that the cells share: one verb's, as a group of its name");
}

}  // namespace

ConfigSchema::ConfigSchema(std::string_view verb, const Descriptor& own, const Descriptor* common,
                           const Descriptor* borrowed, const std::vector<NestedVerb>& nested)
    : verb_(verb), pool_(DescriptorPool::generated_pool()) {
  google::protobuf::FileDescriptorProto file;
  file.set_name("orthant/joined.proto");
  file.set_package("orthant.joined");
  auto& joined = *file.add_message_type();
  joined.set_name(own.name());
  std::set<std::string> files;
  copy_fields(own, joined, files);
  if (borrowed != nullptr) copy_fields(*borrowed, joined, files);
  if (common != nullptr) copy_fields(*common, joined, files);
  if (!nested.empty()) add_base(nested, joined, files);
  for (const std::string& name : files) file.add_dependency(name);
  const auto* built = pool_.BuildFile(file);
  require(built != nullptr,
          fmt::format("the fields of verb '{}' and the common fields have distinct names and numbers", verb));
  descriptor_ = built->message_type(0);
  factory_ = std::make_unique<google::protobuf::DynamicMessageFactory>(&pool_);
  add_leaves(*descriptor_, {});
}

void ConfigSchema::add_leaves(const Descriptor& group, const Field::Path& path) {
  for (int i = 0; i < group.field_count(); ++i) {
    const FieldDescriptor* field = group.field(i);
    Field::Path longer = path;
    longer.push_back(field);
    const bool single_group = field->message_type() != nullptr && !field->is_repeated();
    if (single_group) {
      add_leaves(*field->message_type(), longer);
    } else {
      fields_.emplace_back(std::move(longer));
    }
  }
}

const Field* ConfigSchema::find(std::string_view dotted_name) const {
  const auto found =
      std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.name() == dotted_name; });
  return found == fields_.end() ? nullptr : &*found;
}

bool ConfigSchema::is_group(std::string_view dotted_name) const {
  const std::string prefix = std::string(dotted_name) + ".";
  return std::any_of(fields_.begin(), fields_.end(),
                     [&](const Field& f) { return f.name().starts_with(prefix); });
}

const Field& ConfigSchema::field(std::string_view dotted_name) const {
  const Field* found = find(dotted_name);
  if (found != nullptr) return *found;
  if (!is_group(dotted_name)) throw_unknown(dotted_name, fmt::format("'--{}'", dotted_name));
  const std::string prefix = std::string(dotted_name) + ".";
  const auto first = std::find_if(fields_.begin(), fields_.end(),
                                  [&](const Field& f) { return f.name().starts_with(prefix); });
  throw Error(ExitCode::kUsage,
              {.problem = fmt::format("--{} takes no value", dotted_name),
               .why = "it is a group of fields",
               .suggestion = fmt::format("Set a field of it, for example --{}.", first->name())});
}

void ConfigSchema::throw_unknown(std::string_view name, std::string_view written) const {
  std::vector<std::string> names;
  for (const Field& field : fields_) names.push_back(field.name());
  const std::string nearest = nearest_name(name, names);
  throw Error(ExitCode::kUsage,
              {.problem = fmt::format("unknown field {}", written),
               .why = fmt::format("verb '{}' has no field of this name", verb_),
               .suggestion = nearest.empty() ? fmt::format("`orthant {} --help` lists all fields.", verb_)
                                             : fmt::format("Did you mean --{}?", nearest)});
}

std::unique_ptr<google::protobuf::Message> ConfigSchema::make_message() const {
  return std::unique_ptr<google::protobuf::Message>(factory_->GetPrototype(descriptor_)->New());
}

}  // namespace orthant
