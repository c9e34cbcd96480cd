#include <mpi.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>
#include <vector>

#include "runtime/comm/mpi_planes.h"
#include "runtime/comm/sent_bytes.h"
#include "runtime/core/error.h"
#include "runtime/core/reduce.h"
#include "runtime/core/share.h"
#include "runtime/device/buffer.h"

namespace orthant {
namespace {

// Long messages travel in pieces: of whole buffers, Open MPI's shared memory transport is four times slower.
// Pieces that are summed are smaller, so that those of all ranks lie in the second-level cache together.
constexpr int64_t kPieceBytes = 1 << 20;
constexpr int64_t kSummedBytes = 512 << 10;  // of all ranks
constexpr int64_t kLeastSummedBytes = 32 << 10;

enum Tag : int { kExchangeTag = 1, kReduceTag = 2, kGatherTag = 3 };

const std::byte* at(const void* base, int64_t bytes) {
  return static_cast<const std::byte*>(base) + bytes;
}
std::byte* at(void* base, int64_t bytes) {
  return static_cast<std::byte*>(base) + bytes;
}

// What this rank gives to and takes from one other rank.
struct Transfer {
  int peer = 0;
  const std::byte* send = nullptr;
  int64_t send_bytes = 0;
  std::byte* receive = nullptr;
  int64_t receive_bytes = 0;
};

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(MPI_Comm comm, Watchdog& watchdog) : comm_(comm), watchdog_(watchdog) {
    check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
    parts_.resize(static_cast<size_t>(size_));
    summed_bytes_ = std::max(kSummedBytes / size_, kLeastSummedBytes) / 8 * 8;
  }
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  Device device() const override { return kCpu; }
  std::string_view kind() const override { return "mpi"; }
  const Traffic& traffic() const override { return traffic_; }

  void all_reduce(void* data, int64_t elements, Dtype dtype, ReduceOp op, Stream&) override;
  void reduce_scatter(const void* send, void* receive, int64_t elements, Dtype dtype, ReduceOp op,
                      Stream&) override;
  void all_gather(const void* send, void* receive, int64_t elements, Dtype dtype, Stream&) override;
  void all_gather_uneven(const void* send, void* receive, std::span<const int64_t> counts, Dtype dtype,
                         Stream&) override;
  void broadcast(void* data, int64_t elements, Dtype dtype, int root, Stream&) override;
  void all_to_all(const void* send, std::span<const int64_t> send_counts, void* receive,
                  std::span<const int64_t> receive_counts, Dtype dtype, Stream&) override;
  void shift(const void* send, void* receive, int64_t elements, Dtype dtype, int distance, Stream&) override;
  std::unique_ptr<Communicator> split(int color, int key) override;
  void close() override;
  void abort() noexcept override { aborted_.store(true, std::memory_order_relaxed); }

 private:
  [[nodiscard]] Watchdog::Watch begin(const char* name, Dtype dtype, int64_t elements) {
    if (aborted_.load(std::memory_order_relaxed)) {
      throw Error(ExitCode::kPeer,
                  {.problem = std::string("no ") + name, .why = "the communicator was aborted"});
    }
    require(!closed_, "no call follows close()");
    return watchdog_.watch({name, dtype, elements, size_});
  }
  // The other ranks, nearest first, so that not all ranks begin with the same one.
  [[nodiscard]] int peer(int distance) const { return (rank_ + distance) % size_; }
  [[nodiscard]] std::byte* scratch(int64_t bytes) {
    if (scratch_.bytes() < bytes) scratch_ = Buffer(kCpu, bytes);
    return scratch_.data();
  }
  void post_send(const void* from, int64_t bytes, int to, Tag tag);
  void post_receive(void* into, int64_t bytes, int from, Tag tag);
  void wait_all();
  void exchange(std::span<Transfer> transfers);
  void all_reduce_small(void* data, int64_t elements, Dtype dtype, ReduceOp op);
  void all_reduce_by_slices(void* data, int64_t elements, Dtype dtype, ReduceOp op);

