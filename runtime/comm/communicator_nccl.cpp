#include "runtime/comm/communicator_nccl.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "runtime/comm/environment_nccl.h"
#include "runtime/comm/scratch_nccl.h"
#include "runtime/comm/sent_bytes.h"
#include "runtime/core/share.h"

namespace orthant {
namespace {

constexpr int64_t kAlignment = 256;

const std::byte* at(const void* base, int64_t bytes) {
  return static_cast<const std::byte*>(base) + bytes;
}
std::byte* at(void* base, int64_t bytes) {
  return static_cast<std::byte*>(base) + bytes;
}

int64_t sum_before(std::span<const int64_t> counts, int rank) {
  const auto first = counts.first(static_cast<size_t>(rank));
  return std::reduce(first.begin(), first.end(), int64_t{0});
}

// The operation that is being issued and the stream it goes to.
struct Step {
  Watchdog::Watch& watch;
  Stream& order;
  void* stream = order.native();
};

// What a rank gives to rank + d and takes from rank - d, for one distance d.
struct Transfer {
  const std::byte* send = nullptr;
  int64_t send_bytes = 0;
  std::byte* receive = nullptr;
  int64_t receive_bytes = 0;
};

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<NcclLink> link, bool runs_beside_others)
      : link_(std::move(link)),
        runs_beside_others_(runs_beside_others),
        staging_(*link_),
        received_(*link_),
        parts_(static_cast<size_t>(size())),
        transfers_(static_cast<size_t>(size() - 1)) {}
  // Before the memory that NCCL may still write to goes away.
  ~NcclCommunicator() override { link_->abort(); }
  int rank() const override { return link_->rank(); }
  int size() const override { return link_->size(); }
  Device device() const override { return {DeviceKind::kCuda, link_->own().device}; }
  std::string_view kind() const override { return "nccl"; }
  const Traffic& traffic() const override { return traffic_; }
  bool runs_beside_others() const override { return runs_beside_others_; }

  void all_reduce(void* data, int64_t elements, Dtype dtype, ReduceOp op, Stream& stream) override;
  void reduce_scatter(const void* send, void* receive, int64_t elements, Dtype dtype, ReduceOp op,
                      Stream& stream) override;
  void all_gather(const void* send, void* receive, int64_t elements, Dtype dtype, Stream& stream) override;
  void all_gather_uneven(const void* send, void* receive, std::span<const int64_t> counts, Dtype dtype,
                         Stream& stream) override;
  void broadcast(void* data, int64_t elements, Dtype dtype, int root, Stream& stream) override;
  void all_to_all(const void* send, std::span<const int64_t> send_counts, void* receive,
                  std::span<const int64_t> receive_counts, Dtype dtype, Stream& stream) override;
  void shift(const void* send, void* receive, int64_t elements, Dtype dtype, int distance,
             Stream& stream) override;
  void wait(Stream& stream) override;
  std::unique_ptr<Communicator> split(int color, int key) override;
  void close() override;
  void abort() noexcept override { link_->abort(); }

 private:
  [[nodiscard]] const NcclApi& api() const { return link_->api(); }
  [[nodiscard]] int peer(int distance) const { return (rank() + distance) % size(); }
  [[nodiscard]] int64_t most() const { return link_->own().most_count; }
  [[nodiscard]] bool is_host(const void* data) const { return !api().is_device_memory(data); }
  [[nodiscard]] Transfer& transfer(int distance) { return transfers_[static_cast<size_t>(distance - 1)]; }
  [[nodiscard]] const void*& part(int rank) { return parts_[static_cast<size_t>(rank)]; }

  [[nodiscard]] std::byte* stage(const Step& step, int64_t bytes);
  void copy(const Step& step, void* into, const void* from, int64_t bytes);
  void fetch(const Step& step, void* host, const void* staged, int64_t bytes);

  // On memory of the device.
  void reduce_all(const Step& step, std::byte* data, int64_t elements, Dtype dtype, ReduceOp op);
  void reduce_all_small(const Step& step, std::byte* data, int64_t elements, Dtype dtype, ReduceOp op);
  void reduce_all_by_slices(const Step& step, std::byte* data, int64_t elements, Dtype dtype, ReduceOp op);
  void reduce_slices(const Step& step, const std::byte* send, std::byte* receive, int64_t elements,
                     Dtype dtype, ReduceOp op);
  void reduce_own_slice(const Step& step, const std::byte* send, std::byte* receive, int64_t elements,
                        Dtype dtype, ReduceOp op);
  void gather(const Step& step, const std::byte* send, std::byte* receive, std::span<const int64_t> bytes);
  void exchange(const Step& step);

