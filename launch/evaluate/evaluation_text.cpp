#include "launch/evaluate/evaluation_text.h"

#include <algorithm>

#include "models/text/token_rows.h"
#include "runtime/storage/activation_store.h"
#include "runtime/storage/row_selection.h"

namespace orthant::launch {
namespace {

constexpr int64_t kReadRows = 65536;

// Collects held-out sequences, and all sequences for the case that none is held out.
class Collector {
 public:
  Collector(double holdout, int64_t tokens) : holdout_(holdout), tokens_(tokens) {}

  void add_token(int32_t token_id, int64_t document) {
    open_.push_back(token_id);
    open_is_held_out_ = open_is_held_out_ && is_held_out(document, holdout_);
  }
  void end_sequence() {
    if (open_.size() >= 2) {
      if (open_is_held_out_) keep(held_out_);
      keep(all_);
    }
    open_.clear();
    open_is_held_out_ = true;
  }
  [[nodiscard]] bool is_full() const { return is_full(held_out_); }
  [[nodiscard]] EvaluationText take() {
    const bool found = !held_out_.sequences.empty();
    return {std::move(found ? held_out_.sequences : all_.sequences), found};
  }

 private:
  struct Kept {
    std::vector<std::vector<int32_t>> sequences;
    int64_t tokens = 0;
  };
  [[nodiscard]] bool is_full(const Kept& kept) const { return tokens_ > 0 && kept.tokens >= tokens_; }
  void keep(Kept& kept) {
    if (is_full(kept)) return;
    kept.sequences.push_back(open_);
    kept.tokens += static_cast<int64_t>(open_.size());
  }

  double holdout_;
  int64_t tokens_;
  Kept held_out_;
  Kept all_;
  std::vector<int32_t> open_;
  bool open_is_held_out_ = true;
};

}  // namespace

EvaluationText text_of_store(const std::string& path, double holdout, int64_t tokens) {
  const StoreReader store(path);
  Collector collector(holdout, tokens);
  for (int64_t first = 0; first < store.rows() && !collector.is_full(); first += kReadRows) {
    LabelledNorms read;
    store.read_labels(first, std::min(kReadRows, store.rows() - first), read);
    for (size_t i = 0; i < read.labels.token_ids.size() && !collector.is_full(); ++i) {
      if (read.labels.positions[i] == 0) collector.end_sequence();
      collector.add_token(read.labels.token_ids[i], read.labels.documents[i]);
    }
  }
  if (!collector.is_full()) collector.end_sequence();
  return collector.take();
}

EvaluationText text_of_file(const std::string& path, const Source& source, const models::Tokenizer& tokenizer,
                            int64_t tokens, Log& log) {
  const models::TokenRows rows({.path = path,
                                .field = source.text_field(),
                                .split = models::text_split_from_name(source.text_split())},
                               {.context = source.context(), .tokens = 0, .bos = source.bos()}, &tokenizer);
  models::warn_of_invalid_utf8(log, path, rows.counts().invalid_utf8);
  Collector collector(source.holdout(), tokens);
  for (int64_t row = 0; row < rows.rows() && !collector.is_full(); ++row) {
    for (int64_t token = rows.first_token(row); token < rows.first_token(row + 1); ++token) {
      collector.add_token(rows.token_ids()[static_cast<size_t>(token)], rows.document_of(token));
    }
    collector.end_sequence();
  }
  return collector.take();
}

std::string token_text(const models::Tokenizer& tokenizer, int32_t token_id) {
  // A tokenizer may take a space off the front of a text; behind another token it stays.
  const std::string once = tokenizer.decode(std::vector<int32_t>{token_id});
  const std::string twice = tokenizer.decode(std::vector<int32_t>{token_id, token_id});
  int64_t replacements = 0;
  return models::replace_invalid_utf8(std::string_view(twice).substr(once.size()), replacements);
}

}  // namespace orthant::launch