  MPI_Comm comm_;
  Watchdog& watchdog_;
  int rank_ = 0;
  int size_ = 1;
  int64_t summed_bytes_ = kSummedBytes;  // of one rank
  bool closed_ = false;
  std::atomic<bool> aborted_{false};
  Buffer scratch_;
  std::vector<const void*> parts_;
  std::vector<MPI_Request> requests_;
  std::vector<Transfer> transfers_;
  Traffic traffic_;
};

void MpiCommunicator::post_send(const void* from, int64_t bytes, int to, Tag tag) {
  if (bytes == 0) return;
  check_mpi(MPI_Isend(from, static_cast<int>(bytes), MPI_BYTE, to, tag, comm_, &requests_.emplace_back()),
            "MPI_Isend");
}

void MpiCommunicator::post_receive(void* into, int64_t bytes, int from, Tag tag) {
  if (bytes == 0) return;
  check_mpi(MPI_Irecv(into, static_cast<int>(bytes), MPI_BYTE, from, tag, comm_, &requests_.emplace_back()),
            "MPI_Irecv");
}

void MpiCommunicator::wait_all() {
  check_mpi(MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE),
            "MPI_Waitall");
  requests_.clear();
}

// Piece i of every message travels in round i on both sides, so ranks with more rounds never wait for each
// other in a circle.
void MpiCommunicator::exchange(std::span<Transfer> transfers) {
  bool more = true;
  while (more) {
    more = false;
    for (Transfer& transfer : transfers) {
      const int64_t bytes = std::min(kPieceBytes, transfer.receive_bytes);
      post_receive(transfer.receive, bytes, transfer.peer, kExchangeTag);
      transfer.receive += bytes;
      transfer.receive_bytes -= bytes;
      more |= transfer.receive_bytes > 0;
    }
    for (Transfer& transfer : transfers) {
      const int64_t bytes = std::min(kPieceBytes, transfer.send_bytes);
      post_send(transfer.send, bytes, transfer.peer, kExchangeTag);
      transfer.send += bytes;
      transfer.send_bytes -= bytes;
      more |= transfer.send_bytes > 0;
    }
    wait_all();
  }
}

void MpiCommunicator::all_reduce(void* data, int64_t elements, Dtype dtype, ReduceOp op, Stream&) {
  const auto watch = begin("all_reduce", dtype, elements);
  if (size_ == 1 || elements == 0) return;
  const int64_t width = bytes_of(dtype);
  if (is_small(elements * width, size_)) {
    all_reduce_small(data, elements, dtype, op);
  } else {
    all_reduce_by_slices(data, elements, dtype, op);
  }
  traffic_.all_reduce += all_reduce_sent_bytes(elements, width, size_, rank_);
}

void MpiCommunicator::all_reduce_small(void* data, int64_t elements, Dtype dtype, ReduceOp op) {
  const int64_t bytes = elements * bytes_of(dtype);
  std::byte* const all = scratch(bytes * size_);
  check_mpi(
      MPI_Allgather(data, static_cast<int>(bytes), MPI_BYTE, all, static_cast<int>(bytes), MPI_BYTE, comm_),
      "MPI_Allgather");
  for (int r = 0; r < size_; ++r) parts_[static_cast<size_t>(r)] = all + r * bytes;
  reduce_in_order(parts_, data, elements, dtype, op);
}

// Rank r owns share r. A round sums one piece of every share, while the sums of the round before are handed
// out.
void MpiCommunicator::all_reduce_by_slices(void* data, int64_t elements, Dtype dtype, ReduceOp op) {
  const int64_t width = bytes_of(dtype);
  const int64_t piece = summed_bytes_ / width;
  const int64_t rounds = (share_of(elements, size_, 0).count + piece - 1) / piece;
  std::byte* const received = scratch((size_ - 1) * summed_bytes_);
  const auto piece_of = [&](int rank, int64_t round) {
    const Share share = share_of(elements, size_, rank);
    const int64_t first = std::min(round * piece, share.count);
    return Share{share.first + first, std::min(piece, share.count - first)};
  };
  for (int64_t round = 0; round <= rounds; ++round) {
    const Share own = piece_of(rank_, round);
    const Share summed = round > 0 ? piece_of(rank_, round - 1) : Share{};
    for (int distance = 1; distance < size_; ++distance) {
      const int other = peer(distance);
      std::byte* const place = received + (distance - 1) * summed_bytes_;
      parts_[static_cast<size_t>(other)] = place;
      post_receive(place, own.count * width, other, kReduceTag);
      const Share theirs = round > 0 ? piece_of(other, round - 1) : Share{};
      post_receive(at(data, theirs.first * width), theirs.count * width, other, kGatherTag);
    }
    for (int distance = 1; distance < size_; ++distance) {
      const int other = peer(distance);
      const Share theirs = piece_of(other, round);
      post_send(at(data, theirs.first * width), theirs.count * width, other, kReduceTag);
      post_send(at(data, summed.first * width), summed.count * width, other, kGatherTag);
    }
    wait_all();
    void* const result = at(data, own.first * width);
    parts_[static_cast<size_t>(rank_)] = result;
    reduce_in_order(parts_, result, own.count, dtype, op);
  }
}