  std::unique_ptr<NcclLink> link_;
  bool runs_beside_others_;
  NcclScratch staging_;   // for memory of the host
  NcclScratch received_;  // parts that are reduced here
  std::vector<const void*> parts_;
  std::vector<Transfer> transfers_;  // of distance 1, 2, ..., size - 1
  std::vector<int64_t> bytes_of_rank_;
  Traffic traffic_;
};

// The copies to and from pageable memory stop the host until the stream has come to them, without a deadline:
// the stream is waited for before.
std::byte* NcclCommunicator::stage(const Step& step, int64_t bytes) {
  link_->wait(step.watch, step.stream);
  return staging_.room(step.watch, bytes, step.stream);
}

void NcclCommunicator::copy(const Step& step, void* into, const void* from, int64_t bytes) {
  if (into != from && bytes > 0) api().copy(into, from, bytes, step.stream);
}

void NcclCommunicator::fetch(const Step& step, void* host, const void* staged, int64_t bytes) {
  link_->wait(step.watch, step.stream);
  copy(step, host, staged, bytes);
  link_->wait(step.watch, step.stream);
  staging_.rest();
}

// Piece i of a message travels in round i on both sides, and the calls of a round are counted alike on all
// ranks, so that no group waits for a later one in a circle.
void NcclCommunicator::exchange(const Step& step) {
  int64_t longest = 0;
  for (const Transfer& each : transfers_) longest = std::max({longest, each.send_bytes, each.receive_bytes});
  for (int64_t first = 0; first < longest; first += most()) {
    const auto piece = [&](int64_t bytes) { return std::clamp(bytes - first, int64_t{0}, most()); };
    link_->issue(step.watch, 2 * (size() - 1), [&](NcclComm* comm, int64_t i) {
      const int distance = static_cast<int>(i / 2) + 1;
      const Transfer& each = transfer(distance);
      const int64_t bytes = piece(i % 2 == 0 ? each.send_bytes : each.receive_bytes);
      const auto count = static_cast<size_t>(bytes);
      if (count == 0) return NcclStatus::kSuccess;
      if (i % 2 == 0) return api().send(each.send + first, count, peer(distance), comm, step.stream);
      return api().receive(each.receive + first, count, peer(size() - distance), comm, step.stream);
    });
  }
}

void NcclCommunicator::all_reduce(void* data, int64_t elements, Dtype dtype, ReduceOp op, Stream& stream) {
  Watchdog::Watch watch = link_->begin("all_reduce", dtype, elements);
  if (elements == 0) return;
  const Step step{watch, stream};
  const int64_t bytes = elements * bytes_of(dtype);
  traffic_.all_reduce += all_reduce_sent_bytes(elements, bytes_of(dtype), size(), rank());
  if (is_host(data)) {
    std::byte* const staged = stage(step, bytes);
    copy(step, staged, data, bytes);
    reduce_all(step, staged, elements, dtype, op);
    return fetch(step, data, staged, bytes);
  }
  reduce_all(step, at(data, 0), elements, dtype, op);
  link_->end(watch, step.stream);
}

void NcclCommunicator::reduce_all(const Step& step, std::byte* data, int64_t elements, Dtype dtype,
                                  ReduceOp op) {
  const int64_t width = bytes_of(dtype);
  if (nccl_reduces(dtype, op)) {
    const int64_t pieces = (elements + most() - 1) / most();
    return link_->issue(step.watch, pieces, [&](NcclComm* comm, int64_t i) {
      std::byte* const piece = data + i * most() * width;
      const auto count = static_cast<size_t>(std::min(most(), elements - i * most()));
      return api().all_reduce(piece, piece, count, dtype, op, comm, step.stream);
    });
  }
  if (is_small(elements * width, size())) return reduce_all_small(step, data, elements, dtype, op);
  const int64_t piece = link_->own().most_scratch / width;
  for (int64_t first = 0; first < elements; first += piece) {
    reduce_all_by_slices(step, data + first * width, std::min(piece, elements - first), dtype, op);
  }
}

