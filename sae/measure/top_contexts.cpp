#include "sae/measure/top_contexts.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "sae/measure/row_inference.h"

namespace orthant::sae {
namespace {

constexpr int64_t kBlockRows = 256;

// One latent fires in one row.
struct Firing {
  int64_t row = 0;
  float value = 0.0f;
};
using Firings = std::vector<Firing>;  // of one latent, by row

// What the given latents of this rank's slice did in this replica's blocks, by place in `latents`.
std::vector<Firings> own_firings(const Dictionary& dictionary, ActivationSource& source,
                                 std::span<const int64_t> latents, const ContextOptions& options, Grid& grid,
                                 int virtual_shards) {
  Memory memory;
  RowInference inference(dictionary, kBlockRows, *grid.dictionary, virtual_shards);
  Tensor<float, 2> x(memory, "measure", {kBlockRows, dictionary.d_model});
  std::unordered_map<int64_t, size_t> place;
  for (size_t i = 0; i < latents.size(); ++i) place[latents[i]] = i;
  std::vector<Firings> firings(latents.size());
  const int64_t blocks = (options.rows + kBlockRows - 1) / kBlockRows;
  const Share mine = share_of(blocks, grid.data->size(), grid.data->rank());
  for (int64_t block = mine.first; block < mine.end(); ++block) {
    const int64_t first = block * kBlockRows;
    const Matrix<float> rows = x.view().rows(0, std::min(kBlockRows, options.rows - first));
    source.read(options.split, first, rows, nullptr);
    const kernels::CodesView codes = inference.encode(rows);
    for (int64_t r = 0; r < rows.shape[0]; ++r) {
      for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
        const auto found = place.find(codes.latents.data[e]);
        if (found == place.end() || codes.values.data[e] <= 0.0f) continue;
        firings[found->second].push_back({first + r, codes.values.data[e]});
      }
    }
  }
  return firings;
}

// The firings of one latent on all ranks, by row.
Firings gather_firings(const Firings& own, Communicator& world, Stream& stream) {
  std::vector<int64_t> counts(static_cast<size_t>(world.size()));
  const auto count = static_cast<int64_t>(own.size());
  world.all_gather(&count, counts.data(), 1, Dtype::kI64, stream);
  const auto total = static_cast<size_t>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
  std::vector<int64_t> own_rows, rows(total);
  std::vector<float> own_values, values(total);
  for (const Firing& firing : own) {
    own_rows.push_back(firing.row);
    own_values.push_back(firing.value);
  }
  world.all_gather_uneven(own_rows.data(), rows.data(), counts, Dtype::kI64, stream);
  world.all_gather_uneven(own_values.data(), values.data(), counts, Dtype::kF32, stream);
  Firings all(total);
  for (size_t i = 0; i < total; ++i) all[i] = {rows[i], values[i]};
  std::sort(all.begin(), all.end(), [](const Firing& a, const Firing& b) { return a.row < b.row; });
  return all;
}

float value_at(const Firings& firings, int64_t row) {
  const auto found =
      std::lower_bound(firings.begin(), firings.end(), row,
                       [](const Firing& firing, int64_t wanted) { return firing.row < wanted; });
  return found != firings.end() && found->row == row ? found->value : 0.0f;
}

// Cuts contexts out of the rows of a source.
class ContextReader {
 public:
  ContextReader(ActivationSource& source, const ContextOptions& options)
      : source_(&source),
        options_(options),
        before_(options.width / 2),
        after_(options.width - 1 - options.width / 2),
        rows_(memory_, "measure", {options.width, source.d_model()}) {}

  // Rows [first, end) of the context around `peak`; end == first where the source has no tokens.
  Share read(int64_t peak, RowLabels& labels) {
    const int64_t first = std::max<int64_t>(peak - before_, 0);
    const int64_t end = std::min(peak + after_ + 1, options_.rows);
    source_->read(options_.split, first, rows_.view().rows(0, end - first), &labels);
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

  Memory memory_;
  ActivationSource* source_;
  ContextOptions options_;
  int64_t before_;
  int64_t after_;
  Tensor<float, 2> rows_;
};

LatentContexts contexts_of(int64_t latent, const Firings& firings, ContextReader& reader, int64_t top) {
  LatentContexts found{.latent = latent, .max_activation = 0.0f, .contexts = {}};
  Firings by_value = firings;
  std::stable_sort(by_value.begin(), by_value.end(),
                   [](const Firing& a, const Firing& b) { return a.value > b.value; });
  if (!by_value.empty()) found.max_activation = by_value.front().value;
  std::vector<Share> taken;
  for (const Firing& firing : by_value) {
    if (static_cast<int64_t>(found.contexts.size()) == top) break;
    const bool is_shown = std::any_of(taken.begin(), taken.end(), [&](const Share& part) {
      return firing.row >= part.first && firing.row < part.end();
    });
    if (is_shown) continue;
    RowLabels labels;
    const Share part = reader.read(firing.row, labels);
    if (part.count == 0) break;
    taken.push_back(part);
    const auto peak = static_cast<size_t>(firing.row - part.first);
    Context context{.token_ids = std::move(labels.token_ids),
                    .activations = {},
                    .peak = static_cast<int64_t>(peak),
                    .document = labels.documents[peak],
                    .position = labels.positions[peak]};
    for (int64_t row = part.first; row < part.end(); ++row) {
      context.activations.push_back(value_at(firings, row));
    }
    found.contexts.push_back(std::move(context));
  }
  return found;
}

bool has_tokens(ActivationSource& source, const ContextOptions& options) {
  if (options.rows == 0) return false;
  Memory memory;
  Tensor<float, 2> row(memory, "measure", {1, source.d_model()});
  RowLabels labels;
  source.read(options.split, 0, row.view(), &labels);
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

std::vector<LatentContexts> find_top_contexts(const Dictionary& dictionary, ActivationSource& source,
                                              std::span<const int64_t> latents, const ContextOptions& options,
                                              World& world, Grid& grid, int virtual_shards) {
  std::vector<LatentContexts> found;
  if (!has_tokens(source, options)) return found;
  Stream stream;
  const std::vector<Firings> own = own_firings(dictionary, source, latents, options, grid, virtual_shards);
  ContextReader reader(source, options);
  for (size_t i = 0; i < latents.size(); ++i) {
    const Firings all = gather_firings(own[i], *world.data, stream);
    found.push_back(contexts_of(latents[i], all, reader, options.top));
  }
  return found;
}

}  // namespace orthant::sae
