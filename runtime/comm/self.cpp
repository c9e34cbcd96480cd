#include "runtime/comm/self.h"

#include <utility>

#include "runtime/comm/world.h"
#include "runtime/core/error.h"
#include "runtime/device/pinned_buffer.h"

namespace orthant {
namespace {

class SelfCommunicator final : public Communicator {
 public:
  explicit SelfCommunicator(Device device) : device_(device) {}
  int rank() const override { return 0; }
  int size() const override { return 1; }
  Device device() const override { return device_; }
  std::string_view kind() const override { return "self"; }

  void all_reduce(void*, int64_t, Dtype, ReduceOp, Stream&) override {}
  void reduce_scatter(const void* send, void* receive, int64_t elements, Dtype dtype, ReduceOp,
                      Stream& stream) override {
    copy(send, receive, elements, dtype, stream);
  }
  void all_gather(const void* send, void* receive, int64_t elements, Dtype dtype, Stream& stream) override {
    copy(send, receive, elements, dtype, stream);
  }
  void all_gather_uneven(const void* send, void* receive, std::span<const int64_t> counts, Dtype dtype,
                         Stream& stream) override {
    require(counts.size() == 1, "one count per rank");
    copy(send, receive, counts[0], dtype, stream);
  }
  void broadcast(void*, int64_t, Dtype, int root, Stream&) override {
    require(root == 0, "the root is a rank");
  }
  void all_to_all(const void* send, std::span<const int64_t> send_counts, void* receive,
                  std::span<const int64_t> receive_counts, Dtype dtype, Stream& stream) override {
    require(send_counts.size() == 1 && receive_counts.size() == 1, "one count per rank");
    require(send_counts[0] == receive_counts[0], "what a rank sends to itself it receives");
    copy(send, receive, send_counts[0], dtype, stream);
  }
  void shift(const void* send, void* receive, int64_t elements, Dtype dtype, int, Stream& stream) override {
    copy(send, receive, elements, dtype, stream);
  }

  std::unique_ptr<Communicator> split(int, int) override { return make_self_communicator(device_); }
  void close() override {}
  void abort() noexcept override {}
  const Traffic& traffic() const override { return traffic_; }

 private:
  void copy(const void* from, void* into, int64_t elements, Dtype dtype, Stream& stream) const {
    if (from == into || elements == 0) return;
    const int64_t bytes = elements * bytes_of(dtype);
    if (stream.native() != nullptr) return copy_in_order(into, from, bytes, stream);
    copy_bytes(into, device_, from, device_, bytes);
  }

  Device device_;
  Traffic traffic_;
};

class SelfControlGroup final : public ControlGroup {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void barrier() override {}
  void broadcast(std::string&, int) override {}
  std::vector<std::string> gather_all(std::string_view text) override { return {std::string(text)}; }
  uint64_t bit_or(uint64_t flags) override { return flags; }
  int64_t min(int64_t value) override { return value; }
  int64_t max(int64_t value) override { return value; }
  int64_t sum(int64_t value) override { return value; }
  std::unique_ptr<ControlGroup> split(int, int) override { return make_self_control_group(); }
  void end_startup() override { deadline_ = Deadlines{}.collective; }
  std::chrono::milliseconds set_deadline(std::chrono::milliseconds deadline) override {
    return std::exchange(deadline_, deadline);
  }
  void set_flight_folder(std::string_view) override {}

 private:
  std::chrono::milliseconds deadline_ = Deadlines{}.startup;
};

}  // namespace

std::unique_ptr<Communicator> make_self_communicator(Device device) {
  return std::make_unique<SelfCommunicator>(device);
}
std::unique_ptr<ControlGroup> make_self_control_group() {
  return std::make_unique<SelfControlGroup>();
}

World make_self_world(Device device) {
  return {.data = make_self_communicator(device), .control = make_self_control_group()};
}

}  // namespace orthant
