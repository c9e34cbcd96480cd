#include "models/text/token_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <limits>
#include <optional>

#include "runtime/core/error.h"
#include "runtime/core/hash.h"
#include "runtime/storage/npy.h"

namespace orthant::models {
namespace {

// Documents that are tokenised together, over threads.
constexpr int64_t kBatchBytes = 4 << 20;

std::optional<int32_t> row_start(const RowOptions& options, const Tokenizer& tokenizer) {
  if (!options.bos && !tokenizer.adds_bos()) return std::nullopt;
  if (tokenizer.bos()) return tokenizer.bos();
  throw Error(ExitCode::kConfig, {.problem = "a BOS is asked for",
                                  .why = "the model's tokenizer has no BOS token",
                                  .suggestion = "leave --bos out"});
}

int32_t separator_of(const Tokenizer& tokenizer) {
  if (tokenizer.eos()) return *tokenizer.eos();
  if (tokenizer.bos()) return *tokenizer.bos();
  throw Error(ExitCode::kConfig, {.problem = "documents cannot be packed",
                                  .why = "the model's tokenizer has neither EOS nor BOS",
                                  .suggestion = "leave --pack out"});
}

std::vector<std::vector<int32_t>> tokenize_all(const std::vector<std::string>& texts,
                                               const Tokenizer& tokenizer) {
  std::vector<std::vector<int32_t>> ids(texts.size());
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic)
  for (size_t i = 0; i < texts.size(); ++i) {
    try {
      ids[i] = tokenizer.encode(texts[i]);
    } catch (...) {
#pragma omp critical(orthant_tokenize_failure)
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
  return ids;
}

void check_context(const RowOptions& options, bool has_bos) {
  if (options.context >= (has_bos ? 2 : 1)) return;
  throw Error(ExitCode::kConfig, {.problem = fmt::format("context = {}", options.context),
                                  .why = "a row must hold at least one token beside its BOS",
                                  .suggestion = "use a larger --context"});
}

int64_t last_at_or_before(const std::vector<int64_t>& offsets, int64_t token) {
  return std::upper_bound(offsets.begin(), offsets.end(), token) - offsets.begin() - 1;
}

}  // namespace

TokenRows::TokenRows(const TextSource& source, const RowOptions& options, const Tokenizer* tokenizer) {
  if (std::filesystem::path(source.path).extension() == ".npy") {
    read_npy(source.path, options);
  } else {
    require(tokenizer != nullptr, "text needs a tokenizer");
    read_text(source, options, *tokenizer);
  }
  if (options.tokens > 0) truncate(options.tokens);
  for (int64_t row = 0; row < rows(); ++row) {
    longest_row_ = std::max(longest_row_, first_token(row + 1) - first_token(row));
  }
  counts_.documents = static_cast<int64_t>(document_offsets_.size()) - 1;
  counts_.empty_documents = counts_.documents;
  for (int64_t d = 0; d < counts_.documents; ++d) {
    const auto index = static_cast<size_t>(d);
    if (document_offsets_[index + 1] > document_offsets_[index]) --counts_.empty_documents;
  }
}

TokenRows::TokenRows(std::span<const std::vector<int32_t>> sequences) {
  for (const std::vector<int32_t>& ids : sequences) {
    require(!ids.empty(), "a sequence has tokens");
    token_ids_.insert(token_ids_.end(), ids.begin(), ids.end());
    finish_row();
    document_offsets_.push_back(tokens());
    longest_row_ = std::max(longest_row_, static_cast<int64_t>(ids.size()));
  }
  counts_.documents = static_cast<int64_t>(sequences.size());
}

void TokenRows::append(const TokenRows& more) {
  const int64_t before = tokens();
  token_ids_.insert(token_ids_.end(), more.token_ids_.begin(), more.token_ids_.end());
  const auto add_offsets = [&](std::vector<int64_t>& offsets, const std::vector<int64_t>& added) {
    for (size_t i = 1; i < added.size(); ++i) offsets.push_back(before + added[i]);
  };
  add_offsets(row_offsets_, more.row_offsets_);
  add_offsets(document_offsets_, more.document_offsets_);
  longest_row_ = std::max(longest_row_, more.longest_row_);
  counts_.documents += more.counts_.documents;
  counts_.empty_documents += more.counts_.empty_documents;
  counts_.invalid_utf8 += more.counts_.invalid_utf8;
}

void TokenRows::read_npy(const std::string& path, const RowOptions& options) {
  const NpyReader reader(path);
  if (reader.shape().size() != 2 || reader.dtype() != Dtype::kI32) {
    throw Error(ExitCode::kData, {.problem = fmt::format("{} holds no rows of token ids", path),
                                  .why = fmt::format("it is {}-dimensional {}", reader.shape().size(),
                                                     name_of(reader.dtype())),
                                  .suggestion = "write int32 of shape [rows, context]"});
  }
  const int64_t width = reader.shape()[1];
  const std::vector<int64_t> values = reader.read_integers();
  for (int64_t row = 0; row < reader.shape()[0] && width > 0; ++row) {
    if (options.tokens > 0 && tokens() >= options.tokens) break;
    for (int64_t i = 0; i < width; ++i) {
      token_ids_.push_back(static_cast<int32_t>(values[static_cast<size_t>(row * width + i)]));
    }
    finish_row();
    document_offsets_.push_back(tokens());
  }
}

void TokenRows::read_text(const TextSource& source, const RowOptions& options, const Tokenizer& tokenizer) {
  const std::optional<int32_t> bos = row_start(options, tokenizer);
  const std::optional<int32_t> separator =
      options.pack ? std::optional<int32_t>(separator_of(tokenizer)) : std::nullopt;
  check_context(options, bos.has_value());
  std::vector<std::string> batch;
  int64_t batch_bytes = 0;
  const auto wants_more = [&] { return options.tokens == 0 || tokens() < options.tokens; };
  const auto flush = [&] {
    for (std::vector<int32_t>& ids : tokenize_all(batch, tokenizer)) {
      if (separator && !ids.empty()) ids.push_back(*separator);
      append_document(ids, options, bos);
    }
    batch.clear();
    batch_bytes = 0;
  };
  visit_documents(source, counts_, [&](std::string text) {
    batch_bytes += static_cast<int64_t>(text.size());
    batch.push_back(std::move(text));
    if (batch_bytes >= kBatchBytes) flush();
    return wants_more();
  });
  flush();
  if (options.pack) finish_row();
}

void TokenRows::append_document(std::span<const int32_t> ids, const RowOptions& options,
                                std::optional<int32_t> bos) {
  for (const int32_t id : ids) {
    if (tokens() - row_offsets_.back() == options.context) finish_row();
    if (bos && tokens() == row_offsets_.back()) token_ids_.push_back(*bos);
    token_ids_.push_back(id);
  }
  if (!options.pack) finish_row();
  document_offsets_.push_back(tokens());
}

void TokenRows::finish_row() {
  if (tokens() > row_offsets_.back()) row_offsets_.push_back(tokens());
}

void TokenRows::truncate(int64_t count) {
  if (tokens() <= count) return;
  token_ids_.resize(static_cast<size_t>(count));
  while (row_offsets_.size() > 1 && row_offsets_[row_offsets_.size() - 2] >= count) row_offsets_.pop_back();
  row_offsets_.back() = count;
  while (document_offsets_.size() > 1 && document_offsets_[document_offsets_.size() - 2] >= count) {
    document_offsets_.pop_back();
  }
  document_offsets_.back() = count;
}

int64_t TokenRows::row_of(int64_t token) const {
  return last_at_or_before(row_offsets_, token);
}

int64_t TokenRows::document_of(int64_t token) const {
  return last_at_or_before(document_offsets_, token);
}

std::string TokenRows::identity() const {
  HashStream hash;
  hash.update(token_ids_.data(), static_cast<int64_t>(token_ids_.size() * sizeof(int32_t)));
  hash.update(row_offsets_.data(), static_cast<int64_t>(row_offsets_.size() * sizeof(int64_t)));
  hash.update(document_offsets_.data(), static_cast<int64_t>(document_offsets_.size() * sizeof(int64_t)));
  return to_hex(hash.digest());
}

void check_rows(const TokenRows& rows, const std::string& path, int64_t context_length) {
  if (rows.tokens() == 0) {
    throw Error(ExitCode::kData,
                {.problem = fmt::format("the text at {} has no tokens", path),
                 .why = fmt::format("all of its {} documents are empty", rows.counts().documents),
                 .suggestion = "give another text"});
  }
  if (rows.longest_row() <= context_length) return;
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("the text at {} has a row of {} tokens", path, rows.longest_row()),
               .why = fmt::format("the model's context is {}", context_length),
               .suggestion = fmt::format("use a context of at most {}", context_length)});
}

}  // namespace orthant::models
