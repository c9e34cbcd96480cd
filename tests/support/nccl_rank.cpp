// One rank of a world over the real NCCL that needs no MPI: a test starts as many as it wants, with
// ORTHANT_RANK, ORTHANT_WORLD and ORTHANT_NCCL_ID (a file that does not exist yet) in the environment. It
// runs every operation on memory of the GPU with values whose results are exact, and exits with 0, or 1
// naming what was wrong, or the code of an Error. A second argument "lost" lets the last rank end without a
// word, which the others must notice.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "kernels/dense/reduce_parts.h"
#include "runtime/comm/environment_nccl.h"
#include "runtime/comm/start_nccl.h"
#include "runtime/core/failure.h"
#include "runtime/device/buffer.h"
#include "runtime/device/device.h"

namespace orthant {
namespace {

// Small: two ranks on one GPU talk over sockets and take turns.
constexpr int64_t kElements = 40961;
constexpr std::chrono::seconds kStartDeadline{60};
constexpr std::chrono::seconds kCollectiveDeadline{15};
constexpr int kWrong = 1;

int number(const char* variable) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? 0 : std::atoi(text);
}

// Whole numbers of a type on the GPU.
template <typename T>
class OnGpu {
 public:
  OnGpu(Device device, const std::vector<T>& values)
      : elements_(values.size()), buffer_(device, static_cast<int64_t>(values.size() * sizeof(T))) {
    copy_bytes(buffer_.data(), device, values.data(), kCpu, buffer_.bytes());
  }
  [[nodiscard]] void* data() const { return buffer_.data(); }
  [[nodiscard]] std::vector<T> values() const {
    std::vector<T> values(elements_);
    copy_bytes(values.data(), kCpu, buffer_.data(), buffer_.device(), buffer_.bytes());
    return values;
  }

 private:
  size_t elements_;
  Buffer buffer_;
};

int32_t value_of(int rank, int64_t index) {
  return static_cast<int32_t>((index * 5 + rank * 3) % 8);
}
std::vector<int32_t> values_of(int rank, int64_t elements) {
  std::vector<int32_t> values(static_cast<size_t>(elements));
  for (int64_t i = 0; i < elements; ++i) values[static_cast<size_t>(i)] = value_of(rank, i);
  return values;
}

class Rank {
 public:
  explicit Rank(Communicator& group) : group_(group), stream_(group.device()) {}

  // The first operation whose result is wrong; empty: none.
  [[nodiscard]] std::string first_wrong() {
    if (!sums_f32()) return "all_reduce of f32";
    if (!sums_bf16()) return "all_reduce of bf16";
    if (!joins_bits()) return "all_reduce of bits";
    if (!scatters()) return "reduce_scatter";
    if (!gathers()) return "all_gather";
    if (!broadcasts()) return "broadcast";
    if (!exchanges()) return "all_to_all";
    if (!shifts()) return "shift";
    if (!takes_host_memory()) return "all_reduce of host memory";
    if (!splits()) return "split";
    return "";
  }
  void sum_until_a_peer_is_lost() {
    while (true) {
      OnGpu<int32_t> data(group_.device(), values_of(group_.rank(), 100));
      group_.all_reduce(data.data(), 100, Dtype::kI32, ReduceOp::kSum, stream_);
      group_.wait(stream_);
    }
  }

 private:
  [[nodiscard]] int size() const { return group_.size(); }

