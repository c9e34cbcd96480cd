#include "sae/measure/top_contexts.h"

#include <algorithm>
#include <cmath>

#include "runtime/core/rng.h"
#include "sae/measure/row_inference.h"

namespace orthant::sae {
namespace {

constexpr int64_t kBlockRows = 256;

// What the given latents of this rank's slice did in this replica's blocks.
FiringCollector own_firings(const Dictionary& dictionary, ActivationSource& source,
                            std::span<const int64_t> latents, const ContextOptions& options, Grid& grid,
                            int virtual_shards) {
  Memory memory;
  RowInference inference(dictionary, kBlockRows, *grid.dictionary, virtual_shards);
  Tensor<float, 2> x(memory, "measure", {kBlockRows, dictionary.d_model});
  FiringCollector firings(latents);
  const int64_t blocks = (options.rows + kBlockRows - 1) / kBlockRows;
  const Share mine = share_of(blocks, grid.data->size(), grid.data->rank());
  for (int64_t block = mine.first; block < mine.end(); ++block) {
    const int64_t first = block * kBlockRows;
    const Matrix<float> rows = x.view().rows(0, std::min(kBlockRows, options.rows - first));
    source.read(options.split, first, rows, nullptr);
    firings.add(inference.encode(rows), first);
  }
  return firings;
}

// Cuts contexts out of the rows of a source.
class ContextReader {
 public:
  ContextReader(ActivationSource& source, const ContextOptions& options)
      : source_(&source),
        options_(options),
        before_(options.width / 2),
        after_(options.width - 1 - options.width / 2) {}

  // Rows [first, end) of the context around `peak`; end == first where the source has no tokens.
  Share read(int64_t peak, RowLabels& labels) {
    const int64_t first = std::max<int64_t>(peak - before_, 0);
    const int64_t end = std::min(peak + after_ + 1, options_.rows);
    source_->read_labels(options_.split, first, end - first, labels);
    if (labels.token_ids.empty()) return {peak, 0};
    // A row of the language model ends where the document changes or positions fall.
    const auto joined = [&](int64_t row) {  // with the row after it
      const auto at = static_cast<size_t>(row - first);
      return labels.documents[at] == labels.documents[at + 1] &&
             labels.positions[at] < labels.positions[at + 1];
    };
    Share part{peak, 1};
    while (part.first > first && joined(part.first - 1)) --part.first, ++part.count;
    while (part.end() < end && joined(part.end() - 1)) ++part.count;
    const auto skip = static_cast<int64_t>(part.first - first);
    keep(labels.token_ids, skip, part.count);
    keep(labels.positions, skip, part.count);
    keep(labels.documents, skip, part.count);
    return part;
  }

 private:
  template <typename T>
  static void keep(std::vector<T>& values, int64_t skip, int64_t count) {
    values = std::vector<T>(values.begin() + skip, values.begin() + skip + count);
  }

  ActivationSource* source_;
  ContextOptions options_;
  int64_t before_;
  int64_t after_;
};

// The context around row `peak`, which `reader` read into `labels`.
Context context_of(Share part, int64_t peak, RowLabels labels, const Firings& firings) {
  const auto at = static_cast<size_t>(peak - part.first);
  Context context{.token_ids = std::move(labels.token_ids),
                  .activations = {},
                  .peak = static_cast<int64_t>(at),
                  .document = labels.documents[at],
                  .position = labels.positions[at]};
  for (int64_t row = part.first; row < part.end(); ++row) {
    context.activations.push_back(value_at(firings, row));
  }
  return context;
}

// `count` of the rows, drawn without repetition, in their order.
std::vector<int64_t> drawn(std::vector<int64_t> rows, int64_t count, uint64_t seed, uint32_t stream,
                           uint64_t first_draw) {
  const auto taken = std::min(rows.size(), static_cast<size_t>(count));
  for (size_t i = 0; i < taken; ++i) {
    const uint64_t draw = random_u64(seed, Purpose::kSampleOrder, stream, first_draw + i);
    std::swap(rows[i], rows[i + draw % (rows.size() - i)]);
  }
  rows.resize(taken);
  std::sort(rows.begin(), rows.end());
  return rows;
}

bool has_tokens(ActivationSource& source, const ContextOptions& options) {
  if (options.rows == 0) return false;
  RowLabels labels;
  source.read_labels(options.split, 0, 1, labels);
  return !labels.token_ids.empty();
}

}  // namespace

std::vector<int64_t> latents_across_densities(std::span<const float> densities, int64_t count) {
  std::vector<int64_t> alive;
  for (size_t i = 0; i < densities.size(); ++i) {
    if (densities[i] > 0.0f) alive.push_back(static_cast<int64_t>(i));
  }
  std::stable_sort(alive.begin(), alive.end(), [&](int64_t a, int64_t b) {
    return densities[static_cast<size_t>(a)] > densities[static_cast<size_t>(b)];
  });
  const auto fired = static_cast<int64_t>(alive.size());
  if (fired <= count) return alive;
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t rank = count == 1 ? fired / 2 : i * (fired - 1) / (count - 1);
    chosen.push_back(alive[static_cast<size_t>(rank)]);
  }
  return chosen;
}

