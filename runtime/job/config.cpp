#include "runtime/job/config.h"

#include <fmt/format.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <regex>
#include <sstream>

#include "runtime/job/schema.pb.h"

namespace orthant {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Keeps the first problem of a text-format parse.
class FirstProblem : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (!message_.empty()) return;
    message_ = message;
    place_ = fmt::format("{}:{}", line + 1, column + 1);
  }
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] const std::string& place() const { return place_; }

 private:
  std::string message_;
  std::string place_;
};

// The first group of `pattern` in `text`, or "".
std::string captured(const std::string& text, const char* pattern) {
  std::smatch match;
  return std::regex_search(text, match, std::regex(pattern)) ? match[1].str() : std::string();
}

void merge_json(const ConfigSchema& schema, std::string_view text, std::string_view origin,
                Message& message) {
  const auto part = schema.make_message();
  const auto status = google::protobuf::util::JsonStringToMessage(std::string(text), part.get());
  if (status.ok()) return message.MergeFrom(*part);
  const std::string problem(status.message());
  const std::string unknown = captured(problem, R"(([A-Za-z0-9_]+): Cannot find field)");
  if (!unknown.empty()) schema.throw_unknown(unknown, fmt::format("'{}' in '{}'", unknown, origin));
  throw Error(ExitCode::kConfig, {.problem = fmt::format("'{}' is not a configuration", origin),
                                  .why = problem,
                                  .suggestion = "Write fields as `orthant VERB --help` lists them."});
}

void merge_text_format(const ConfigSchema& schema, std::string_view text, std::string_view origin,
                       Message& message) {
  FirstProblem problem;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&problem);
  const auto part = schema.make_message();
  if (parser.ParseFromString(std::string(text), part.get())) return message.MergeFrom(*part);
  const std::string unknown = captured(problem.message(), R"(has no field named "([^"]*)\")");
  if (!unknown.empty())
    schema.throw_unknown(unknown, fmt::format("'{}' at {}:{}", unknown, origin, problem.place()));
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("{}:{} is not a configuration", origin, problem.place()),
               .why = problem.message(),
               .suggestion = "Write fields as `orthant VERB --help` lists them."});
}

void fill_defaults(Message& message);

void fill_default(Message& message, const FieldDescriptor& field) {
  const auto& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return;
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      fill_defaults(*reflection.MutableRepeatedMessage(&message, &field, i));
    }
    return;
  }
  const bool present = reflection.HasField(message, &field);
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    if (present || !field.options().GetExtension(orthant::when_set)) {
      fill_defaults(*reflection.MutableMessage(&message, &field));
    }
    return;
  }
  if (!present && field.has_default_value()) Field({&field}).set(message, Field({&field}).default_text());
}

void fill_defaults(Message& message) {
  const auto& descriptor = *message.GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) fill_default(message, *descriptor.field(i));
}

}  // namespace

Config::Config(std::shared_ptr<const ConfigSchema> schema)
    : schema_(std::move(schema)), message_(schema_->make_message()) {}

void Config::merge_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (file) content << file.rdbuf();
  if (!file) {
    throw Error(ExitCode::kIo, {.problem = fmt::format("cannot read the configuration '{}'", path),
                                .why = std::strerror(errno),
                                .suggestion = "Check --config."});
  }
  merge_text(content.str(), path);
}

void Config::merge_text(std::string_view text, std::string_view origin) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  const bool is_json = start != std::string_view::npos && text[start] == '{';
  is_json ? merge_json(*schema_, text, origin, *message_)
          : merge_text_format(*schema_, text, origin, *message_);
}

void Config::set(std::string_view dotted_name, std::string_view value) {
  const Field& field = schema_->field(dotted_name);
  if (field.is_group()) {
    throw Error(ExitCode::kUsage, {.problem = fmt::format("--{} cannot be set by a flag", dotted_name),
                                   .why = "it is a list of groups",
                                   .suggestion = "Write it in a file and give it with --config."});
  }
  const bool first = set_by_flag_.emplace(dotted_name).second;
  if (first && field.is_repeated()) field.clear(*message_);
  field.set(*message_, value);
}

void Config::set_default(std::string_view dotted_name, std::string_view value) {
  const Field& field = schema_->field(dotted_name);
  if (!field.value_text(*message_)) field.set(*message_, value);
}

std::optional<std::string> Config::value_text(std::string_view dotted_name) const {
  return schema_->field(dotted_name).value_text(*message_);
}

void Config::resolve() {
  fill_defaults(*message_);
  for (const Field& field : schema_->fields()) field.check(*message_);
}

std::string Config::text() const {
  std::string text;
  google::protobuf::TextFormat::PrintToString(*message_, &text);
  return text;
}

std::string Config::json() const {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(*message_, &text, options);
  require(status.ok(), "a resolved configuration prints as JSON");
  return text;
}

std::string Config::job_text() const {
  std::string lines;
  for (const Field& field : schema_->fields()) {
    if (field.is_execution()) continue;
    const std::optional<std::string> value = field.value_text(*message_);
    if (value) lines += fmt::format("{}={}\n", field.name(), *value);
  }
  return lines;
}

Hash128 Config::key() const {
  std::string canonical = schema_->verb() + "\n";
  for (const Field& field : schema_->fields()) {
    if (field.is_execution()) continue;
    const std::optional<std::string> value = field.value_text(*message_);
    if (value) canonical += fmt::format("{}={}:{}\n", field.name(), value->size(), *value);
  }
  return hash128(canonical);
}

std::vector<FieldDifference> Config::differences_from(const Config& before) const {
  require(schema_->verb() == before.schema_->verb(), "configurations of one verb are compared");
  std::vector<FieldDifference> differences;
  for (const Field& field : schema_->fields()) {
    if (field.is_execution()) continue;
    const std::optional<std::string> now = field.value_text(*message_);
    const Field* old_field = before.schema_->find(field.name());
    const std::optional<std::string> then =
        old_field == nullptr ? std::nullopt : old_field->value_text(*before.message_);
    if (now == then) continue;
    const std::optional<double> number_then =
        old_field == nullptr ? std::nullopt : old_field->number(*before.message_);
    const bool raised = field.may_be_raised() && number_then && field.number(*message_) > number_then;
    if (!raised) differences.push_back({field.name(), then.value_or("unset"), now.value_or("unset")});
  }
  return differences;
}

std::vector<std::pair<std::string, std::string>> Config::nested_texts() const {
  std::vector<std::pair<std::string, std::string>> texts;
  const FieldDescriptor* base = schema_->descriptor().FindFieldByNumber(ConfigSchema::kBaseField);
  if (base == nullptr || base->name() != "base") return texts;
  const auto& reflection = *message_->GetReflection();
  for (int i = 0; i < reflection.FieldSize(*message_, base); ++i) {
    const Message& group = reflection.GetRepeatedMessage(*message_, base, i);
    std::vector<const FieldDescriptor*> verbs;
    group.GetReflection()->ListFields(group, &verbs);
    for (const FieldDescriptor* verb : verbs) {
      std::string text;
      google::protobuf::TextFormat::PrintToString(group.GetReflection()->GetMessage(group, verb), &text);
      texts.emplace_back(verb->name(), text);
    }
  }
  return texts;
}

void Config::copy_into(Message& part) const {
  require(part.ParseFromString(message_->SerializeAsString()), "a configuration is readable as a part of it");
  part.DiscardUnknownFields();
}

}  // namespace orthant