void MpiCommunicator::reduce_scatter(const void* send, void* receive, int64_t elements, Dtype dtype,
                                     ReduceOp op, Stream&) {
  const auto watch = begin("reduce_scatter", dtype, elements);
  const int64_t width = bytes_of(dtype);
  const int64_t piece = summed_bytes_ / width;
  std::byte* const received = scratch((size_ - 1) * summed_bytes_);
  for (int64_t first = 0; first < elements; first += piece) {
    const int64_t count = std::min(piece, elements - first);
    for (int distance = 1; distance < size_; ++distance) {
      std::byte* const place = received + (distance - 1) * summed_bytes_;
      parts_[static_cast<size_t>(peer(distance))] = place;
      post_receive(place, count * width, peer(distance), kReduceTag);
    }
    for (int distance = 1; distance < size_; ++distance) {
      post_send(at(send, (peer(distance) * elements + first) * width), count * width, peer(distance),
                kReduceTag);
    }
    wait_all();
    parts_[static_cast<size_t>(rank_)] = at(send, (rank_ * elements + first) * width);
    reduce_in_order(parts_, at(receive, first * width), count, dtype, op);
  }
  traffic_.reduce_scatter += to_each_other_sent_bytes(elements, width, size_);
}

void MpiCommunicator::all_gather(const void* send, void* receive, int64_t elements, Dtype dtype, Stream&) {
  const auto watch = begin("all_gather", dtype, elements);
  const int64_t bytes = elements * bytes_of(dtype);
  std::byte* const own_place = at(receive, rank_ * bytes);
  if (is_small(bytes, size_)) {
    const void* const source = send == own_place ? MPI_IN_PLACE : send;
    check_mpi(MPI_Allgather(source, static_cast<int>(bytes), MPI_BYTE, receive, static_cast<int>(bytes),
                            MPI_BYTE, comm_),
              "MPI_Allgather");
  } else {
    transfers_.clear();
    for (int distance = 1; distance < size_; ++distance) {
      const int other = peer(distance);
      transfers_.push_back({other, at(send, 0), bytes, at(receive, other * bytes), bytes});
    }
    exchange(transfers_);
    if (send != own_place) std::memcpy(own_place, send, static_cast<size_t>(bytes));
  }
  traffic_.all_gather += (size_ - 1) * bytes;
}

void MpiCommunicator::all_gather_uneven(const void* send, void* receive, std::span<const int64_t> counts,
                                        Dtype dtype, Stream&) {
  require(counts.size() == static_cast<size_t>(size_), "one count per rank");
  const int64_t width = bytes_of(dtype);
  const int64_t own_bytes = counts[static_cast<size_t>(rank_)] * width;
  transfers_.clear();
  int64_t first = 0;
  std::byte* own_place = nullptr;
  for (int r = 0; r < size_; ++r) {
    const int64_t bytes = counts[static_cast<size_t>(r)] * width;
    if (r == rank_) own_place = at(receive, first);
    if (r != rank_) transfers_.push_back({r, at(send, 0), own_bytes, at(receive, first), bytes});
    first += bytes;
  }
  const auto watch = begin("all_gather_uneven", dtype, first / width);
  exchange(transfers_);
  if (send != own_place && own_bytes > 0) std::memcpy(own_place, send, static_cast<size_t>(own_bytes));
  traffic_.all_gather += (size_ - 1) * own_bytes;
}

