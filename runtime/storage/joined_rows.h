// Rows made of several stores of the same tokens: theirs side by side (crosscoders), or the difference of
// two.
//
// Row i of all stores is the same token at the same position of the same document, which their token hashes
// show; so stores of several hooks or several models of one harvest fit. Filters, hold-out and order are
// those of any stored rows; norms are those of each store's own row, so that a pair and its difference leave
// out the same rows. Reading is thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/storage/stored_rows.h"

namespace orthant {

// Rows [rows, stores * d_model] in the order of `stores`, as their element type where they share one, else
// f32. Throws Error(kConfig) for stores of different widths, and for stores of different tokens naming the
// first row that differs.
[[nodiscard]] std::unique_ptr<StoredRows> open_joined_rows(const std::vector<std::string>& stores);

// Rows [rows, d_model] of the second store minus those of the first, as f32. Throws as open_joined_rows(),
// and unless there are two.
[[nodiscard]] std::unique_ptr<StoredRows> open_difference_rows(const std::vector<std::string>& stores);

}  // namespace orthant
