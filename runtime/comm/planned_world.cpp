#include "runtime/comm/planned_world.h"

#include <utility>

#include "runtime/comm/sent_bytes.h"
#include "runtime/core/error.h"

namespace orthant {
namespace {

class PlannedControlGroup final : public ControlGroup {
 public:
  PlannedControlGroup(int size, int rank) : size_(size), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void barrier() override { refuse(); }
  void broadcast(std::string&, int) override { refuse(); }
  std::vector<std::string> gather_all(std::string_view) override {
    refuse();
    return {};
  }
  uint64_t bit_or(uint64_t flags) override {
    refuse();
    return flags;
  }
  int64_t min(int64_t value) override {
    refuse();
    return value;
  }
  int64_t max(int64_t value) override {
    refuse();
    return value;
  }
  int64_t sum(int64_t value) override {
    refuse();
    return value;
  }
  std::unique_ptr<ControlGroup> split(int, int) override {
    refuse();
    return nullptr;
  }
  void end_startup() override {}
  std::chrono::milliseconds set_deadline(std::chrono::milliseconds deadline) override {
    return std::exchange(deadline_, deadline);
  }
  void set_flight_folder(std::string_view) override {}

 private:
  static void refuse() { require(false, "a planned world has nobody to agree with"); }
  int size_;
  int rank_;
  std::chrono::milliseconds deadline_ = Deadlines{}.startup;
};

}  // namespace

PlannedCommunicator::PlannedCommunicator(int size, int rank, Device device)
    : size_(size), rank_(rank), device_(device) {
  require(rank >= 0 && rank < size, "a rank is one of its group");
}

void PlannedCommunicator::all_reduce(void*, int64_t elements, Dtype dtype, ReduceOp, Stream&) {
  traffic_.all_reduce += all_reduce_sent_bytes(elements, bytes_of(dtype), size_, rank_);
  if (size_ > 1) ++calls_;
}

void PlannedCommunicator::reduce_scatter(const void*, void*, int64_t elements, Dtype dtype, ReduceOp,
                                         Stream&) {
  traffic_.reduce_scatter += to_each_other_sent_bytes(elements, bytes_of(dtype), size_);
  if (size_ > 1) ++calls_;
}

void PlannedCommunicator::all_gather(const void*, void*, int64_t elements, Dtype dtype, Stream&) {
  traffic_.all_gather += to_each_other_sent_bytes(elements, bytes_of(dtype), size_);
  if (size_ > 1) ++calls_;
}

void PlannedCommunicator::all_gather_uneven(const void*, void*, std::span<const int64_t> counts, Dtype dtype,
                                            Stream&) {
  require(static_cast<int>(counts.size()) == size_, "one count per rank");
  traffic_.all_gather += to_each_other_sent_bytes(counts[static_cast<size_t>(rank_)], bytes_of(dtype), size_);
  if (size_ > 1) ++calls_;
}

void PlannedCommunicator::broadcast(void*, int64_t elements, Dtype dtype, int root, Stream&) {
  if (root == rank_) traffic_.broadcast += to_each_other_sent_bytes(elements, bytes_of(dtype), size_);
  if (size_ > 1) ++calls_;
}

void PlannedCommunicator::all_to_all(const void*, std::span<const int64_t> send_counts, void*,
                                     std::span<const int64_t>, Dtype dtype, Stream&) {
  require(static_cast<int>(send_counts.size()) == size_, "one count per rank");
  for (int r = 0; r < size_; ++r) {
    if (r != rank_) traffic_.all_to_all += send_counts[static_cast<size_t>(r)] * bytes_of(dtype);
  }
  if (size_ > 1) ++calls_;
}

void PlannedCommunicator::shift(const void*, void*, int64_t elements, Dtype dtype, int distance, Stream&) {
  if (distance % size_ == 0) return;
  traffic_.shift += elements * bytes_of(dtype);
  ++calls_;
}

std::unique_ptr<Communicator> PlannedCommunicator::split(int, int) {
  require(false, "a planned group cannot be split");
  return nullptr;
}

PlannedRank make_planned_rank(MeshShape mesh, int rank, Device device) {
  const int size = mesh.data * mesh.dictionary;
  return {.world = {.data = std::make_unique<PlannedCommunicator>(size, rank, device),
                    .control = std::make_unique<PlannedControlGroup>(size, rank)},
          .grid = {.dictionary =
                       std::make_unique<PlannedCommunicator>(mesh.dictionary, rank % mesh.dictionary, device),
                   .data = std::make_unique<PlannedCommunicator>(mesh.data, rank / mesh.dictionary, device)}};
}

}  // namespace orthant