void MpiCommunicator::broadcast(void* data, int64_t elements, Dtype dtype, int root, Stream&) {
  const auto watch = begin("broadcast", dtype, elements);
  require(root >= 0 && root < size_, "the root is a rank");
  const int64_t bytes = elements * bytes_of(dtype);
  for (int64_t first = 0; first < bytes; first += kPieceBytes) {
    const auto count = static_cast<int>(std::min(kPieceBytes, bytes - first));
    check_mpi(MPI_Bcast(at(data, first), count, MPI_BYTE, root, comm_), "MPI_Bcast");
  }
  if (rank_ == root) traffic_.broadcast += (size_ - 1) * bytes;
}

void MpiCommunicator::all_to_all(const void* send, std::span<const int64_t> send_counts, void* receive,
                                 std::span<const int64_t> receive_counts, Dtype dtype, Stream&) {
  require(send_counts.size() == static_cast<size_t>(size_), "one count per rank");
  require(receive_counts.size() == static_cast<size_t>(size_), "one count per rank");
  const int64_t width = bytes_of(dtype);
  transfers_.clear();
  Transfer own;
  int64_t sent = 0, received = 0;
  for (int r = 0; r < size_; ++r) {
    const int64_t send_bytes = send_counts[static_cast<size_t>(r)] * width;
    const int64_t receive_bytes = receive_counts[static_cast<size_t>(r)] * width;
    const Transfer transfer{r, at(send, sent), send_bytes, at(receive, received), receive_bytes};
    if (r == rank_) own = transfer;
    if (r != rank_) transfers_.push_back(transfer);
    sent += send_bytes;
    received += receive_bytes;
  }
  require(own.send_bytes == own.receive_bytes, "what a rank sends to itself it receives");
  const auto watch = begin("all_to_all", dtype, sent / width);
  std::rotate(transfers_.begin(), transfers_.begin() + rank_, transfers_.end());
  exchange(transfers_);
  if (own.send_bytes > 0) std::memcpy(own.receive, own.send, static_cast<size_t>(own.send_bytes));
  traffic_.all_to_all += sent - own.send_bytes;
}

void MpiCommunicator::shift(const void* send, void* receive, int64_t elements, Dtype dtype, int distance,
                            Stream&) {
  const auto watch = begin("shift", dtype, elements);
  const int64_t bytes = elements * bytes_of(dtype);
  const int steps = (distance % size_ + size_) % size_;
  if (steps == 0) {
    if (bytes > 0) std::memcpy(receive, send, static_cast<size_t>(bytes));
    return;
  }
  const int to = peer(steps), from = peer(size_ - steps);
  for (int64_t first = 0; first < bytes; first += kPieceBytes) {
    const auto count = static_cast<int>(std::min(kPieceBytes, bytes - first));
    check_mpi(MPI_Sendrecv(at(send, first), count, MPI_BYTE, to, kExchangeTag, at(receive, first), count,
                           MPI_BYTE, from, kExchangeTag, comm_, MPI_STATUS_IGNORE),
              "MPI_Sendrecv");
  }
  traffic_.shift += bytes;
}

std::unique_ptr<Communicator> MpiCommunicator::split(int color, int key) {
  const auto watch = begin("split", Dtype::kU8, 0);
  require(color >= 0, "the color of a group is not negative");
  MPI_Comm group = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(comm_, color, key, &group), "MPI_Comm_split");
  return std::make_unique<MpiCommunicator>(group, watchdog_);
}

void MpiCommunicator::close() {
  const auto watch = begin("close", Dtype::kU8, 0);
  check_mpi(MPI_Comm_free(&comm_), "MPI_Comm_free");
  closed_ = true;
}

}  // namespace

void check_mpi(int status, std::string_view call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw Error(ExitCode::kPeer, {.problem = std::string(call) + " failed",
                                .why = std::string(text, static_cast<size_t>(length)),
                                .suggestion = "See the log of the other ranks for the first cause."});
}

std::unique_ptr<Communicator> make_mpi_communicator(Watchdog& watchdog) {
  const auto watch = watchdog.watch({"MPI_Comm_dup", Dtype::kU8, 0, 0});
  MPI_Comm comm = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup");
  return std::make_unique<MpiCommunicator>(comm, watchdog);
}

}  // namespace orthant