void NcclCommunicator::reduce_all_small(const Step& step, std::byte* data, int64_t elements, Dtype dtype,
                                        ReduceOp op) {
  const int64_t bytes = elements * bytes_of(dtype);
  std::byte* const all = received_.room(step.watch, size() * bytes, step.stream);
  link_->issue(step.watch, 1, [&](NcclComm* comm, int64_t) {
    return api().all_gather(data, all, static_cast<size_t>(bytes), comm, step.stream);
  });
  for (int r = 0; r < size(); ++r) part(r) = all + r * bytes;
  api().reduce_in_order(parts_, data, elements, dtype, op, step.order);
}

// Rank r reduces share r of the elements and sends the result to all.
void NcclCommunicator::reduce_all_by_slices(const Step& step, std::byte* data, int64_t elements, Dtype dtype,
                                            ReduceOp op) {
  const int64_t width = bytes_of(dtype);
  const auto share = [&](int rank) { return share_of(elements, size(), rank); };
  const Share own = share(rank());
  std::byte* const received = received_.room(step.watch, (size() - 1) * own.count * width, step.stream);
  part(rank()) = data + own.first * width;
  for (int d = 1; d < size(); ++d) {
    const Share theirs = share(peer(d));
    std::byte* const place = received + (d - 1) * own.count * width;
    transfer(d) = {data + theirs.first * width, theirs.count * width, place, own.count * width};
    part(peer(size() - d)) = place;
  }
  exchange(step);
  if (own.count > 0) {
    api().reduce_in_order(parts_, data + own.first * width, own.count, dtype, op, step.order);
  }
  bytes_of_rank_.clear();
  for (int r = 0; r < size(); ++r) bytes_of_rank_.push_back(share(r).count * width);
  gather(step, data + own.first * width, data, bytes_of_rank_);
}

void NcclCommunicator::reduce_scatter(const void* send, void* receive, int64_t elements, Dtype dtype,
                                      ReduceOp op, Stream& stream) {
  Watchdog::Watch watch = link_->begin("reduce_scatter", dtype, elements);
  if (elements == 0) return;
  const Step step{watch, stream};
  const int64_t bytes = elements * bytes_of(dtype);
  traffic_.reduce_scatter += to_each_other_sent_bytes(elements, bytes_of(dtype), size());
  if (is_host(receive)) {
    std::byte* const staged = stage(step, size() * bytes);
    std::byte* const own = staged + rank() * bytes;
    copy(step, staged, send, size() * bytes);
    reduce_slices(step, staged, own, elements, dtype, op);
    return fetch(step, receive, own, bytes);
  }
  reduce_slices(step, at(send, 0), at(receive, 0), elements, dtype, op);
  link_->end(watch, step.stream);
}

// A piece of every slice is no buffer that NCCL could scatter, so what is too long is reduced here.
void NcclCommunicator::reduce_slices(const Step& step, const std::byte* send, std::byte* receive,
                                     int64_t elements, Dtype dtype, ReduceOp op) {
  if (!nccl_reduces(dtype, op) || elements > most()) {
    return reduce_own_slice(step, send, receive, elements, dtype, op);
  }
  link_->issue(step.watch, 1, [&](NcclComm* comm, int64_t) {
    return api().reduce_scatter(send, receive, static_cast<size_t>(elements), dtype, op, comm, step.stream);
  });
}

void NcclCommunicator::reduce_own_slice(const Step& step, const std::byte* send, std::byte* receive,
                                        int64_t elements, Dtype dtype, ReduceOp op) {
  const int64_t width = bytes_of(dtype);
  const int64_t piece = std::max(link_->own().most_scratch / width / size(), int64_t{1});
  for (int64_t first = 0; first < elements; first += piece) {
    const int64_t count = std::min(piece, elements - first);
    std::byte* const received = received_.room(step.watch, (size() - 1) * count * width, step.stream);
    const auto slice = [&](int rank) { return send + (rank * elements + first) * width; };
    part(rank()) = slice(rank());
    for (int d = 1; d < size(); ++d) {
      std::byte* const place = received + (d - 1) * count * width;
      transfer(d) = {slice(peer(d)), count * width, place, count * width};
      part(peer(size() - d)) = place;
    }
    exchange(step);
    api().reduce_in_order(parts_, receive + first * width, count, dtype, op, step.order);
  }
}

