// A dictionary whose parameters the host may read: the very same one where they are on the CPU, a copy
// otherwise. The dictionary outlives it and does not change. Not thread-safe.
#pragma once

#include <optional>

#include "sae/dictionary/dictionary.h"

namespace orthant::sae {

class HostDictionary {
 public:
  explicit HostDictionary(const Dictionary& dictionary) : read_(&dictionary) {
    if (dictionary.encoder.view().device == kCpu) return;
    copy_.emplace(copy_of(dictionary, memory_, "host copy"));
    read_ = &*copy_;
  }
  HostDictionary(const HostDictionary&) = delete;
  HostDictionary& operator=(const HostDictionary&) = delete;

  [[nodiscard]] const Dictionary& operator*() const { return *read_; }
  [[nodiscard]] const Dictionary* operator->() const { return read_; }

 private:
  Memory memory_;
  std::optional<Dictionary> copy_;
  const Dictionary* read_;
};

}  // namespace orthant::sae
