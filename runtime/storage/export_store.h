// Rows of an activation store as files for notebooks, in document order.
//
// safetensors: one file with `activations` [rows, d_model] as stored, `token_ids`, `positions` (I32) and
// `documents` (I64) [rows]. npy: NAME.npy with the activations (f32 where the store has bf16, which .npy has
// not) and NAME.token_ids.npy, NAME.positions.npy, NAME.documents.npy beside it. Streams blocks: memory does
// not depend on the rows. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/share.h"
#include "runtime/storage/activation_store.h"

namespace orthant {

enum class StoreExportFormat { kSafetensors, kNpy };

// "safetensors" or "npy"; throws Error(kConfig) listing them otherwise.
[[nodiscard]] StoreExportFormat store_export_format_from_name(std::string_view name);
// "a:b", "a:", ":b" or "" as rows of [0, rows). Throws Error(kConfig) unless 0 <= a < b <= rows.
[[nodiscard]] Share rows_from_text(const std::string& text, int64_t rows);

struct StoreExport {
  std::vector<std::string> files;
  double maximum_difference = 0.0;  // of activations read back from the files, and labels
};
// Writes rows `rows` and reads the files back. Throws Error(kConfig) for an .npy name that does not end so,
// Error(kIo) when the disk refuses.
[[nodiscard]] StoreExport export_store(StoreReader& store, Share rows, StoreExportFormat format,
                                       const std::string& path);

}  // namespace orthant