LatentContexts contexts_of(int64_t latent, const Firings& firings, ActivationSource& source,
                           const ContextOptions& options) {
  ContextReader reader(source, options);
  LatentContexts found{.latent = latent, .max_activation = 0.0f, .contexts = {}};
  Firings by_value = firings;
  std::stable_sort(by_value.begin(), by_value.end(),
                   [](const Firing& a, const Firing& b) { return a.value > b.value; });
  if (!by_value.empty()) found.max_activation = by_value.front().value;
  std::vector<Share> taken;
  for (const Firing& firing : by_value) {
    if (static_cast<int64_t>(found.contexts.size()) == options.top) break;
    const bool is_shown = std::any_of(taken.begin(), taken.end(), [&](const Share& part) {
      return firing.row >= part.first && firing.row < part.end();
    });
    if (is_shown) continue;
    RowLabels labels;
    const Share part = reader.read(firing.row, labels);
    if (part.count == 0) break;
    taken.push_back(part);
    found.contexts.push_back(context_of(part, firing.row, std::move(labels), firings));
  }
  return found;
}

std::vector<ContextInterval> interval_contexts(int64_t latent, const Firings& firings,
                                               ActivationSource& source, const ContextOptions& options,
                                               int intervals, uint64_t seed) {
  std::vector<ContextInterval> found;
  float largest = 0.0f;
  for (const Firing& firing : firings) largest = std::max(largest, firing.value);
  if (largest == 0.0f || !has_tokens(source, options)) return found;
  ContextReader reader(source, options);
  for (int i = intervals - 1; i >= 0; --i) {
    const auto edge = [&](int n) { return static_cast<double>(largest) * n / intervals; };
    ContextInterval interval{.low = edge(i), .high = edge(i + 1), .share = 0.0, .contexts = {}};
    std::vector<int64_t> rows;
    for (const Firing& firing : firings) {
      if (firing.value > interval.low && firing.value <= interval.high) rows.push_back(firing.row);
    }
    interval.share = static_cast<double>(rows.size()) / static_cast<double>(options.rows);
    const auto first_draw = static_cast<uint64_t>(i) * static_cast<uint64_t>(options.top);
    for (const int64_t row :
         drawn(std::move(rows), options.top, seed, static_cast<uint32_t>(latent), first_draw)) {
      RowLabels labels;
      const Share part = reader.read(row, labels);
      interval.contexts.push_back(context_of(part, row, std::move(labels), firings));
    }
    found.push_back(std::move(interval));
  }
  return found;
}

std::vector<LatentContexts> find_top_contexts(const Dictionary& dictionary, ActivationSource& source,
                                              std::span<const int64_t> latents, const ContextOptions& options,
                                              World& world, Grid& grid, int virtual_shards) {
  std::vector<LatentContexts> found;
  if (!has_tokens(source, options)) return found;
  Stream stream;
  const FiringCollector own = own_firings(dictionary, source, latents, options, grid, virtual_shards);
  for (size_t i = 0; i < latents.size(); ++i) {
    const Firings all = gather_firings(own.of(i), *world.data, stream);
    found.push_back(contexts_of(latents[i], all, source, options));
  }
  return found;
}

}  // namespace orthant::sae
