// Rows of two models, or of two hooks of one, at the same tokens: from stores, or made live by one forward
// of each model that feeds all hooks. Not Collective; one thread.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "launch/diff/paired_models.h"
#include "runtime/device/tensor.h"
#include "runtime/job/activation_source.h"

namespace orthant::launch {

// The fields of a verb that say where the rows come from.
struct PairedRowFields {
  std::vector<std::string> hooks;
  std::vector<std::string> other_hooks;  // empty: those of `hooks`
  std::vector<std::string> stores;
  std::vector<std::string> other_stores;
  PairedModelFields models = {};  // not looked at where stores are given
  int64_t tokens = 0;             // first so many; 0: all
  int64_t block_tokens = 0;
  std::vector<int32_t> excluded_positions;
  bool has_other = true;  // false: the first rows alone are wanted
};

// What is compared at one place: hook or store, with its name, of both sides.
struct PairedPlace {
  std::string name;
  std::string other_name = {};
  int64_t width = 0;
  int64_t other_width = 0;
};

struct PairedBlock {
  std::vector<Matrix<const float>> first;  // of each place [tokens, width]; valid until the next block
  std::vector<Matrix<const float>> other;  // of each place [tokens, other_width]; empty without another side
  std::vector<int64_t> counted;            // tokens of the block that are not excluded, ascending
};

struct PairedRows {
  std::vector<PairedPlace> places;
  std::vector<int64_t> offsets;  // block b is tokens [offsets[b], offsets[b + 1])
  std::string identity;          // of the rows
  std::function<PairedBlock(int64_t block)> read;
};

template <typename M>
[[nodiscard]] PairedRowFields paired_row_fields(const M& own) {
  PairedRowFields fields{
      .hooks = {own.hook().begin(), own.hook().end()},
      .other_hooks = {own.other_hook().begin(), own.other_hook().end()},
      .stores = {own.store().begin(), own.store().end()},
      .other_stores = {own.other_store().begin(), own.other_store().end()},
      .tokens = own.tokens(),
      .block_tokens = own.block_tokens(),
      .excluded_positions = {own.exclude_positions().begin(), own.exclude_positions().end()}};
  if (fields.excluded_positions.empty()) fields.excluded_positions = {0};
  if (fields.stores.empty()) fields.models = paired_model_fields(own);
  return fields;
}

// Places in `positions` [tokens] of those that are not excluded, ascending.
[[nodiscard]] std::vector<int64_t> counted_tokens(std::span<const int32_t> positions,
                                                  const std::vector<int32_t>& excluded);

// What `pair` gives: its places(), offsets(), identity() and read(block). It lives as long as the rows.
template <typename Pair>
[[nodiscard]] PairedRows paired_rows_of(std::shared_ptr<Pair> pair) {
  return {.places = pair->places(),
          .offsets = pair->offsets(),
          .identity = pair->identity(),
          .read = [pair](int64_t block) { return pair->read(block); }};
}

// Throws Error(kConfig) where fields are missing or do not fit, and where the two sides are of different
// tokens, naming the first.
[[nodiscard]] PairedRows open_paired_rows(const PairedRowFields& fields, Memory& memory, Log& log);

// Throws Error(kConfig) where the two sides of a place have different widths.
void refuse_different_widths(const PairedRows& rows);

}  // namespace orthant::launch
