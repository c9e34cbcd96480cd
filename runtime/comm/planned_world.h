// One rank of a world that does not exist: it knows its place, and what it would send is counted.
//
// Objects constructed on it and on a Memory that counts have the shapes of the real ones at any mesh. A
// collective on the data plane moves nothing and adds to traffic() what a real rank would have sent
// (runtime/comm/sent_bytes.h); one on the control plane is a bug, because nobody is there to agree with. Not
// thread-safe.
#pragma once

#include "runtime/comm/communicator.h"
#include "runtime/comm/world.h"

namespace orthant {

class PlannedCommunicator final : public Communicator {
 public:
  PlannedCommunicator(int size, int rank, Device device = kCpu);
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  Device device() const override { return device_; }
  std::string_view kind() const override { return "planned"; }

  // Pointers may be null: only counts are looked at.
  void all_reduce(void*, int64_t elements, Dtype dtype, ReduceOp, Stream&) override;
  void reduce_scatter(const void*, void*, int64_t elements, Dtype dtype, ReduceOp, Stream&) override;
  void all_gather(const void*, void*, int64_t elements, Dtype dtype, Stream&) override;
  void all_gather_uneven(const void*, void*, std::span<const int64_t> counts, Dtype dtype, Stream&) override;
  void broadcast(void*, int64_t elements, Dtype dtype, int root, Stream&) override;
  void all_to_all(const void*, std::span<const int64_t> send_counts, void*,
                  std::span<const int64_t> receive_counts, Dtype dtype, Stream&) override;
  void shift(const void*, void*, int64_t elements, Dtype dtype, int distance, Stream&) override;

  // Never: what the other ranks ask for is not known. make_planned_rank() gives the groups of a mesh.
  std::unique_ptr<Communicator> split(int, int) override;
  void close() override {}
  void abort() noexcept override {}
  const Traffic& traffic() const override { return traffic_; }
  // Collectives in which anything travels between ranks.
  [[nodiscard]] int64_t calls() const { return calls_; }

 private:
  int size_;
  int rank_;
  Device device_;
  Traffic traffic_;
  int64_t calls_ = 0;
};

struct PlannedRank {
  World world;
  Grid grid;
};

// Rank `rank` of a world of mesh.data x mesh.dictionary.
[[nodiscard]] PlannedRank make_planned_rank(MeshShape mesh, int rank, Device device = kCpu);

}  // namespace orthant
