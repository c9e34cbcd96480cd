#include "sae/training/orthogonality.h"

#include <omp.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "kernels/neighbour/pair_gradients.h"
#include "kernels/transformer/chosen_rows.h"
#include "runtime/device/buffer.h"
#include "runtime/device/pinned_buffer.h"

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

// `from` at the front of `into`: the view of it.
template <typename T>
Vector<const T> upload(const std::vector<T>& from, Vector<T> into, Stream& stream) {
  require(static_cast<int64_t>(from.size()) <= into.shape[0], "there is room for a list");
  const Vector<T> front = into.rows(0, static_cast<int64_t>(from.size()));
  copy_in_order(front.data, from.data(), front.bytes(), stream);
  return front;
}

bool screens(const Memory& memory, int64_t chunk) {
  return memory.device().kind == DeviceKind::kCpu && chunk >= kScreenedRows &&
         kernels::screen_ops(kernels::active_isa()) != nullptr;
}

}  // namespace

OrthogonalityPenalty::OrthogonalityPenalty(Memory& memory, int64_t d_model, std::vector<Share> slices,
                                           int64_t chunk, Communicator& world, Communicator& shards,
                                           kernels::ProductOrder order)
    : d_model_(d_model),
      slices_(std::move(slices)),
      world_(&world),
      shards_(&shards),
      pairs_(memory, omp_get_max_threads(), std::min(chunk, slices_.back().end())) {
  const Share own = own_slice();
  const int64_t latents = slices_.back().end();
  chunk = std::min(chunk, latents);
  unit_ = Tensor<float, 2>(memory, "orthogonality", {own.count, d_model});
  norms_ = Tensor<float, 1>(memory, "orthogonality", {own.count});
  chunk_rows_ = Tensor<float, 2>(memory, "orthogonality", {chunk, d_model});
  const int64_t sent_rows = shards.size() == 1 ? 0 : shards.size() * std::min(own.count, chunk);
  send_ = Tensor<float, 1>(memory, "orthogonality", {sent_rows * d_model});
  screens_ = screens(memory, chunk);
  if (screens_) {
    screen_ = kernels::PairScreen(memory, pairs_.threads(), chunk, d_model);
  } else {
    packed_ =
        kernels::PackedWeights(memory, "orthogonality", chunk, d_model, kernels::Precision::kF32, order);
  }
  found_cosine_ = Tensor<float, 1>(memory, "orthogonality", {latents});
  found_partner_ = Tensor<int64_t, 1>(memory, "orthogonality", {latents});
  listed_ = Tensor<int32_t, 1>(memory, "orthogonality", {shards.size() * own.count});
  pair_rows_ = Tensor<int32_t, 1>(memory, "orthogonality", {chunk});
  pair_offsets_ = Tensor<int64_t, 1>(memory, "orthogonality", {chunk + 1});
  pair_others_ = Tensor<int32_t, 1>(memory, "orthogonality", {2 * chunk});
  pair_cosines_ = Tensor<float, 1>(memory, "orthogonality", {2 * chunk});
  found_cosine_on_host_ = HostCopy(memory.working_device(), found_cosine_.view().bytes());
  found_partner_on_host_ = HostCopy(memory.working_device(), found_partner_.view().bytes());
  // What follows is the host's, and a plan evaluates nothing: billions of latents are planned too.
  if (memory.counts_only()) return;
  band_listed_ = PinnedBuffer(memory.device(), listed_.view().bytes());
  best_.resize(static_cast<size_t>(latents));
  cosine_.resize(static_cast<size_t>(latents));
  partner_.resize(static_cast<size_t>(latents));
  bands_.resize(static_cast<size_t>(world.size()));
  send_counts_.resize(static_cast<size_t>(shards.size()));
  receive_counts_.resize(static_cast<size_t>(shards.size()));
  needed_.resize(static_cast<size_t>(chunk));
  row_of_place_.resize(static_cast<size_t>(chunk));
  host_listed_.reserve(static_cast<size_t>(sent_rows));
  host_pair_rows_.reserve(static_cast<size_t>(chunk));
  host_pair_offsets_.reserve(static_cast<size_t>(chunk + 1));
  host_pair_others_.reserve(static_cast<size_t>(2 * chunk));
  host_pair_cosines_.reserve(static_cast<size_t>(2 * chunk));
}

