#include "sae/training/orthogonality.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/neighbour.h"
#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

constexpr int64_t kTile = 1024;

// A tile of query rows of one chunk.
struct Item {
  int64_t chunk;
  Share tile;  // places within the chunk
};

std::vector<Item> items_of(const LatentPartition& partition) {
  std::vector<Item> items;
  for (int64_t c = 0; c < partition.chunks(); ++c) {
    const int64_t count = partition.place(c).count;
    for (int64_t first = 0; first < count; first += kTile) {
      items.push_back({c, {first, std::min(kTile, count - first)}});
    }
  }
  return items;
}

// The chunks that rank `rank` works on, ascending.
std::vector<int64_t> chunks_of(const std::vector<Item>& items, int world, int rank) {
  const Share mine = share_of(static_cast<int64_t>(items.size()), world, rank);
  std::vector<int64_t> chunks;
  for (int64_t i = mine.first; i < mine.end(); ++i) {
    const int64_t chunk = items[static_cast<size_t>(i)].chunk;
    if (chunks.empty() || chunks.back() != chunk) chunks.push_back(chunk);
  }
  return chunks;
}

// Places of the partition that rank `rank` fills.
int64_t places_of(const std::vector<Item>& items, int world, int rank) {
  const Share mine = share_of(static_cast<int64_t>(items.size()), world, rank);
  int64_t places = 0;
  for (int64_t i = mine.first; i < mine.end(); ++i) places += items[static_cast<size_t>(i)].tile.count;
  return places;
}

}  // namespace

OrthogonalityPenalty::OrthogonalityPenalty(Memory& memory, int64_t d_model, std::vector<Share> slices,
                                           int64_t chunk, Communicator& world, Communicator& shards)
    : d_model_(d_model), slices_(std::move(slices)), world_(&world), shards_(&shards) {
  const Share own = slices_[static_cast<size_t>(shards.rank())];
  const int64_t latents = slices_.back().end();
  chunk = std::min(chunk, latents);
  unit_ = Tensor<float, 2>(memory, "orthogonality", {own.count, d_model});
  norms_ = Tensor<float, 1>(memory, "orthogonality", {own.count});
  chunk_rows_ = Tensor<float, 2>(memory, "orthogonality", {chunk, d_model});
  const int64_t sent_rows = shards.size() == 1 ? 0 : shards.size() * std::min(own.count, chunk);
  send_ = Tensor<float, 1>(memory, "orthogonality", {sent_rows * d_model});
  candidates_ = kernels::PackedWeights(memory, "orthogonality", chunk, d_model);
  cosine_ = Tensor<float, 1>(memory, "orthogonality", {latents});
  partner_ = Tensor<int32_t, 1>(memory, "orthogonality", {latents});
  tile_cosine_ = Tensor<float, 1>(memory, "orthogonality", {kTile});
  tile_partner_ = Tensor<int64_t, 1>(memory, "orthogonality", {kTile});
  tile_excluded_ = Tensor<int64_t, 1>(memory, "orthogonality", {kTile});
  row_of_place_.resize(static_cast<size_t>(chunk));
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
  find_pairs(partition, stream);

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
  zero_bytes(gradient.data, gradient.device, gradient.bytes());
  for (int64_t c = 0; c < partition.chunks(); ++c) {
    gather_partners(partition, c, stream);
    add_gradients(partition, c, weight, gradient);
  }
  return penalty;
}

