#include <fmt/format.h>

#include <boost/json.hpp>
#include <iterator>

#include "launch/config.pb.h"
#include "launch/program/required_field.h"
#include "launch/program/verb.h"
#include "launch/source/text_file.h"
#include "models/tokenizer/tokenizer.h"

namespace orthant::launch {
namespace {

boost::json::array ids_of(const models::Tokenizer& tokenizer, const std::string& text, bool bos) {
  std::vector<int32_t> ids = tokenizer.encode(text);
  if ((bos || tokenizer.adds_bos()) && tokenizer.bos()) ids.insert(ids.begin(), *tokenizer.bos());
  return boost::json::value_from(ids).as_array();
}

ExitCode run(Invocation& invocation) {
  const auto& config = invocation.own<LmTokenize>();
  if (config.text_file().empty() == config.jsonl().empty()) {
    throw Error(ExitCode::kConfig, {.problem = "nothing to tokenize, or too much",
                                    .why = "exactly one of text_file and jsonl is needed",
                                    .suggestion = "give --text_file or --jsonl"});
  }
  const auto tokenizer = models::open_tokenizer(required_field("model", config.model()), config.tokenizer());
  if (config.jsonl().empty()) {
    const std::string text = read_text_file(config.text_file(), invocation.log);
    return invocation.finish(boost::json::object{{"ids", ids_of(*tokenizer, text, config.bos())}});
  }
  boost::json::array all;
  visit_json_values(config.jsonl(), invocation.log, [&](const boost::json::value& value, int64_t line) {
    if (!value.is_string()) throw_unusable_line(config.jsonl(), line, "no JSON string");
    all.push_back(ids_of(*tokenizer, std::string(value.as_string()), config.bos()));
  });
  return invocation.finish(all);
}

// One document a line.
std::string table(const boost::json::value& result) {
  std::string text;
  const auto add_line = [&](const boost::json::array& ids) {
    for (const auto& id : ids) fmt::format_to(std::back_inserter(text), "{} ", id.to_number<int64_t>());
    if (!ids.empty()) text.pop_back();
    text += '\n';
  };
  if (result.is_object()) {
    add_line(result.at("ids").as_array());
  } else {
    for (const auto& ids : result.as_array()) add_line(ids.as_array());
  }
  return text;
}

}  // namespace

Verb lm_tokenize_verb() {
  return {.name = "lm tokenize",
          .summary = "turn text into token ids",
          .schema = LmTokenize::descriptor(),
          .run_use = RunUse::kOptional,
          .run = run,
          .table = table};
}

}  // namespace orthant::launch
