#include "runtime/storage/row_selection.h"

#include <algorithm>
#include <cmath>

#include "runtime/core/rng.h"

namespace orthant {
namespace {

constexpr int64_t kReadRows = 65536;
// Independent of the run's seed: what one run measures on, no other run has trained on.
constexpr uint64_t kHoldoutSeed = 0;

bool contains(const std::vector<int32_t>& values, int32_t value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// Filters by label and divides by document; returns the norms of the parts of all rows [rows * parts].
std::vector<float> select_by_label(const StoredRows& stored, const RowFilter& filter,
                                   RowSelection& selection) {
  std::vector<float> norms;
  norms.reserve(static_cast<size_t>(stored.rows() * stored.parts()));
  for (int64_t first = 0; first < stored.rows(); first += kReadRows) {
    const int64_t count = std::min(kReadRows, stored.rows() - first);
    LabelledNorms read;
    stored.read_labels(first, count, read);
    norms.insert(norms.end(), read.norms.begin(), read.norms.end());
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(i);
      if (!stored.labelled()) {
        selection.train.insert(first + i);
      } else if (contains(filter.token_ids, read.labels.token_ids[at])) {
        ++selection.excluded.token_ids;
      } else if (contains(filter.positions, read.labels.positions[at])) {
        ++selection.excluded.positions;
      } else if (is_held_out(read.labels.documents[at], filter.holdout)) {
        selection.holdout.insert(first + i);
      } else {
        selection.train.insert(first + i);
      }
    }
  }
  return norms;
}

NotFiniteRows not_finite_of(const std::vector<float>& norms, int64_t parts, const RowSelection& selection) {
  NotFiniteRows found;
  for (int64_t row = 0; row < static_cast<int64_t>(norms.size()) / parts; ++row) {
    const auto own = norms.begin() + row * parts;
    if (std::all_of(own, own + parts, [](float norm) { return std::isfinite(norm); })) continue;
    if (!selection.train.contains(row) && !selection.holdout.contains(row)) continue;
    if (found.count++ == 0) found.first = row;
  }
  return found;
}

// By the median of each part.
void leave_out_by_norm(const std::vector<float>& norms, int64_t parts, double ratio,
                       RowSelection& selection) {
  std::vector<double> limits;
  for (int64_t part = 0; part < parts; ++part) {
    std::vector<float> own;
    for (auto i = static_cast<size_t>(part); i < norms.size(); i += static_cast<size_t>(parts)) {
      own.push_back(norms[i]);
    }
    limits.push_back(ratio * static_cast<double>(median_of(std::move(own))));
  }
  const auto is_kept = [&](int64_t row) {  // false for NaN
    for (int64_t part = 0; part < parts; ++part) {
      const double norm = norms[static_cast<size_t>(row * parts + part)];
      if (!(norm <= limits[static_cast<size_t>(part)])) return false;
    }
    return true;
  };
  for (int64_t row = 0; row < static_cast<int64_t>(norms.size()) / parts; ++row) {
    if (!(selection.train.contains(row) || selection.holdout.contains(row)) || is_kept(row)) continue;
    ++selection.excluded.norm_ratio;
    selection.train.erase(row);
    selection.holdout.erase(row);
  }
}

bool is_empty(const RowSet& set) {
  const std::vector<int32_t> counts = set.counts(65536);
  return std::all_of(counts.begin(), counts.end(), [](int32_t count) { return count == 0; });
}

// Small enough that some blocks of a short array are held out, large enough that neighbours stay together.
void divide_by_blocks_of_rows(double share, RowSelection& selection) {
  const int64_t rows = selection.train.rows();
  const int64_t block_rows = std::clamp<int64_t>(rows / 64, 1, 256);
  const int64_t blocks = (rows + block_rows - 1) / block_rows;
  if (blocks < 2) return;
  const auto wanted = static_cast<int64_t>(std::llround(share * static_cast<double>(blocks)));
  const int64_t held_out = std::clamp<int64_t>(wanted, 1, blocks - 1);
  std::vector<std::pair<uint64_t, int64_t>> drawn;
  for (int64_t block = 0; block < blocks; ++block) {
    drawn.emplace_back(random_u64(kHoldoutSeed, Purpose::kHoldout, 1, static_cast<uint64_t>(block)), block);
  }
  std::sort(drawn.begin(), drawn.end());
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t first = drawn[static_cast<size_t>(i)].second * block_rows;
    RowSet& to = i < held_out ? selection.holdout : selection.train;
    RowSet& from = i < held_out ? selection.train : selection.holdout;
    for (int64_t row = first; row < std::min(rows, first + block_rows); ++row) {
      if (!from.contains(row)) continue;
      from.erase(row);
      to.insert(row);
    }
  }
}

}  // namespace

RowSet::RowSet(int64_t rows, Memory& memory) : rows_(rows), bits_(memory, "source rows", {(rows + 63) / 64}) {
  bits_.zero();
}

std::vector<int32_t> RowSet::counts(int64_t block_rows) const {
  std::vector<int32_t> counts(static_cast<size_t>((rows_ + block_rows - 1) / block_rows), 0);
  for (int64_t row = 0; row < rows_; ++row) {
    if (contains(row)) ++counts[static_cast<size_t>(row / block_rows)];
  }
  return counts;
}

bool is_held_out(int64_t document, double share) {
  return static_cast<double>(
             random_uniform(kHoldoutSeed, Purpose::kHoldout, 0, static_cast<uint64_t>(document))) < share;
}

RowSelection select_rows(const StoredRows& stored, const RowFilter& filter, Memory& memory) {
  RowSelection selection{
      .train = RowSet(stored.rows(), memory), .holdout = RowSet(stored.rows(), memory), .excluded = {}};
  const std::vector<float> norms = select_by_label(stored, filter, selection);
  selection.not_finite = not_finite_of(norms, stored.parts(), selection);
  if (filter.norm_ratio > 0) leave_out_by_norm(norms, stored.parts(), filter.norm_ratio, selection);
  if (filter.holdout > 0 && (is_empty(selection.holdout) || is_empty(selection.train))) {
    divide_by_blocks_of_rows(filter.holdout, selection);
  }
  return selection;
}

float median_of(std::vector<float> values) {
  std::erase_if(values, [](float value) { return !std::isfinite(value); });
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  const float below = *std::max_element(values.begin(), middle);
  return static_cast<float>((static_cast<double>(below) + static_cast<double>(*middle)) / 2);
}

}  // namespace orthant