Share OrthogonalityPenalty::own_part(std::span<const int32_t> chunk, int shard) const {
  const Share slice = slices_[static_cast<size_t>(shard)];
  const auto first = std::lower_bound(chunk.begin(), chunk.end(), slice.first);
  const auto end = std::lower_bound(first, chunk.end(), slice.end());
  return {first - chunk.begin(), end - first};
}

// In round j every rank works on its j-th band, so an exchange serves all of them at once.
void OrthogonalityPenalty::start(Matrix<const float> decoder, const LatentPartition& partition,
                                 Stream& stream) {
  kernels::unit_rows(decoder, unit_.view(), norms_.view(), stream);
  size_t rounds = 0;
  for (int r = 0; r < world_->size(); ++r) {
    std::vector<Band>& bands = bands_[static_cast<size_t>(r)];
    find_bands(partition, world_->size(), r, bands);
    rounds = std::max(rounds, bands.size());
  }
  const int64_t listed = list_band_rows(partition, rounds);
  copy_in_order(listed_.data(), band_listed_.data(), listed_.view().rows(0, listed).bytes(), stream);
  pairs_compared_ = 0;
  found_ = 0;
  int64_t gathered = 0;
  for (size_t round = 0; round < rounds; ++round) {
    gathered += gather_band_rows(partition, round, gathered, stream);
    if (round < own_bands().size()) search_band(partition, own_bands()[round], stream);
  }
}

