#include "models/transformer/kv_cache.h"

namespace orthant::models {
namespace {

int64_t whole_panels(int64_t positions) {
  return (positions + kernels::kKeyPanel - 1) / kernels::kKeyPanel * kernels::kKeyPanel;
}

}  // namespace

kernels::AttentionShape attention_shape(const ModelConfig& config) {
  return {.heads = config.heads, .kv_heads = config.kv_heads, .head_dim = config.head_dim};
}

KvCache::KvCache(Memory& memory, const ModelConfig& config, int64_t layers, int64_t positions, int64_t slots)
    : shape_(attention_shape(config)), layers_(layers), room_(positions + slots * (kernels::kKeyPanel - 1)) {
  const int64_t floats = kernels::cache_floats(shape_, whole_panels(room_));
  keys_ = {memory, "kv cache", {layers, floats}};
  values_ = {memory, "kv cache", {layers, floats}};
}

void KvCache::assign(std::span<const int64_t> capacities) {
  lengths_.assign(capacities.size(), 0);
  capacities_.clear();
  begins_.clear();
  int64_t begin = 0;
  for (const int64_t capacity : capacities) {
    capacities_.push_back(whole_panels(capacity));
    begins_.push_back(begin);
    begin += capacities_.back();
  }
  require(begin <= whole_panels(room_), "the key-value cache has room for its slots");
}

kernels::AttentionSequence KvCache::sequence(int64_t layer, int64_t slot, int64_t first_row, int64_t rows) {
  const auto index = static_cast<size_t>(slot);
  const int64_t offset = kernels::cache_floats(shape_, begins_[index]);
  return {.first_row = first_row,
          .rows = rows,
          .first_position = lengths_[index],
          .capacity = capacities_[index],
          .keys = keys_.view().row(layer) + offset,
          .values = values_.view().row(layer) + offset};
}

}  // namespace orthant::models