// In round j every rank works on its j-th chunk, so an exchange serves all of them at once.
void OrthogonalityPenalty::find_pairs(const LatentPartition& partition, Stream& stream) {
  const std::vector<Item> items = items_of(partition);
  const Share mine = share_of(static_cast<int64_t>(items.size()), world_->size(), world_->rank());
  const std::vector<int64_t> own_chunks = chunks_of(items, world_->size(), world_->rank());
  const int64_t rounds = [&] {
    size_t most = 0;
    for (int r = 0; r < world_->size(); ++r) {
      most = std::max(most, chunks_of(items, world_->size(), r).size());
    }
    return static_cast<int64_t>(most);
  }();

  rows_compared_ = 0;
  int64_t first_place = 0;
  for (int r = 0; r < world_->rank(); ++r) first_place += places_of(items, world_->size(), r);
  int64_t place = first_place;
  int64_t item = mine.first;
  for (int64_t round = 0; round < rounds; ++round) {
    gather_chunk(partition, round, stream);
    if (round >= static_cast<int64_t>(own_chunks.size())) continue;
    const int64_t chunk = own_chunks[static_cast<size_t>(round)];
    const int64_t count = partition.place(chunk).count;
    candidates_.pack(Matrix<const float>(chunk_rows_.view()).rows(0, count), stream);
    for (; item < mine.end() && items[static_cast<size_t>(item)].chunk == chunk; ++item) {
      const Share tile = items[static_cast<size_t>(item)].tile;
      for (int64_t i = 0; i < tile.count; ++i) {
        tile_excluded_.data()[i] = tile.first + i;
        tile_cosine_.data()[i] = -std::numeric_limits<float>::infinity();
        tile_partner_.data()[i] = -1;
      }
      kernels::nearest_neighbour(Matrix<const float>(chunk_rows_.view()).rows(tile.first, tile.count),
                                 candidates_, 0, tile_excluded_.view().rows(0, tile.count),
                                 tile_cosine_.view().rows(0, tile.count),
                                 tile_partner_.view().rows(0, tile.count), stream);
      for (int64_t i = 0; i < tile.count; ++i, ++place) {
        const bool alone = tile_partner_.data()[i] < 0;  // a chunk of one latent has no neighbour
        cosine_.data()[place] = alone ? 0.0f : tile_cosine_.data()[i];
        partner_.data()[place] = static_cast<int32_t>(tile_partner_.data()[i]);
      }
      rows_compared_ += tile.count;
    }
  }
  if (world_->size() == 1) return;
  std::vector<int64_t> counts;
  for (int r = 0; r < world_->size(); ++r) counts.push_back(places_of(items, world_->size(), r));
  world_->all_gather_uneven(cosine_.data() + first_place, cosine_.data(), counts, Dtype::kF32, stream);
  world_->all_gather_uneven(partner_.data() + first_place, partner_.data(), counts, Dtype::kI32, stream);
}

// Brings the rows of this rank's chunk of the round into chunk_rows_, in the chunk's order.
void OrthogonalityPenalty::gather_chunk(const LatentPartition& partition, int64_t round, Stream& stream) {
  const auto row_bytes = static_cast<size_t>(d_model_) * sizeof(float);
  const int64_t first = slices_[static_cast<size_t>(shards_->rank())].first;
  const std::vector<Item> items = items_of(partition);
  // Ranks of this rank's dictionary group are consecutive in the world.
  const int group_start = world_->rank() - shards_->rank();
  std::vector<int64_t> send_counts;
  std::vector<int64_t> receive_counts;
  float* into = shards_->size() == 1 ? chunk_rows_.data() : send_.data();
  for (int peer = 0; peer < shards_->size(); ++peer) {
    const std::vector<int64_t> chunks = chunks_of(items, world_->size(), group_start + peer);
    int64_t sent = 0;
    if (round < static_cast<int64_t>(chunks.size())) {
      const std::span<const int32_t> chunk = partition.chunk(chunks[static_cast<size_t>(round)]);
      const Share part = own_part(chunk, shards_->rank());
      for (int64_t i = part.first; i < part.end(); ++i, into += d_model_) {
        std::memcpy(into, unit_.view().row(chunk[static_cast<size_t>(i)] - first), row_bytes);
      }
      sent = part.count * d_model_;
    }
    send_counts.push_back(sent);
  }
  if (shards_->size() == 1) return;
  const std::vector<int64_t> own = chunks_of(items, world_->size(), world_->rank());
  for (int peer = 0; peer < shards_->size(); ++peer) {
    const bool works = round < static_cast<int64_t>(own.size());
    receive_counts.push_back(
        works ? own_part(partition.chunk(own[static_cast<size_t>(round)]), peer).count * d_model_ : 0);
  }
  shards_->all_to_all(send_.data(), send_counts, chunk_rows_.data(), receive_counts, Dtype::kF32, stream);
}

