#include "runtime/storage/export_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>

#include "runtime/core/error.h"
#include "runtime/storage/npy.h"
#include "runtime/storage/safetensors.h"

namespace orthant {
namespace {

// Rows of [0, total) a block of the store at a time.
void for_blocks(Share rows, int64_t block_rows, const std::function<void(Share)>& visit) {
  for (int64_t first = rows.first; first < rows.end();) {
    const int64_t end = std::min(rows.end(), (first / block_rows + 1) * block_rows);
    visit({first, end - first});
    first = end;
  }
}

template <typename T>
int64_t bytes_in(const std::vector<T>& values) {
  return static_cast<int64_t>(values.size() * sizeof(T));
}

void write_safetensors_rows(const StoreReader& store, Share rows, const std::string& path) {
  SafetensorsWriter writer(path,
                           {{"activations", store.dtype(), {rows.count, store.d_model()}},
                            {"token_ids", Dtype::kI32, {rows.count}},
                            {"positions", Dtype::kI32, {rows.count}},
                            {"documents", Dtype::kI64, {rows.count}}},
                           {{"format", "orthant.activations"},
                            {"first_row", std::to_string(rows.first)},
                            {"content_hash", store.content_hash()},
                            {"provenance", boost::json::serialize(store.provenance())}});
  std::vector<std::byte> scratch, stored;
  for_blocks(rows, store.block_rows(), [&](Share block) {
    stored.resize(static_cast<size_t>(block.count * store.d_model() * bytes_of(store.dtype())));
    store.read_stored(block.first, block.count, stored.data(), scratch);
    writer.write("activations", stored.data(), bytes_in(stored));
    LabelledNorms labels;
    store.read_labels(block.first, block.count, labels);
    writer.write("token_ids", labels.labels.token_ids.data(), bytes_in(labels.labels.token_ids));
    writer.write("positions", labels.labels.positions.data(), bytes_in(labels.labels.positions));
    writer.write("documents", labels.labels.documents.data(), bytes_in(labels.labels.documents));
  });
  writer.finish();
}

std::string npy_beside(const std::string& path, std::string_view name) {
  return fmt::format("{}.{}.npy", path.substr(0, path.size() - 4), name);
}

std::vector<std::string> npy_files(const std::string& path) {
  return {path, npy_beside(path, "token_ids"), npy_beside(path, "positions"), npy_beside(path, "documents")};
}

void write_npy_rows(StoreReader& store, Share rows, const std::vector<std::string>& files) {
  const bool keeps_type = store.dtype() != Dtype::kBF16;
  NpyWriter activations(files[0], keeps_type ? store.dtype() : Dtype::kF32, {rows.count, store.d_model()});
  NpyWriter token_ids(files[1], Dtype::kI32, {rows.count});
  NpyWriter positions(files[2], Dtype::kI32, {rows.count});
  NpyWriter documents(files[3], Dtype::kI64, {rows.count});
  std::vector<std::byte> scratch, stored;
  std::vector<float> wide;
  for_blocks(rows, store.block_rows(), [&](Share block) {
    RowLabels labels;
    if (keeps_type) {
      stored.resize(static_cast<size_t>(block.count * store.d_model() * bytes_of(store.dtype())));
      store.read_stored(block.first, block.count, stored.data(), scratch);
      activations.write(stored.data(), bytes_in(stored));
    }
    wide.resize(static_cast<size_t>(block.count * store.d_model()));
    store.read(block.first, {wide.data(), {block.count, store.d_model()}}, &labels);
    if (!keeps_type) activations.write(wide.data(), bytes_in(wide));
    token_ids.write(labels.token_ids.data(), bytes_in(labels.token_ids));
    positions.write(labels.positions.data(), bytes_in(labels.positions));
    documents.write(labels.documents.data(), bytes_in(labels.documents));
  });
  activations.finish();
  token_ids.finish();
  positions.finish();
  documents.finish();
}

// Largest difference of what `read_back` gives for rows of the files, counted from 0, from the store.
double largest_difference(StoreReader& store, Share rows,
                          const std::function<void(Share, std::span<float>)>& read_back) {
  double largest = 0.0;
  std::vector<float> expected, found;
  for_blocks(rows, store.block_rows(), [&](Share block) {
    expected.resize(static_cast<size_t>(block.count * store.d_model()));
    found.resize(expected.size());
    store.read(block.first, {expected.data(), {block.count, store.d_model()}}, nullptr);
    read_back({block.first - rows.first, block.count}, found);
    for (size_t i = 0; i < found.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(expected[i]) - static_cast<double>(found[i])));
    }
  });
  return largest;
}