void NcclCommunicator::all_gather(const void* send, void* receive, int64_t elements, Dtype dtype,
                                  Stream& stream) {
  Watchdog::Watch watch = link_->begin("all_gather", dtype, elements);
  if (elements == 0) return;
  const Step step{watch, stream};
  const int64_t bytes = elements * bytes_of(dtype);
  traffic_.all_gather += to_each_other_sent_bytes(elements, bytes_of(dtype), size());
  bytes_of_rank_.assign(static_cast<size_t>(size()), bytes);
  if (is_host(receive)) {
    std::byte* const staged = stage(step, size() * bytes);
    copy(step, staged + rank() * bytes, send, bytes);
    gather(step, staged + rank() * bytes, staged, bytes_of_rank_);
    return fetch(step, receive, staged, size() * bytes);
  }
  gather(step, at(send, 0), at(receive, 0), bytes_of_rank_);
  link_->end(watch, step.stream);
}

void NcclCommunicator::all_gather_uneven(const void* send, void* receive, std::span<const int64_t> counts,
                                         Dtype dtype, Stream& stream) {
  require(counts.size() == static_cast<size_t>(size()), "one count per rank");
  const int64_t width = bytes_of(dtype);
  const int64_t total = sum_before(counts, size());
  const int64_t own = counts[static_cast<size_t>(rank())];
  Watchdog::Watch watch = link_->begin("all_gather_uneven", dtype, total);
  if (total == 0) return;
  const Step step{watch, stream};
  traffic_.all_gather += to_each_other_sent_bytes(own, width, size());
  bytes_of_rank_.clear();
  for (const int64_t count : counts) bytes_of_rank_.push_back(count * width);
  if (is_host(receive)) {
    std::byte* const staged = stage(step, total * width);
    std::byte* const place = staged + sum_before(counts, rank()) * width;
    copy(step, place, send, own * width);
    gather(step, place, staged, bytes_of_rank_);
    return fetch(step, receive, staged, total * width);
  }
  gather(step, at(send, 0), at(receive, 0), bytes_of_rank_);
  link_->end(watch, step.stream);
}

// `receive` becomes the `bytes[r]` of each rank r, in rank order.
void NcclCommunicator::gather(const Step& step, const std::byte* send, std::byte* receive,
                              std::span<const int64_t> bytes) {
  const int64_t own = bytes[static_cast<size_t>(rank())];
  const bool is_even = std::all_of(bytes.begin(), bytes.end(), [&](int64_t each) { return each == own; });
  if (is_even && own <= most()) {
    return link_->issue(step.watch, 1, [&](NcclComm* comm, int64_t) {
      return api().all_gather(send, receive, static_cast<size_t>(own), comm, step.stream);
    });
  }
  for (int d = 1; d < size(); ++d) {
    const int from = peer(size() - d);
    transfer(d) = {send, own, receive + sum_before(bytes, from), bytes[static_cast<size_t>(from)]};
  }
  exchange(step);
  copy(step, receive + sum_before(bytes, rank()), send, own);
}

void NcclCommunicator::broadcast(void* data, int64_t elements, Dtype dtype, int root, Stream& stream) {
  require(root >= 0 && root < size(), "the root is a rank");
  Watchdog::Watch watch = link_->begin("broadcast", dtype, elements);
  if (elements == 0) return;
  const Step step{watch, stream};
  const int64_t bytes = elements * bytes_of(dtype);
  if (rank() == root) traffic_.broadcast += to_each_other_sent_bytes(elements, bytes_of(dtype), size());
  const bool staged = is_host(data);
  std::byte* const place = staged ? stage(step, bytes) : at(data, 0);
  if (staged && rank() == root) copy(step, place, data, bytes);
  link_->issue(step.watch, (bytes + most() - 1) / most(), [&](NcclComm* comm, int64_t i) {
    const auto count = static_cast<size_t>(std::min(most(), bytes - i * most()));
    return api().broadcast(place + i * most(), count, root, comm, step.stream);
  });
  if (staged) return fetch(step, data, place, bytes);
  link_->end(watch, step.stream);
}