// Brings to every owner the unit rows that its own latents of `chunk` are paired with: their nearest
// neighbours and those whose nearest neighbour they are. row_of_place_ tells where each lies in chunk_rows_.
void OrthogonalityPenalty::gather_partners(const LatentPartition& partition, int64_t chunk, Stream& stream) {
  const std::span<const int32_t> members = partition.chunk(chunk);
  const int32_t* partner = partner_.data() + partition.place(chunk).first;
  const auto row_bytes = static_cast<size_t>(d_model_) * sizeof(float);
  const int64_t first = slices_[static_cast<size_t>(shards_->rank())].first;
  const auto count = static_cast<int64_t>(members.size());
  // needed[shard][place]: a row of another shard that shard's gradients touch.
  const auto needed_by = [&](int shard) {
    std::vector<char> needed(static_cast<size_t>(count), 0);
    const Share part = own_part(members, shard);
    const auto inside = [&](int64_t place) { return place >= part.first && place < part.end(); };
    for (int64_t p = 0; p < count; ++p) {
      if (partner[p] < 0) continue;
      if (inside(p) && !inside(partner[p])) needed[static_cast<size_t>(partner[p])] = 1;
      if (!inside(p) && inside(partner[p])) needed[static_cast<size_t>(p)] = 1;
    }
    return needed;
  };
  std::fill(row_of_place_.begin(), row_of_place_.end(), -1);
  if (shards_->size() == 1) return;

  std::vector<int64_t> send_counts;
  float* into = send_.data();
  const Share own = own_part(members, shards_->rank());
  for (int peer = 0; peer < shards_->size(); ++peer) {
    int64_t sent = 0;
    if (peer != shards_->rank()) {
      const std::vector<char> needed = needed_by(peer);
      for (int64_t p = own.first; p < own.end(); ++p) {
        if (needed[static_cast<size_t>(p)] == 0) continue;
        std::memcpy(into, unit_.view().row(members[static_cast<size_t>(p)] - first), row_bytes);
        into += d_model_;
        sent += d_model_;
      }
    }
    send_counts.push_back(sent);
  }
  const std::vector<char> needed = needed_by(shards_->rank());
  std::vector<int64_t> receive_counts;
  int64_t received = 0;
  for (int peer = 0; peer < shards_->size(); ++peer) {
    const Share part = own_part(members, peer);
    const int64_t before = received;
    for (int64_t p = part.first; p < part.end(); ++p) {
      if (needed[static_cast<size_t>(p)] != 0) row_of_place_[static_cast<size_t>(p)] = received++;
    }
    receive_counts.push_back((received - before) * d_model_);
  }
  shards_->all_to_all(send_.data(), send_counts, chunk_rows_.data(), receive_counts, Dtype::kF32, stream);
}

void OrthogonalityPenalty::add_gradients(const LatentPartition& partition, int64_t chunk, float weight,
                                         Matrix<float> gradient) {
  const std::span<const int32_t> members = partition.chunk(chunk);
  const Share place = partition.place(chunk);
  const int32_t* partner = partner_.data() + place.first;
  const float* cosine = cosine_.data() + place.first;
  const Share own = own_part(members, shards_->rank());
  const int64_t first = slices_[static_cast<size_t>(shards_->rank())].first;
  const auto count = static_cast<int64_t>(members.size());
  const double share = static_cast<double>(weight) * 2.0 / static_cast<double>(partition.chunks()) /
                       static_cast<double>(count);

  // Those that point at each own latent, ascending.
  std::vector<int64_t> offsets(static_cast<size_t>(own.count + 1), 0);
  const auto points_inside = [&](int64_t p) { return partner[p] >= own.first && partner[p] < own.end(); };
  for (int64_t p = 0; p < count; ++p) {
    if (points_inside(p)) ++offsets[static_cast<size_t>(partner[p] - own.first + 1)];
  }
  for (int64_t i = 0; i < own.count; ++i)
    offsets[static_cast<size_t>(i + 1)] += offsets[static_cast<size_t>(i)];
  std::vector<int64_t> pointing(static_cast<size_t>(offsets.back()));
  std::vector<int64_t> next(offsets.begin(), offsets.end() - 1);
  for (int64_t p = 0; p < count; ++p) {
    if (points_inside(p))
      pointing[static_cast<size_t>(next[static_cast<size_t>(partner[p] - own.first)]++)] = p;
  }

  const auto unit_row = [&](int64_t p) -> const float* {
    if (p >= own.first && p < own.end()) return unit_.view().row(members[static_cast<size_t>(p)] - first);
    return chunk_rows_.view().row(row_of_place_[static_cast<size_t>(p)]);
  };
#pragma omp parallel for schedule(dynamic, 16)
  for (int64_t i = 0; i < own.count; ++i) {
    const int64_t p = own.first + i;
    const int64_t local = members[static_cast<size_t>(p)] - first;
    const float* self = unit_row(p);
    float* row = gradient.row(local);
    const double scale = share / std::max(static_cast<double>(norms_.data()[local]), 1e-8);
    // d s / d d_self = (u_other - s u_self) / |d_self|, once as the seeker and once for each seeker of it.
    const auto add_pair = [&](const float* other, float s) {
      const auto toward = static_cast<float>(scale * s);
      const auto along = static_cast<float>(scale * s * s);
      for (int64_t c = 0; c < d_model_; ++c) row[c] += toward * other[c] - along * self[c];
    };
    if (partner[p] >= 0) add_pair(unit_row(partner[p]), cosine[p]);
    for (int64_t q = offsets[static_cast<size_t>(i)]; q < offsets[static_cast<size_t>(i + 1)]; ++q) {
      const int64_t seeker = pointing[static_cast<size_t>(q)];
      add_pair(unit_row(seeker), cosine[seeker]);
    }
  }
}

}  // namespace orthant::sae