template <typename T>
double label_difference(const std::vector<T>& expected, const std::vector<int64_t>& found) {
  require(expected.size() == found.size(), "a label is written for every row");
  int64_t largest = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<int64_t>(expected[i]) - found[i]));
  }
  return static_cast<double>(largest);
}

double compare_labels(const StoreReader& store, Share rows,
                      const std::function<std::vector<int64_t>(std::string_view)>& read_back) {
  LabelledNorms all;
  store.read_labels(rows.first, rows.count, all);
  return std::max({label_difference(all.labels.token_ids, read_back("token_ids")),
                   label_difference(all.labels.positions, read_back("positions")),
                   label_difference(all.labels.documents, read_back("documents"))});
}

[[noreturn]] void refuse_rows(const std::string& text, int64_t rows) {
  throw Error(ExitCode::kConfig, {.problem = fmt::format("rows = '{}' cannot be used", text),
                                  .why = fmt::format("the store has {} rows", rows),
                                  .suggestion = fmt::format("Write a:b with 0 <= a < b <= {}.", rows)});
}

}  // namespace

StoreExportFormat store_export_format_from_name(std::string_view name) {
  if (name == "safetensors") return StoreExportFormat::kSafetensors;
  if (name == "npy") return StoreExportFormat::kNpy;
  throw Error(ExitCode::kConfig, {.problem = fmt::format("a store cannot be exported to '{}'", name),
                                  .suggestion = "Use --to=safetensors or --to=npy."});
}

Share rows_from_text(const std::string& text, int64_t rows) {
  if (text.empty()) return {0, rows};
  const size_t colon = text.find(':');
  if (colon == std::string::npos) refuse_rows(text, rows);
  const auto bound = [&](size_t begin, size_t end, int64_t otherwise) {
    if (begin == end) return otherwise;
    int64_t value = 0;
    const char* stop = text.data() + end;
    const auto [parsed, error] = std::from_chars(text.data() + begin, stop, value);
    if (error != std::errc() || parsed != stop) refuse_rows(text, rows);
    return value;
  };
  const int64_t first = bound(0, colon, 0);
  const int64_t end = bound(colon + 1, text.size(), rows);
  if (first < 0 || first >= end || end > rows) refuse_rows(text, rows);
  return {first, end - first};
}

StoreExport export_store(StoreReader& store, Share rows, StoreExportFormat format, const std::string& path) {
  StoreExport result;
  if (format == StoreExportFormat::kSafetensors) {
    write_safetensors_rows(store, rows, path);
    const SafetensorsReader written(path);
    const SafetensorsEntry& activations = written.entry("activations");
    const double of_rows = largest_difference(store, rows, [&](Share part, std::span<float> into) {
      written.read_rows(activations, part.first, part.count, into);
    });
    const double of_labels = compare_labels(
        store, rows, [&](std::string_view name) { return written.read_integers(written.entry(name)); });
    return {.files = {path}, .maximum_difference = std::max(of_rows, of_labels)};
  }
  if (!path.ends_with(".npy")) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("'{}' does not end in .npy", path),
                                    .suggestion = "Give --out=NAME.npy; labels are written beside it."});
  }
  const std::vector<std::string> files = npy_files(path);
  write_npy_rows(store, rows, files);
  const NpyReader written(path);
  const double of_rows = largest_difference(store, rows, [&](Share part, std::span<float> into) {
    written.read(part.first * store.d_model(), into);
  });
  const double of_labels = compare_labels(
      store, rows, [&](std::string_view name) { return NpyReader(npy_beside(path, name)).read_integers(); });
  return {.files = files, .maximum_difference = std::max(of_rows, of_labels)};
}

}  // namespace orthant
