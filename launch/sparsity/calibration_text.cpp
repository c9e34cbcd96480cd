#include "launch/sparsity/calibration_text.h"

#include <fmt/format.h>

#include <filesystem>

#include "launch/program/refuse.h"
#include "models/tasks/harness/read_task.h"
#include "models/text/documents.h"
#include "runtime/core/hash.h"
#include "runtime/storage/file.h"

namespace orthant::launch {
namespace {

std::string path_of(const Sparsity& own) {
  if (!own.calibration().text().empty()) return own.calibration().text();
  if (!own.data().empty()) {
    const models::TaskSpec& windows = models::find_task("window_perplexity");
    std::vector<std::filesystem::path> folders = {own.data()};
    for (const std::string& name : windows.folders)
      folders.push_back(std::filesystem::path(own.data()) / name);
    for (const char* name : {"train.txt", "valid.txt"}) {
      for (const auto& folder : folders) {
        if (std::filesystem::exists(folder / name)) return (folder / name).string();
      }
    }
  }
  refuse("a method calibrates", "there is neither train.txt nor valid.txt with the data of window_perplexity",
         "Give --calibration.text.");
}

}  // namespace

std::string CalibrationText::hash() const {
  return to_hex(hash128(ids.data(), static_cast<int64_t>(ids.size() * sizeof(int32_t))));
}

std::vector<std::span<const int32_t>> CalibrationText::windows(int64_t count, int64_t length) const {
  std::vector<std::span<const int32_t>> windows;
  const std::span<const int32_t> all(ids);
  const auto tokens = static_cast<int64_t>(ids.size());
  for (int64_t w = 0; w < count && (w + 1) * length <= tokens; ++w)
    windows.push_back(all.subspan(static_cast<size_t>(w * length), static_cast<size_t>(length)));
  if (windows.empty()) {
    refuse(fmt::format("no window of {} tokens to calibrate on", length),
           fmt::format("{} has {} tokens", path, tokens), "Give a longer text, or smaller windows.");
  }
  return windows;
}

CalibrationText read_calibration_text(const Sparsity& own, const models::Tokenizer& tokenizer) {
  CalibrationText text{.path = path_of(own), .ids = {}};
  int64_t replaced = 0;
  text.ids = tokenizer.encode(models::replace_invalid_utf8(read_file(text.path), replaced));
  return text;
}

}  // namespace orthant::launch
