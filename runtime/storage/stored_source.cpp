#include "runtime/storage/stored_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/core/error.h"
#include "runtime/storage/joined_rows.h"

namespace orthant {
namespace {

// Held-out rows are measured in file order and fit in memory as a rule, so that measuring again reads
// nothing.
SampleOrder order_of(const StoredRows& stored, const RowSet& chosen, const StoredSourceOptions& options,
                     bool shuffle) {
  const int64_t row_bytes = stored.d_model() * bytes_of(stored.dtype());
  return {chosen.counts(stored.block_rows()), std::max<int64_t>(options.window_bytes / row_bytes, 1), shuffle,
          options.seed};
}

std::unique_ptr<StoredRows> open_rows(const Source& config) {
  const bool has_stores = config.store_size() > 0;
  if (has_stores == !config.array().empty()) {
    throw Error(ExitCode::kConfig, {.problem = "a source on disk is a store or an array",
                                    .why = has_stores ? "both are given" : "neither is given",
                                    .suggestion = "Give source.store or source.array."});
  }
  if (!has_stores) return open_array_rows(config.array());
  const std::vector<std::string> stores(config.store().begin(), config.store().end());
  if (config.combine() == "difference") return open_difference_rows(stores);
  return stores.size() == 1 ? open_store_rows(stores[0]) : open_joined_rows(stores);
}

// Windows of `rows` rows in all: the one that is drawn from, and the one that is read ahead where there is
// another.
void count_windows(int64_t rows, const StoredRows& stored, Memory& counting) {
  const int64_t row_bytes = stored.d_model() * bytes_of(stored.dtype());
  const int64_t window_rows = std::max<int64_t>(StoredSourceOptions{}.window_bytes / row_bytes, 1);
  const int64_t windows = rows > window_rows ? 2 : 1;
  const Tensor<std::byte, 1> held(counting, "source windows",
                                  {windows * std::min(rows, window_rows) * row_bytes});
}

std::string identity_text(const StoredRows& stored, const StoredSourceOptions& options) {
  const RowFilter& filter = options.filter;
  return fmt::format(
      "{}, without tokens [{}], positions [{}], norms over {} medians, holdout {}, {}", stored.identity(),
      fmt::join(filter.token_ids, ","), fmt::join(filter.positions, ","), filter.norm_ratio, filter.holdout,
      options.shuffle
          ? fmt::format("shuffled by seed {} in windows of {} bytes", options.seed, options.window_bytes)
          : "in file order");
}

void refuse_not_finite(const Source& config, NotFiniteRows rows) {
  if (rows.count == 0) return;
  throw Error(
      ExitCode::kNonFinite,
      {.problem = fmt::format("row {} of {} holds a value that is not finite", rows.first, path_of(config)),
       .why = fmt::format("{} such rows were found, counted from 0", rows.count),
       .suggestion = "Mend the rows, or leave them out by source.exclude.norm_ratio (default 10)."});
}

}  // namespace

StoredSource::StoredSource(std::unique_ptr<StoredRows> stored, StoredSourceOptions options, Memory& memory)
    : stored_(std::move(stored)),
      selection_(select_rows(*stored_, options.filter, memory)),
      identity_(identity_text(*stored_, options)),
      train_(*stored_, selection_.train, order_of(*stored_, selection_.train, options, options.shuffle),
             memory),
      holdout_(*stored_, selection_.holdout, order_of(*stored_, selection_.holdout, options, false), memory) {
}

int64_t StoredSource::rows(Split split) const {
  return split == Split::kTrain ? train_.rows() : holdout_.rows();
}

void StoredSource::read(Split split, int64_t first, Matrix<float> into, RowLabels* labels) {
  if (split == Split::kTrain) return train_.read(first, into, labels);
  require(first + into.shape[0] <= holdout_.rows(), "held-out samples end with the split");
  holdout_.read(first, into, labels);
}

void StoredSource::read_labels(Split split, int64_t first, int64_t count, RowLabels& labels) {
  (split == Split::kTrain ? train_ : holdout_).read_labels(first, count, labels);
}

std::unique_ptr<StoredSource> open_array_or_store(const Source& config, uint64_t seed, Memory& memory) {
  std::unique_ptr<StoredRows> stored = open_rows(config);
  StoredSourceOptions options{.filter = {}, .shuffle = config.shuffle(), .seed = seed};
  options.filter.token_ids = {config.exclude().token_ids().begin(), config.exclude().token_ids().end()};
  options.filter.positions = {config.exclude().positions().begin(), config.exclude().positions().end()};
  if (options.filter.positions.empty()) options.filter.positions = {0};
  options.filter.norm_ratio = config.exclude().norm_ratio();
  options.filter.holdout = config.holdout();
  auto source = std::make_unique<StoredSource>(std::move(stored), options, memory);
  if (options.filter.norm_ratio == 0) refuse_not_finite(config, source->not_finite());
  return source;
}

std::string path_of(const Source& config) {
  return config.store_size() == 0 ? config.array() : fmt::format("{}", fmt::join(config.store(), " and "));
}

int64_t count_array_or_store(const Source& config, Memory& counting) {
  const std::unique_ptr<StoredRows> stored = open_rows(config);
  const int64_t rows = stored->rows();
  const auto held_out = static_cast<int64_t>(config.holdout() * static_cast<double>(rows));
  const RowSet train(rows, counting), holdout(rows, counting);
  count_windows(rows - held_out, *stored, counting);
  if (held_out > 0) count_windows(held_out, *stored, counting);
  return stored->d_model();
}

}  // namespace orthant
