#include "sae/training/orthogonality.h"

#include <omp.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "kernels/isa/vector.h"

namespace orthant::sae {
namespace {

// Pairs {i, j} of `count` rows with i < row and i < j.
int64_t pairs_before(int64_t row, int64_t count) {
  return row * (2 * count - row - 1) / 2;
}

// The first row of `count` rows with no fewer than `pairs` pairs before it; count where there is none.
int64_t row_at_pair(int64_t pairs, int64_t count) {
  int64_t low = 0;
  int64_t high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (pairs_before(middle, count) < pairs) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// Rows of a chunk from which on a screen pays.
constexpr int64_t kScreenedRows = 256;

constexpr int64_t kNoPartner = std::numeric_limits<int64_t>::min();

// Orders partners: the larger cosine first, then the lower place. Finite floats of either sign rank like
// this integer, once the two zeros are one.
int64_t key_of(float cosine, int64_t place) {
  const auto bits = std::bit_cast<int32_t>(cosine + 0.0f);
  const int64_t rank = bits < 0 ? bits ^ 0x7fffffff : bits;
  return rank * (int64_t{1} << 32) + (0xffffffff - place);
}
float cosine_of(int64_t key) {
  const auto rank = static_cast<int32_t>(key >> 32);
  return std::bit_cast<float>(rank < 0 ? rank ^ 0x7fffffff : rank);
}
int64_t place_of(int64_t key) {
  return 0xffffffff - (key & 0xffffffff);
}

}  // namespace

OrthogonalityPenalty::OrthogonalityPenalty(Memory& memory, int64_t d_model, std::vector<Share> slices,
                                           int64_t chunk, Communicator& world, Communicator& shards)
    : d_model_(d_model),
      slices_(std::move(slices)),
      world_(&world),
      shards_(&shards),
      pairs_(memory, omp_get_max_threads(), std::min(chunk, slices_.back().end())) {
  const Share own = slices_[static_cast<size_t>(shards.rank())];
  const int64_t latents = slices_.back().end();
  chunk = std::min(chunk, latents);
  unit_ = Tensor<float, 2>(memory, "orthogonality", {own.count, d_model});
  norms_ = Tensor<float, 1>(memory, "orthogonality", {own.count});
  chunk_rows_ = Tensor<float, 2>(memory, "orthogonality", {chunk, d_model});
  const int64_t sent_rows = shards.size() == 1 ? 0 : shards.size() * std::min(own.count, chunk);
  send_ = Tensor<float, 1>(memory, "orthogonality", {sent_rows * d_model});
  screens_ = kernels::screen_ops(kernels::active_isa()) != nullptr && chunk >= kScreenedRows;
  if (screens_) {
    screen_ = kernels::PairScreen(memory, pairs_.threads(), chunk, d_model);
  } else {
    packed_ = kernels::PackedWeights(memory, "orthogonality", chunk, d_model);
  }
  band_cosine_ = Tensor<float, 1>(memory, "orthogonality", {chunk});
  band_partner_ = Tensor<int64_t, 1>(memory, "orthogonality", {chunk});
  best_ = Tensor<int64_t, 1>(memory, "orthogonality", {latents});
  cosine_ = Tensor<float, 1>(memory, "orthogonality", {latents});
  partner_ = Tensor<int32_t, 1>(memory, "orthogonality", {latents});
  bands_.resize(static_cast<size_t>(world.size()));
  send_counts_.resize(static_cast<size_t>(shards.size()));
  receive_counts_.resize(static_cast<size_t>(shards.size()));
  needed_.resize(static_cast<size_t>(chunk));
  row_of_place_.resize(static_cast<size_t>(chunk));
  seeker_offsets_.reserve(static_cast<size_t>(chunk + 1));
  seekers_.resize(static_cast<size_t>(chunk));
}

Share OrthogonalityPenalty::own_part(std::span<const int32_t> chunk, int shard) const {
  const Share slice = slices_[static_cast<size_t>(shard)];
  const auto first = std::lower_bound(chunk.begin(), chunk.end(), slice.first);
  const auto end = std::lower_bound(first, chunk.end(), slice.end());
  return {first - chunk.begin(), end - first};
}

double OrthogonalityPenalty::evaluate(Matrix<const float> decoder, const LatentPartition& partition,
                                      float weight, Matrix<float> gradient, Stream& stream) {
  kernels::unit_rows(decoder, unit_.view(), norms_.view(), stream);
  find_partners(partition, stream);

  double penalty = 0.0;
  for (int64_t c = 0; c < partition.chunks(); ++c) {
    const Share place = partition.place(c);
    double squares = 0.0;
    for (int64_t p = place.first; p < place.end(); ++p) {
      const double cosine = cosine_.data()[p];
      squares += cosine * cosine;
    }
    penalty += squares / static_cast<double>(place.count) / static_cast<double>(partition.chunks());
  }
  for (int64_t c = 0; c < partition.chunks(); ++c) {
    gather_partners(partition, c, stream);
    store_gradients(partition, c, weight, gradient);
  }
  return penalty;
}

// Every rank has nearly the same number of pairs: those from one row of a chunk to another row of that or a
// later one.
void OrthogonalityPenalty::find_bands(const LatentPartition& partition, int world, int rank,
                                      std::vector<Band>& bands) {
  int64_t total = 0;
  for (int64_t c = 0; c < partition.chunks(); ++c) {
    const int64_t count = partition.place(c).count;
    total += pairs_before(count, count);
  }
  const Share mine = share_of(total, world, rank);
  bands.clear();
  int64_t before = 0;
  for (int64_t c = 0; c < partition.chunks(); ++c) {
    const int64_t count = partition.place(c).count;
    const int64_t first = row_at_pair(mine.first - before, count);
    const int64_t end = row_at_pair(mine.end() - before, count);
    before += pairs_before(count, count);
    if (pairs_before(end, count) > pairs_before(first, count)) bands.push_back({c, {first, end - first}});
  }
}

// In round j every rank works on its j-th band, so an exchange serves all of them at once.
void OrthogonalityPenalty::find_partners(const LatentPartition& partition, Stream& stream) {
  size_t rounds = 0;
  for (int r = 0; r < world_->size(); ++r) {
    std::vector<Band>& bands = bands_[static_cast<size_t>(r)];
    find_bands(partition, world_->size(), r, bands);
    rounds = std::max(rounds, bands.size());
  }
  const std::vector<Band>& own = bands_[static_cast<size_t>(world_->rank())];
  pairs_compared_ = 0;
  std::fill_n(best_.data(), partition.latents(), kNoPartner);
  for (size_t round = 0; round < rounds; ++round) {
    gather_band_rows(partition, round, stream);
    if (round < own.size()) search_band(partition, own[round], stream);
  }
  if (world_->size() > 1) all_reduce(*world_, best_.view(), ReduceOp::kMax, stream);
  for (int64_t p = 0; p < partition.latents(); ++p) {
    const int64_t best = best_.data()[p];
    const bool alone = best == kNoPartner;  // a chunk of one latent has no neighbour
    cosine_.data()[p] = alone ? 0.0f : cosine_of(best);
    partner_.data()[p] = alone ? -1 : static_cast<int32_t>(place_of(best));
  }
}

void OrthogonalityPenalty::search_band(const LatentPartition& partition, const Band& band, Stream& stream) {
  const Share places = partition.place(band.chunk);
  const int64_t skipped = band.rows.first;  // of the chunk's rows
  const int64_t count = places.count - skipped;
  const Matrix<const float> rows = Matrix<const float>(chunk_rows_.view()).rows(0, count);
  const Vector<float> cosines = band_cosine_.view().rows(0, count);
  const Vector<int64_t> partners = band_partner_.view().rows(0, count);
  if (screens_) {
    screen_.nearest_of_pairs(rows, band.rows.count, pairs_, cosines, partners, kernels::active_isa(), stream);
  } else {
    packed_.pack(rows, stream);
    kernels::nearest_of_pairs(rows, packed_, band.rows.count, pairs_, cosines, partners, stream);
  }
  int64_t* const best = best_.data() + places.first + skipped;
  for (int64_t i = 0; i < count; ++i) {
    if (band_partner_.data()[i] < 0) continue;
    best[i] = key_of(band_cosine_.data()[i], skipped + band_partner_.data()[i]);
  }
  pairs_compared_ += pairs_before(band.rows.end(), places.count) - pairs_before(skipped, places.count);
}

// Brings the rows of this rank's band of the round and all rows after them into chunk_rows_, in the chunk's
// order.
void OrthogonalityPenalty::gather_band_rows(const LatentPartition& partition, size_t round, Stream& stream) {
  const auto row_bytes = static_cast<size_t>(d_model_) * sizeof(float);
  const int64_t first = slices_[static_cast<size_t>(shards_->rank())].first;
  // Ranks of this rank's dictionary group are consecutive in the world.
  const int group_start = world_->rank() - shards_->rank();
  const auto wanted_by = [&](int rank) {
    const std::vector<Band>& bands = bands_[static_cast<size_t>(rank)];
    if (round >= bands.size()) return std::span<const int32_t>{};
    return partition.chunk(bands[round].chunk).subspan(static_cast<size_t>(bands[round].rows.first));
  };
  float* into = shards_->size() == 1 ? chunk_rows_.data() : send_.data();
  for (int peer = 0; peer < shards_->size(); ++peer) {
    const std::span<const int32_t> wanted = wanted_by(group_start + peer);
    const Share part = own_part(wanted, shards_->rank());
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < part.count; ++i) {
      const int32_t latent = wanted[static_cast<size_t>(part.first + i)];
      std::memcpy(into + i * d_model_, unit_.view().row(latent - first), row_bytes);
    }
    send_counts_[static_cast<size_t>(peer)] = part.count * d_model_;
    into += part.count * d_model_;
  }
  if (shards_->size() == 1) return;
  for (int peer = 0; peer < shards_->size(); ++peer) {
    const Share part = own_part(wanted_by(world_->rank()), peer);
    receive_counts_[static_cast<size_t>(peer)] = part.count * d_model_;
  }
  shards_->all_to_all(send_.data(), send_counts_, chunk_rows_.data(), receive_counts_, Dtype::kF32, stream);
}

// Marks in needed_ the places of other shards that the gradients of `shard` touch.
void OrthogonalityPenalty::find_needed(std::span<const int32_t> members, const int32_t* partner, int shard) {
  const auto count = static_cast<int64_t>(members.size());
  const Share part = own_part(members, shard);
  const auto inside = [&](int64_t place) { return place >= part.first && place < part.end(); };
  std::fill(needed_.begin(), needed_.end(), 0);
  for (int64_t p = 0; p < count; ++p) {
    if (partner[p] < 0) continue;
    if (inside(p) && !inside(partner[p])) needed_[static_cast<size_t>(partner[p])] = 1;
    if (!inside(p) && inside(partner[p])) needed_[static_cast<size_t>(p)] = 1;
  }
}

// Brings to every owner the unit rows that its own latents of `chunk` are paired with: their nearest
// neighbours and those whose nearest neighbour they are. row_of_place_ tells where each lies in chunk_rows_.
void OrthogonalityPenalty::gather_partners(const LatentPartition& partition, int64_t chunk, Stream& stream) {
  const std::span<const int32_t> members = partition.chunk(chunk);
  const int32_t* partner = partner_.data() + partition.place(chunk).first;
  const auto row_bytes = static_cast<size_t>(d_model_) * sizeof(float);
  const int64_t first = slices_[static_cast<size_t>(shards_->rank())].first;
  std::fill(row_of_place_.begin(), row_of_place_.end(), -1);
  if (shards_->size() == 1) return;

  float* into = send_.data();
  const Share own = own_part(members, shards_->rank());
  for (int peer = 0; peer < shards_->size(); ++peer) {
    int64_t sent = 0;
    if (peer != shards_->rank()) {
      find_needed(members, partner, peer);
      for (int64_t p = own.first; p < own.end(); ++p) {
        if (needed_[static_cast<size_t>(p)] == 0) continue;
        std::memcpy(into, unit_.view().row(members[static_cast<size_t>(p)] - first), row_bytes);
        into += d_model_;
        sent += d_model_;
      }
    }
    send_counts_[static_cast<size_t>(peer)] = sent;
  }
  find_needed(members, partner, shards_->rank());
  int64_t received = 0;
  for (int peer = 0; peer < shards_->size(); ++peer) {
    const Share part = own_part(members, peer);
    const int64_t before = received;
    for (int64_t p = part.first; p < part.end(); ++p) {
      if (needed_[static_cast<size_t>(p)] != 0) row_of_place_[static_cast<size_t>(p)] = received++;
    }
    receive_counts_[static_cast<size_t>(peer)] = (received - before) * d_model_;
  }
  shards_->all_to_all(send_.data(), send_counts_, chunk_rows_.data(), receive_counts_, Dtype::kF32, stream);
}

// Of each own place of a chunk, those whose nearest neighbour it is, ascending.
void OrthogonalityPenalty::list_seekers(std::span<const int32_t> partner, Share own) {
  seeker_offsets_.assign(static_cast<size_t>(own.count + 1), 0);
  // Own place i counts, then places, at cursors[i + 1]; having placed all, that is where i + 1 begins.
  int64_t* const cursors = seeker_offsets_.data() + 1;
  const auto inside = [&](int32_t place) { return place >= own.first && place < own.end(); };
  for (const int32_t place : partner) {
    if (inside(place)) ++cursors[place - own.first];
  }
  int64_t total = 0;
  for (int64_t i = 0; i < own.count; ++i) total += std::exchange(cursors[i], total);
  for (size_t p = 0; p < partner.size(); ++p) {
    if (!inside(partner[p])) continue;
    seekers_[static_cast<size_t>(cursors[partner[p] - own.first]++)] = static_cast<int64_t>(p);
  }
}

void OrthogonalityPenalty::store_gradients(const LatentPartition& partition, int64_t chunk, float weight,
                                           Matrix<float> gradient) {
  const std::span<const int32_t> members = partition.chunk(chunk);
  const Share place = partition.place(chunk);
  const int32_t* partner = partner_.data() + place.first;
  const float* cosine = cosine_.data() + place.first;
  const Share own = own_part(members, shards_->rank());
  const int64_t first = slices_[static_cast<size_t>(shards_->rank())].first;
  const double share = static_cast<double>(weight) * 2.0 / static_cast<double>(partition.chunks()) /
                       static_cast<double>(members.size());
  list_seekers({partner, members.size()}, own);
  const auto unit_row = [&](int64_t p) -> const float* {
    if (p >= own.first && p < own.end()) return unit_.view().row(members[static_cast<size_t>(p)] - first);
    return chunk_rows_.view().row(row_of_place_[static_cast<size_t>(p)]);
  };
  const kernels::VectorOps& ops = kernels::vector_ops();
#pragma omp parallel for schedule(dynamic, 16)
  for (int64_t i = 0; i < own.count; ++i) {
    const int64_t p = own.first + i;
    const int64_t local = members[static_cast<size_t>(p)] - first;
    float* row = gradient.row(local);
    std::fill_n(row, d_model_, 0.0f);
    const double scale = share / std::max(static_cast<double>(norms_.data()[local]), 1e-8);
    // d s / d d_self = (u_other - s u_self) / |d_self|, once as the seeker and once for each seeker of it.
    double along = 0.0;
    const auto add_pair = [&](const float* other, double s) {
      ops.axpy(static_cast<float>(scale * s), other, row, d_model_);
      along += scale * s * s;
    };
    if (partner[p] >= 0) add_pair(unit_row(partner[p]), cosine[p]);
    for (int64_t q = seeker_offsets_[static_cast<size_t>(i)]; q < seeker_offsets_[static_cast<size_t>(i + 1)];
         ++q) {
      const int64_t seeker = seekers_[static_cast<size_t>(q)];
      add_pair(unit_row(seeker), cosine[seeker]);
    }
    ops.axpy(static_cast<float>(-along), unit_row(p), row, d_model_);
  }
}

}  // namespace orthant::sae