  bool sums_f32() {
    std::vector<float> values(kElements, static_cast<float>(group_.rank() + 1));
    OnGpu<float> data(group_.device(), values);
    group_.all_reduce(data.data(), kElements, Dtype::kF32, ReduceOp::kSum, stream_);
    group_.wait(stream_);
    return data.values() == std::vector<float>(kElements, static_cast<float>(size() * (size() + 1) / 2));
  }
  // 256 + 1 + ... + 1 is rounded once.
  bool sums_bf16() {
    for (const int64_t elements : {int64_t{3}, kElements}) {
      const std::vector<uint16_t> values(static_cast<size_t>(elements),
                                         to_bf16(group_.rank() == 0 ? 256.0f : 1.0f).bits);
      OnGpu<uint16_t> data(group_.device(), values);
      group_.all_reduce(data.data(), elements, Dtype::kBF16, ReduceOp::kSum, stream_);
      group_.wait(stream_);
      const uint16_t expected = to_bf16(256.0f + static_cast<float>(size() - 1)).bits;
      if (data.values() != std::vector<uint16_t>(values.size(), expected)) return false;
    }
    return true;
  }
  bool joins_bits() {
    OnGpu<uint64_t> data(group_.device(), {uint64_t{1} << group_.rank()});
    group_.all_reduce(data.data(), 1, Dtype::kU64, ReduceOp::kBitOr, stream_);
    group_.wait(stream_);
    return data.values().front() == (uint64_t{1} << size()) - 1;
  }
  bool scatters() {
    OnGpu<int32_t> send(group_.device(), values_of(0, kElements * size())),
        receive(group_.device(), values_of(0, kElements));
    group_.reduce_scatter(send.data(), receive.data(), kElements, Dtype::kI32, ReduceOp::kSum, stream_);
    group_.wait(stream_);
    const std::vector<int32_t> result = receive.values();
    for (int64_t i = 0; i < kElements; ++i) {
      if (result[static_cast<size_t>(i)] != size() * value_of(0, group_.rank() * kElements + i)) return false;
    }
    return true;
  }
  bool gathers() {
    OnGpu<int32_t> send(group_.device(), values_of(group_.rank(), kElements)),
        receive(group_.device(), std::vector<int32_t>(static_cast<size_t>(kElements * size())));
    group_.all_gather(send.data(), receive.data(), kElements, Dtype::kI32, stream_);
    group_.wait(stream_);
    const std::vector<int32_t> result = receive.values();
    for (int64_t i = 0; i < kElements * size(); ++i) {
      if (result[static_cast<size_t>(i)] != value_of(static_cast<int>(i / kElements), i % kElements))
        return false;
    }
    return true;
  }
  bool broadcasts() {
    OnGpu<int32_t> data(group_.device(), values_of(group_.rank(), kElements));
    group_.broadcast(data.data(), kElements, Dtype::kI32, size() - 1, stream_);
    group_.wait(stream_);
    return data.values() == values_of(size() - 1, kElements);
  }
  // Rank r sends r + t + 1 elements to rank t.
  bool exchanges() {
    std::vector<int64_t> counts;
    for (int r = 0; r < size(); ++r) counts.push_back(group_.rank() + r + 1);
    const int64_t total = std::reduce(counts.begin(), counts.end());
    std::vector<int32_t> expected;
    for (int r = 0; r < size(); ++r)
      expected.insert(expected.end(), static_cast<size_t>(counts[static_cast<size_t>(r)]), r);
    OnGpu<int32_t> send(group_.device(), std::vector<int32_t>(static_cast<size_t>(total), group_.rank())),
        receive(group_.device(), std::vector<int32_t>(static_cast<size_t>(total)));
    group_.all_to_all(send.data(), counts, receive.data(), counts, Dtype::kI32, stream_);
    group_.wait(stream_);
    return receive.values() == expected;
  }
  bool shifts() {
    OnGpu<int32_t> send(group_.device(), values_of(group_.rank(), kElements)),
        receive(group_.device(), values_of(7, kElements));
    group_.shift(send.data(), receive.data(), kElements, Dtype::kI32, 1, stream_);
    group_.wait(stream_);
    return receive.values() == values_of((group_.rank() + size() - 1) % size(), kElements);
  }
  bool takes_host_memory() {
    std::vector<double> values(1000, group_.rank() + 1.0);
    group_.all_reduce(values.data(), 1000, Dtype::kF64, ReduceOp::kSum, stream_);
    return values == std::vector<double>(1000, size() * (size() + 1) / 2.0);
  }
  bool splits() {
    const auto half = group_.split(group_.rank() % 2, -group_.rank());
    int64_t members = 1;
    half->all_reduce(&members, 1, Dtype::kI64, ReduceOp::kSum, stream_);
    half->close();
    return members == half->size();
  }

  Communicator& group_;
  Stream stream_;
};

int run(const std::string& mode) {
  const int rank = number("ORTHANT_RANK"), size = number("ORTHANT_WORLD");
  const Device device = device_from_name("cuda", ranks_share_gpus() ? 0 : rank);
  Watchdog watchdog(rank, {.startup = kStartDeadline, .collective = kCollectiveDeadline}, OnDeadline::kExit);
  const NcclApi api = nccl_api(kernels::cuda::reduce_parts);
  const NcclRank own{.api = &api, .watchdog = &watchdog, .device = device.index};
  prepare_nccl_environment(rank);
  const auto group = start_nccl_by_file(own, std::getenv("ORTHANT_NCCL_ID"), rank, size, kStartDeadline);
  Rank self(*group);
  const std::string wrong = self.first_wrong();
  if (!wrong.empty()) {
    fmt::print(stderr, "rank {}: {} is wrong\n", rank, wrong);
    return kWrong;
  }
  watchdog.end_startup();
  if (mode == "lost" && rank == size - 1) std::_Exit(0);
  if (mode == "lost") self.sum_until_a_peer_is_lost();
  group->close();
  return 0;
}

}  // namespace
}  // namespace orthant

int main(int argc, char** argv) {
  try {
    return orthant::run(argc > 1 ? argv[1] : "");
  } catch (const std::exception& exception) {
    const orthant::Failure failure = orthant::failure_of(exception);
    fmt::print(stderr, "orthant: {}\n", failure.message);
    return static_cast<int>(failure.code);
  }
}