double OrthogonalityPenalty::finish(const LatentPartition& partition, float weight, Matrix<float> gradient,
                                    Stream& stream) {
  find_partners(partition, stream);

  double penalty = 0.0;
  for (int64_t c = 0; c < partition.chunks(); ++c) {
    const Share place = partition.place(c);
    double squares = 0.0;
    for (int64_t p = place.first; p < place.end(); ++p) {
      const double cosine = cosine_[static_cast<size_t>(p)];
      squares += cosine * cosine;
    }
    penalty += squares / static_cast<double>(place.count) / static_cast<double>(partition.chunks());
  }
  for (int64_t c = 0; c < partition.chunks(); ++c) {
    gather_partners(partition, c, stream);
    store_gradients(partition, c, weight, gradient, stream);
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

// The best partner of every latent over the bands of all ranks.
void OrthogonalityPenalty::find_partners(const LatentPartition& partition, Stream& stream) {
  world_->wait(stream);
  const Vector<const float> cosines = found_cosine_on_host_.of(found_cosine_.view().rows(0, found_), stream);
  const Vector<const int64_t> partners =
      found_partner_on_host_.of(found_partner_.view().rows(0, found_), stream);
  std::fill(best_.begin(), best_.end(), kNoPartner);
  int64_t next = 0;
  for (const Band& band : own_bands()) {
    const Share places = partition.place(band.chunk);
    for (int64_t row = band.rows.first; row < places.count; ++row, ++next) {
      if (partners.data[next] < 0) continue;
      best_[static_cast<size_t>(places.first + row)] =
          key_of(cosines.data[next], band.rows.first + partners.data[next]);
    }
  }
  if (world_->size() > 1) {
    world_->all_reduce(best_.data(), partition.latents(), Dtype::kI64, ReduceOp::kMax, stream);
  }
  for (size_t p = 0; p < best_.size(); ++p) {
    const bool alone = best_[p] == kNoPartner;  // a chunk of one latent has no neighbour
    cosine_[p] = alone ? 0.0f : cosine_of(best_[p]);
    partner_[p] = alone ? -1 : static_cast<int32_t>(place_of(best_[p]));
  }
}

void OrthogonalityPenalty::search_band(const LatentPartition& partition, const Band& band, Stream& stream) {
  const int64_t skipped = band.rows.first;  // of the chunk's rows
  const int64_t all = partition.place(band.chunk).count, count = all - skipped;
  const Matrix<const float> rows = Matrix<const float>(chunk_rows_.view()).rows(0, count);
  const Vector<float> cosines = found_cosine_.view().rows(found_, count);
  const Vector<int64_t> partners = found_partner_.view().rows(found_, count);
  if (screens_) {
    screen_.nearest_of_pairs(rows, band.rows.count, pairs_, cosines, partners, kernels::active_isa(), stream);
  } else {
    packed_.pack(rows, stream);
    kernels::nearest_of_pairs(rows, packed_, band.rows.count, pairs_, cosines, partners, stream);
  }
  found_ += count;
  pairs_compared_ += pairs_before(band.rows.end(), all) - pairs_before(skipped, all);
}

// The own unit rows that host_listed_ names, one after the other.
void OrthogonalityPenalty::gather_listed(float* into, Stream& stream) {
  const Vector<const int32_t> listed = upload(host_listed_, listed_.view(), stream);
  kernels::gather_rows(unit_.view(), listed, {into, {listed.shape[0], d_model_}, listed.device}, stream);
}

// The latents that `peer` of this rank's group works on in a round: its band and all after it.
std::span<const int32_t> OrthogonalityPenalty::band_rows(const LatentPartition& partition, size_t round,
                                                         int peer) const {
  // Ranks of a dictionary group are consecutive in the world.
  const auto rank = static_cast<size_t>(world_->rank() - shards_->rank() + peer);
  if (round >= bands_[rank].size()) return {};
  const Band& band = bands_[rank][round];
  return partition.chunk(band.chunk).subspan(static_cast<size_t>(band.rows.first));
}

// Writes the own rows that peers work on into band_listed_, round by round, peer by peer; returns how many.
int64_t OrthogonalityPenalty::list_band_rows(const LatentPartition& partition, size_t rounds) {
  auto* const listed = reinterpret_cast<int32_t*>(band_listed_.data());
  int64_t count = 0;
  for (size_t round = 0; round < rounds; ++round) {
    for (int peer = 0; peer < shards_->size(); ++peer) {
      const std::span<const int32_t> wanted = band_rows(partition, round, peer);
      const Share part = own_part(wanted, shards_->rank());
      for (int64_t i = part.first; i < part.end(); ++i) {
        listed[count++] = wanted[static_cast<size_t>(i)] - static_cast<int32_t>(own_slice().first);
      }
    }
  }
  return count;
}

// Brings the rows of this rank's band of the round and all rows after them into chunk_rows_, in the chunk's
// order. Those that this rank sends are listed from `first_listed` on; returns how many.
int64_t OrthogonalityPenalty::gather_band_rows(const LatentPartition& partition, size_t round,
                                               int64_t first_listed, Stream& stream) {
  int64_t sent = 0;
  for (int peer = 0; peer < shards_->size(); ++peer) {
    const auto at = static_cast<size_t>(peer);
    const int64_t rows = own_part(band_rows(partition, round, peer), shards_->rank()).count;
    send_counts_[at] = rows * d_model_;
    receive_counts_[at] = own_part(band_rows(partition, round, shards_->rank()), peer).count * d_model_;
    sent += rows;
  }
  const Vector<const int32_t> listed = listed_.view().rows(first_listed, sent);
  float* const into = shards_->size() == 1 ? chunk_rows_.data() : send_.data();
  kernels::gather_rows(unit_.view(), listed, {into, {sent, d_model_}, listed.device}, stream);
  if (shards_->size() > 1) {
    shards_->all_to_all(send_.data(), send_counts_, chunk_rows_.data(), receive_counts_, Dtype::kF32, stream);
  }
  return sent;
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
  std::fill(row_of_place_.begin(), row_of_place_.end(), -1);
  if (shards_->size() == 1) return;

  const Share own = own_part(members, shards_->rank());
  host_listed_.clear();
  for (int peer = 0; peer < shards_->size(); ++peer) {
    const size_t before = host_listed_.size();
    if (peer != shards_->rank()) {
      find_needed(members, partner, peer);
      for (int64_t p = own.first; p < own.end(); ++p) {
        if (needed_[static_cast<size_t>(p)] == 0) continue;
        host_listed_.push_back(members[static_cast<size_t>(p)] - static_cast<int32_t>(own_slice().first));
      }
    }
    send_counts_[static_cast<size_t>(peer)] = static_cast<int64_t>(host_listed_.size() - before) * d_model_;
  }
  gather_listed(send_.data(), stream);
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
  shards_->wait(stream);
}

// The pairs of each own latent of a chunk: with its nearest neighbour, then with those whose nearest
// neighbour it is, ascending.
void OrthogonalityPenalty::list_pairs(std::span<const int32_t> members, const int32_t* partner,
                                      const float* cosine) {
  const auto count = static_cast<int64_t>(members.size());
  const auto first_latent = static_cast<int32_t>(own_slice().first);
  const Share own = own_part(members, shards_->rank());
  const auto inside = [&](int64_t place) { return place >= own.first && place < own.end(); };
  const auto row_of = [&](int64_t place) {
    if (inside(place)) return members[static_cast<size_t>(place)] - first_latent;
    return ~static_cast<int32_t>(row_of_place_[static_cast<size_t>(place)]);
  };
  host_pair_rows_.clear();
  host_pair_offsets_.assign(static_cast<size_t>(own.count + 1), 0);
  // Own place i counts, then places, at cursors[i + 1]; having placed all, that is where i + 1 begins.
  int64_t* const cursors = host_pair_offsets_.data() + 1;
  for (int64_t p = 0; p < count; ++p) {
    if (partner[p] >= 0 && inside(p)) ++cursors[p - own.first];
    if (inside(partner[p])) ++cursors[partner[p] - own.first];
  }
  int64_t total = 0;
  for (int64_t i = 0; i < own.count; ++i) total += std::exchange(cursors[i], total);
  host_pair_others_.resize(static_cast<size_t>(total));
  host_pair_cosines_.resize(static_cast<size_t>(total));
  const auto place_pair = [&](int64_t of, int64_t other, float s) {
    const auto at = static_cast<size_t>(cursors[of - own.first]++);
    host_pair_others_[at] = row_of(other);
    host_pair_cosines_[at] = s;
  };
  for (int64_t p = own.first; p < own.end(); ++p) {
    host_pair_rows_.push_back(members[static_cast<size_t>(p)] - first_latent);
    if (partner[p] >= 0) place_pair(p, partner[p], cosine[p]);
  }
  for (int64_t p = 0; p < count; ++p) {
    if (inside(partner[p])) place_pair(partner[p], p, cosine[p]);
  }
}

void OrthogonalityPenalty::store_gradients(const LatentPartition& partition, int64_t chunk, float weight,
                                           Matrix<float> gradient, Stream& stream) {
  const std::span<const int32_t> members = partition.chunk(chunk);
  const Share place = partition.place(chunk);
  const double share = static_cast<double>(weight) * 2.0 / static_cast<double>(partition.chunks()) /
                       static_cast<double>(members.size());
  list_pairs(members, partner_.data() + place.first, cosine_.data() + place.first);
  const kernels::PairList pairs{upload(host_pair_rows_, pair_rows_.view(), stream),
                                upload(host_pair_offsets_, pair_offsets_.view(), stream),
                                upload(host_pair_others_, pair_others_.view(), stream),
                                upload(host_pair_cosines_, pair_cosines_.view(), stream)};
  kernels::pair_gradients(unit_.view(), norms_.view(), chunk_rows_.view(), pairs, share, gradient, stream);
}

}  // namespace orthant::sae
