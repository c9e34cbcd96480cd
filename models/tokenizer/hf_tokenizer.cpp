#include "models/tokenizer/hf_tokenizer.h"

#include <fmt/format.h>

#include <filesystem>

#include "models/formats/json_file.h"
#include "models/tokenizer/byte_alphabet.h"
#include "models/tokenizer/byte_level_bpe.h"
#include "models/tokenizer/hf_text_steps.h"
#include "models/tokenizer/sentence_piece_bpe.h"
#include "runtime/core/error.h"
#include "runtime/storage/file.h"

namespace orthant::models {
namespace {

namespace fs = std::filesystem;
using boost::json::value;

constexpr int64_t kLargestVocabulary = 1 << 24;

struct TokenTable {
  std::vector<std::string> tokens;  // by id, as the file writes them
  std::vector<bool> in_model;       // by id; false: an added token only
  std::vector<AddedToken> added;
  std::unordered_set<int32_t> specials;
};

void set_token(TokenTable& table, const std::string& path, int64_t id, std::string_view text, bool in_model) {
  if (id < 0 || id >= kLargestVocabulary) {
    throw Error(ExitCode::kData, {.problem = fmt::format("the tokenizer {} is damaged", path),
                                  .why = fmt::format("token \"{}\" has id {}", text, id),
                                  .suggestion = "fetch the file again"});
  }
  const auto at = static_cast<size_t>(id);
  if (at >= table.tokens.size()) {
    table.tokens.resize(at + 1);
    table.in_model.resize(at + 1, false);
  }
  table.tokens[at] = text;
  table.in_model[at] = table.in_model[at] || in_model;
}

TokenTable read_tokens(const JsonFields& tokenizer, const JsonFields& model, const std::string& path) {
  TokenTable table;
  for (const auto& [text, id] : model.required_object("vocab")) {
    if (!id.is_int64()) model.refuse("vocab", "an integer id is expected for every token");
    set_token(table, path, id.get_int64(), text, true);
  }
  if (tokenizer.find("added_tokens") == nullptr) return table;
  for (const value& element : tokenizer.required_array("added_tokens")) {
    const JsonFields token(element, path, "an added token");
    (void)token.required("id");
    const std::string text = token.text("content").value_or("");
    if (token.boolean("single_word").value_or(false)) {
      throw Error(ExitCode::kConfig,
                  {.problem = fmt::format("added token \"{}\" of {} is single_word", text, path),
                   .why = "such tokens are not supported",
                   .suggestion = "use another tokenizer"});
    }
    const int64_t id = *token.integer("id");
    set_token(table, path, id, text, false);
    if (token.boolean("special").value_or(false)) table.specials.insert(static_cast<int32_t>(id));
    table.added.push_back({text, static_cast<int32_t>(id), token.boolean("lstrip").value_or(false),
                           token.boolean("rstrip").value_or(false)});
  }
  return table;
}

// Written "left right" or, in newer files, ["left", "right"].
std::vector<std::pair<std::string, std::string>> read_merges(const JsonFields& model) {
  std::vector<std::pair<std::string, std::string>> merges;
  for (const value& merge : model.required_array("merges")) {
    if (const auto* pair = merge.if_array()) {
      if (pair->size() != 2 || !pair->at(0).is_string() || !pair->at(1).is_string()) {
        model.refuse("merges", "two strings are expected for every merge");
      }
      merges.emplace_back(pair->at(0).get_string(), pair->at(1).get_string());
      continue;
    }
    if (!merge.is_string()) model.refuse("merges", "strings are expected");
    const std::string_view text = merge.get_string();
    const size_t space = text.find(' ');
    if (space == std::string_view::npos) model.refuse("merges", fmt::format("\"{}\" has one side", text));
    merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
  return merges;
}

// Whether the template that wraps a single text begins with a special token.
bool post_processor_adds_bos(const value& section, const std::string& path) {
  const JsonFields processor(section, path, "post_processor");
  const std::string type = processor.text("type").value_or("");
  if (type == "Sequence") {
    for (const value& inner : processor.required_array("processors")) {
      if (post_processor_adds_bos(inner, path)) return true;
    }
    return false;
  }
  if (type != "TemplateProcessing") return false;
  const boost::json::array& single = processor.required_array("single");
  return !single.empty() && single.front().is_object() &&
         single.front().get_object().contains("SpecialToken");
}

// A token is written as its text or as an object with the text as content.
std::string token_text(const JsonFields& fields, std::string_view key, const std::string& path) {
  const value* token = fields.find(key);
  if (token == nullptr) return {};
  if (token->is_string()) return std::string(token->get_string());
  return JsonFields(*token, path, key).text("content").value_or("");
}

// One template, or a list of named ones of which "default" counts.
std::string chat_template_text(const JsonFields& fields, const std::string& path) {
  const value* chat = fields.find("chat_template");
  if (chat == nullptr) return {};
  if (!chat->is_array()) return fields.text("chat_template").value_or("");
  for (const value& named : chat->get_array()) {
    const JsonFields entry(named, path, "a chat template");
    if (entry.text("name") == "default") return entry.text("template").value_or("");
  }
  return {};
}

std::optional<int32_t> find_token(const TokenTable& table, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto found = std::ranges::find(table.tokens, text);
  if (found == table.tokens.end()) return std::nullopt;
  return static_cast<int32_t>(found - table.tokens.begin());
}

// The ids of tokens that a file beside the tokenizer has under `key`: a number or a list of them.
std::vector<int32_t> configured_ids(const fs::path& file, std::string_view key, size_t tokens) {
  const std::string path = file.string();
  if (!fs::exists(path)) return {};
  const value parsed = read_json_file(path);
  const value* found = JsonFields(parsed, path, "the whole").find(key);
  if (found == nullptr) return {};
  std::vector<int32_t> ids;
  for (const value& id : found->is_array() ? found->get_array() : boost::json::array{*found}) {
    const bool known = id.is_int64() && id.get_int64() >= 0 && id.get_int64() < static_cast<int64_t>(tokens);
    if (known) ids.push_back(static_cast<int32_t>(id.get_int64()));
  }
  return ids;
}

// The one of config.json; of a list the first.
std::optional<int32_t> configured_id(const fs::path& folder, std::string_view key, size_t tokens) {
  const std::vector<int32_t> ids = configured_ids(folder / "config.json", key, tokens);
  return ids.empty() ? std::nullopt : std::optional(ids[0]);
}

struct SpecialSettings {
  std::string bos;
  std::string eos;
  std::optional<bool> adds_bos;
  std::string chat_template;
};

SpecialSettings read_settings(const fs::path& folder) {
  SpecialSettings settings;
  const std::string path = (folder / "tokenizer_config.json").string();
  if (fs::exists(path)) {
    const value parsed = read_json_file(path);
    const JsonFields fields(parsed, path, "the whole");
    settings.bos = token_text(fields, "bos_token", path);
    settings.eos = token_text(fields, "eos_token", path);
    settings.adds_bos = fields.boolean("add_bos_token");
    settings.chat_template = chat_template_text(fields, path);
  }
  const fs::path separate = folder / "chat_template.jinja";
  if (settings.chat_template.empty() && fs::exists(separate))
    settings.chat_template = read_file(separate.string());
  return settings;
}

// All but the tokens themselves.
Vocabulary read_vocabulary(const JsonFields& tokenizer, const TokenTable& table, const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  const SpecialSettings settings = read_settings(folder);
  Vocabulary vocabulary;
  vocabulary.added = AddedTokens(table.added);
  vocabulary.bos = find_token(table, settings.bos);
  vocabulary.eos = find_token(table, settings.eos);
  if (!vocabulary.bos) vocabulary.bos = configured_id(folder, "bos_token_id", table.tokens.size());
  if (!vocabulary.eos) vocabulary.eos = configured_id(folder, "eos_token_id", table.tokens.size());
  vocabulary.add_end(vocabulary.eos);
  // Where both are there the first alone counts, as for transformers.
  const bool has_own = fs::exists(folder / "generation_config.json");
  for (const int32_t id : configured_ids(folder / (has_own ? "generation_config.json" : "config.json"),
                                         "eos_token_id", table.tokens.size()))
    vocabulary.add_end(id);
  vocabulary.specials = table.specials;
  const value* processor = tokenizer.find("post_processor");
  const bool by_template = processor != nullptr && post_processor_adds_bos(*processor, path);
  vocabulary.adds_bos = vocabulary.bos.has_value() && settings.adds_bos.value_or(by_template);
  vocabulary.chat = recognise_chat_template(settings.chat_template, settings.bos, settings.eos);
  return vocabulary;
}

std::unique_ptr<Tokenizer> byte_level(Vocabulary vocabulary, const TokenTable& table, const JsonFields& model,
                                      HfTextSteps steps, const std::string& path) {
  ByteLevelParts parts{.vocabulary = std::move(vocabulary),
                       .merges = read_merges(model),
                       .pre_tokenizer = std::move(steps.pre_tokenizer),
                       .ignore_merges = model.boolean("ignore_merges").value_or(false)};
  for (size_t id = 0; id < table.tokens.size(); ++id) {
    const std::string& token = table.tokens[id];
    parts.vocabulary.tokens.push_back(table.in_model[id] ? bytes_from_alphabet(token) : token);
  }
  for (auto& [left, right] : parts.merges) {
    left = bytes_from_alphabet(left);
    right = bytes_from_alphabet(right);
  }
  return make_byte_level_bpe(std::move(parts), path);
}

PieceKind piece_kind(const TokenTable& table, size_t id, bool byte_fallback) {
  const std::string& token = table.tokens[id];
  if (byte_fallback && token.size() == 6 && token.starts_with("<0x") && token.back() == '>')
    return PieceKind::kByte;
  return table.in_model[id] ? PieceKind::kNormal : PieceKind::kControl;
}

std::unique_ptr<Tokenizer> sentence_piece(Vocabulary vocabulary, const TokenTable& table,
                                          const JsonFields& model, const HfTextSteps& steps,
                                          const std::string& path) {
  SentencePieceParts parts;
  parts.vocabulary = std::move(vocabulary);
  parts.vocabulary.tokens = table.tokens;
  const bool byte_fallback = model.boolean("byte_fallback").value_or(false);
  for (size_t id = 0; id < table.tokens.size(); ++id)
    parts.kinds.push_back(piece_kind(table, id, byte_fallback));
  parts.merges = read_merges(model);
  parts.unknown = find_token(table, model.text("unk_token").value_or(""));
  parts.prefix_space = steps.prefix_space;
  parts.strips_leading_space = steps.strips_leading_space;
  parts.prefix_unless_present = steps.prefix_unless_present;
  parts.split_at_spaces = steps.split_at_spaces;
  return make_sentence_piece_bpe(std::move(parts), path);
}

void check_model(const JsonFields& model, const std::string& path) {
  const std::string type = model.text("type").value_or("BPE");
  const bool marks_words = !model.text("continuing_subword_prefix").value_or("").empty() ||
                           !model.text("end_of_word_suffix").value_or("").empty();
  if (type == "BPE" && !marks_words) return;
  throw Error(ExitCode::kConfig, {.problem = fmt::format("the tokenizer {} is of kind {}{}", path, type,
                                                         marks_words ? " with marks" : ""),
                                  .why = "byte-level BPE and SentencePiece-style BPE are supported",
                                  .suggestion = "use a model with one of these tokenizers"});
}

}  // namespace

std::unique_ptr<Tokenizer> open_hf_tokenizer(const std::string& path) {
  const value parsed = read_json_file(path);
  const JsonFields tokenizer(parsed, path, "the whole");
  const JsonFields model(tokenizer.required("model"), path, "model");
  check_model(model, path);
  HfTextSteps steps = read_hf_text_steps(tokenizer, path);
  const TokenTable table = read_tokens(tokenizer, model, path);
  Vocabulary vocabulary = read_vocabulary(tokenizer, table, path);
  if (!steps.byte_level) return sentence_piece(std::move(vocabulary), table, model, steps, path);
  return byte_level(std::move(vocabulary), table, model, std::move(steps), path);
}

}  // namespace orthant::models
