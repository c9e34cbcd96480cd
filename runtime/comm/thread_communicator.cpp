#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "runtime/comm/sent_bytes.h"
#include "runtime/comm/thread_group.h"
#include "runtime/core/error.h"
#include "runtime/core/reduce.h"
#include "runtime/core/share.h"

namespace orthant {
namespace {

void copy(const void* from, void* into, int64_t bytes) {
  if (from != into && bytes > 0) std::memcpy(into, from, static_cast<size_t>(bytes));
}

const void* offset(const void* base, int64_t bytes) {
  return static_cast<const std::byte*>(base) + bytes;
}
void* offset(void* base, int64_t bytes) {
  return static_cast<std::byte*>(base) + bytes;
}

int64_t sum_before(std::span<const int64_t> counts, int rank) {
  int64_t sum = 0;
  for (const int64_t count : counts.first(static_cast<size_t>(rank))) sum += count;
  return sum;
}

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(ThreadGroup& group, int rank)
      : group_(group),
        rank_(rank),
        watchdog_(group.run().watchdog(group.world_rank(rank))),
        parts_(static_cast<size_t>(group.size())) {}
  int rank() const override { return rank_; }
  int size() const override { return group_.size(); }
  Device device() const override { return kCpu; }
  std::string_view kind() const override { return "threads"; }
  const Traffic& traffic() const override { return traffic_; }

  // Each rank sums its share of the elements and writes the result to all: nobody else touches that share.
  void all_reduce(void* data, int64_t elements, Dtype dtype, ReduceOp op, Stream&) override {
    const int64_t width = bytes_of(dtype);
    const auto watch = watchdog_.watch({"all_reduce", dtype, elements, size()});
    group_.post(rank_, {.operation = watch.operation(), .detail = static_cast<int64_t>(op), .receive = data},
                watch);
    const Share own = share_of(elements, size(), rank_);
    for (int r = 0; r < size(); ++r) part(r) = offset(posted(r).receive, own.first * width);
    void* const result = offset(data, own.first * width);
    reduce_in_order(parts_, result, own.count, dtype, op);
    for (int r = 0; r < size(); ++r) {
      copy(result, offset(posted(r).receive, own.first * width), own.count * width);
    }
    group_.leave(rank_);
    traffic_.all_reduce += all_reduce_sent_bytes(elements, width, size(), rank_);
  }

  void reduce_scatter(const void* send, void* receive, int64_t elements, Dtype dtype, ReduceOp op,
                      Stream&) override {
    const int64_t width = bytes_of(dtype);
    const auto watch = watchdog_.watch({"reduce_scatter", dtype, elements, size()});
    group_.post(rank_, {.operation = watch.operation(), .detail = static_cast<int64_t>(op), .send = send},
                watch);
    for (int r = 0; r < size(); ++r) part(r) = offset(posted(r).send, rank_ * elements * width);
    reduce_in_order(parts_, receive, elements, dtype, op);
    group_.leave(rank_);
    traffic_.reduce_scatter += to_each_other_sent_bytes(elements, width, size());
  }

  void all_gather(const void* send, void* receive, int64_t elements, Dtype dtype, Stream&) override {
    const int64_t bytes = elements * bytes_of(dtype);
    const auto watch = watchdog_.watch({"all_gather", dtype, elements, size()});
    group_.post(rank_, {.operation = watch.operation(), .send = send}, watch);
    for (int r = 0; r < size(); ++r) copy(posted(r).send, offset(receive, r * bytes), bytes);
    group_.leave(rank_);
    traffic_.all_gather += (size() - 1) * bytes;
  }

  void all_gather_uneven(const void* send, void* receive, std::span<const int64_t> counts, Dtype dtype,
                         Stream&) override {
    require_one_per_rank(counts);
    const int64_t width = bytes_of(dtype);
    const auto watch = watchdog_.watch({"all_gather_uneven", dtype, sum_before(counts, size()), size()});
    group_.post(rank_, {.operation = watch.operation(), .send = send}, watch);
    int64_t first = 0;
    for (int r = 0; r < size(); ++r) {
      const int64_t bytes = counts[static_cast<size_t>(r)] * width;
      copy(posted(r).send, offset(receive, first), bytes);
      first += bytes;
    }
    group_.leave(rank_);
    traffic_.all_gather += to_each_other_sent_bytes(counts[static_cast<size_t>(rank_)], width, size());
  }