void NcclCommunicator::all_to_all(const void* send, std::span<const int64_t> send_counts, void* receive,
                                  std::span<const int64_t> receive_counts, Dtype dtype, Stream& stream) {
  require(send_counts.size() == static_cast<size_t>(size()), "one count per rank");
  require(receive_counts.size() == static_cast<size_t>(size()), "one count per rank");
  const int64_t width = bytes_of(dtype);
  const int64_t own_bytes = send_counts[static_cast<size_t>(rank())] * width;
  require(own_bytes == receive_counts[static_cast<size_t>(rank())] * width,
          "what a rank sends to itself it receives");
  const int64_t sent = sum_before(send_counts, size()) * width;
  const int64_t received = sum_before(receive_counts, size()) * width;
  Watchdog::Watch watch = link_->begin("all_to_all", dtype, sent / width);
  if (sent + received == 0) return;
  const Step step{watch, stream};
  traffic_.all_to_all += sent - own_bytes;

  const bool staged = is_host(received > 0 ? receive : send);
  const int64_t after_sent = (sent + kAlignment - 1) / kAlignment * kAlignment;
  std::byte* const area = staged ? stage(step, after_sent + received) : nullptr;
  if (staged) copy(step, area, send, sent);
  const std::byte* const from = staged ? area : at(send, 0);
  std::byte* const into = staged ? area + after_sent : at(receive, 0);
  for (int d = 1; d < size(); ++d) {
    const int to = peer(d), source = peer(size() - d);
    transfer(d) = {from + sum_before(send_counts, to) * width, send_counts[static_cast<size_t>(to)] * width,
                   into + sum_before(receive_counts, source) * width,
                   receive_counts[static_cast<size_t>(source)] * width};
  }
  exchange(step);
  copy(step, into + sum_before(receive_counts, rank()) * width,
       from + sum_before(send_counts, rank()) * width, own_bytes);
  if (staged) return fetch(step, receive, into, received);
  link_->end(watch, step.stream);
}

void NcclCommunicator::shift(const void* send, void* receive, int64_t elements, Dtype dtype, int distance,
                             Stream& stream) {
  Watchdog::Watch watch = link_->begin("shift", dtype, elements);
  if (elements == 0) return;
  const Step step{watch, stream};
  const int64_t bytes = elements * bytes_of(dtype);
  const int steps = (distance % size() + size()) % size();
  if (steps != 0) traffic_.shift += bytes;

  const bool staged = is_host(receive);
  const int64_t after_sent = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  std::byte* const area = staged ? stage(step, after_sent + bytes) : nullptr;
  if (staged) copy(step, area, send, bytes);
  const std::byte* const from = staged ? area : at(send, 0);
  std::byte* const into = staged ? area + after_sent : at(receive, 0);
  if (steps == 0) {
    copy(step, into, from, bytes);
  } else {
    std::fill(transfers_.begin(), transfers_.end(), Transfer{});
    transfer(steps) = {from, bytes, into, bytes};
    exchange(step);
  }
  if (staged) return fetch(step, receive, into, bytes);
  link_->end(watch, step.stream);
}

void NcclCommunicator::wait(Stream& stream) {
  Watchdog::Watch watch = link_->begin("wait", Dtype::kU8, 0);
  link_->wait(watch, stream.native());
}

std::unique_ptr<Communicator> NcclCommunicator::split(int color, int key) {
  return std::make_unique<NcclCommunicator>(link_->split(color, key), runs_beside_others_);
}

void NcclCommunicator::close() {
  {
    Watchdog::Watch watch = link_->begin("close", Dtype::kU8, 0);
    staging_.give_back(watch);
    received_.give_back(watch);
  }
  link_->close();
}

}  // namespace

bool nccl_reduces(Dtype dtype, ReduceOp op) {
  switch (dtype) {
    case Dtype::kI16:
    case Dtype::kU16:
      return false;
    case Dtype::kF16:
    case Dtype::kBF16:
      return op == ReduceOp::kMin || op == ReduceOp::kMax;
    default:
      return op != ReduceOp::kBitOr;
  }
}

std::unique_ptr<Communicator> make_nccl_communicator(const NcclRank& own, const NcclId& id, int rank,
                                                     int size) {
  int version = 0;  // 0 where NCCL does not say
  if (!is_fine(own.api->get_version(version))) version = 0;
  return std::make_unique<NcclCommunicator>(std::make_unique<NcclLink>(own, id, rank, size),
                                            launches_in_order_of_calls(version));
}

}  // namespace orthant