  void broadcast(void* data, int64_t elements, Dtype dtype, int root, Stream&) override {
    require(root >= 0 && root < size(), "the root is a rank");
    const int64_t width = bytes_of(dtype);
    const auto watch = watchdog_.watch({"broadcast", dtype, elements, size()});
    group_.post(rank_, {.operation = watch.operation(), .detail = root, .receive = data}, watch);
    copy(posted(root).receive, data, elements * width);
    group_.leave(rank_);
    if (rank_ == root) traffic_.broadcast += to_each_other_sent_bytes(elements, width, size());
  }

  void all_to_all(const void* send, std::span<const int64_t> send_counts, void* receive,
                  std::span<const int64_t> receive_counts, Dtype dtype, Stream&) override {
    require_one_per_rank(send_counts);
    require_one_per_rank(receive_counts);
    const int64_t width = bytes_of(dtype);
    const auto watch = watchdog_.watch({"all_to_all", dtype, 0, size()});
    group_.post(rank_,
                {.operation = watch.operation(),
                 .send = send,
                 .send_counts = send_counts,
                 .receive_counts = receive_counts},
                watch);
    require_counts_match();
    int64_t first = 0;
    for (int r = 0; r < size(); ++r) {
      const int64_t bytes = receive_counts[static_cast<size_t>(r)] * width;
      const Post& from = posted(r);
      copy(offset(from.send, sum_before(from.send_counts, rank_) * width), offset(receive, first), bytes);
      first += bytes;
    }
    group_.leave(rank_);
    const int64_t sent = sum_before(send_counts, size()) - send_counts[static_cast<size_t>(rank_)];
    traffic_.all_to_all += sent * width;
  }

  void shift(const void* send, void* receive, int64_t elements, Dtype dtype, int distance, Stream&) override {
    const int64_t bytes = elements * bytes_of(dtype);
    const auto watch = watchdog_.watch({"shift", dtype, elements, size()});
    group_.post(rank_, {.operation = watch.operation(), .detail = distance, .send = send}, watch);
    const int source = ((rank_ - distance) % size() + size()) % size();
    copy(posted(source).send, receive, bytes);
    group_.leave(rank_);
    if (source != rank_) traffic_.shift += bytes;
  }

  std::unique_ptr<Communicator> split(int color, int key) override;

  void close() override {
    const auto watch = watchdog_.watch({"close", Dtype::kU8, 0, size()});
    group_.post(rank_, {.operation = watch.operation()}, watch);
    group_.leave(rank_);
  }
  void abort() noexcept override { group_.run().abort("a rank aborted its communicator"); }

 private:
  const void*& part(int rank) { return parts_[static_cast<size_t>(rank)]; }
  const Post& posted(int rank) const { return group_.posted(rank); }
  void require_one_per_rank(std::span<const int64_t> counts) const {
    require(counts.size() == static_cast<size_t>(size()), "one count per rank");
  }
  // Looked at by every rank in full, so that all of them throw when one pair disagrees.
  void require_counts_match() const {
    for (int from = 0; from < size(); ++from) {
      for (int to = 0; to < size(); ++to) {
        require(posted(from).send_counts[static_cast<size_t>(to)] ==
                    posted(to).receive_counts[static_cast<size_t>(from)],
                "a rank receives what the other sends in all_to_all");
      }
    }
  }

  ThreadGroup& group_;
  int rank_;
  Watchdog& watchdog_;
  std::vector<const void*> parts_;
  Traffic traffic_;
};

std::unique_ptr<Communicator> ThreadCommunicator::split(int color, int key) {
  const auto watch = watchdog_.watch({"split", Dtype::kU8, 0, size()});
  const ThreadGroup::Seat seat = group_.split(rank_, color, key, watch);
  return make_thread_communicator(*seat.group, seat.rank);
}

}  // namespace

std::unique_ptr<Communicator> make_thread_communicator(ThreadGroup& group, int rank) {
  return std::make_unique<ThreadCommunicator>(group, rank);
}

}  // namespace orthant
