// What every communicator and control group does, run over self, threads and MPI alike.
//
// Inputs are small integers, so that sums are exact in every type and order. Buffers stand between sentinels.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/core/dtype.h"
#include "runtime/core/error.h"
#include "runtime/core/share.h"

namespace orthant::testing {

// A way to run a body on every rank of a world. Over MPI every rank of the job calls run().
struct Ranks {
  std::string name;
  std::function<void(const std::function<void(World&)>&)> run;
  bool sums_in_rank_order = true;  // of f32; NCCL has an order of its own
};

// An array of `dtype` between sentinels that reads and writes whole numbers.
class Guarded {
 public:
  Guarded(Dtype dtype, int64_t elements) : dtype_(dtype), elements_(elements) {
    bytes_.assign(static_cast<size_t>(2 * kGuard + elements * bytes_of(dtype)), kSentinel);
  }
  [[nodiscard]] void* data() { return bytes_.data() + kGuard; }
  [[nodiscard]] void* at(int64_t index) { return bytes_.data() + kGuard + index * bytes_of(dtype_); }
  void set(int64_t index, int64_t value) { store(at(index), value); }
  // Everything at once: rank-dependent values below 8.
  void fill(int rank) {
    for (int64_t i = 0; i < elements_; ++i) set(i, value_of(rank, i));
  }
  [[nodiscard]] int64_t get(int64_t index) const {
    return load(bytes_.data() + kGuard + index * bytes_of(dtype_));
  }
  [[nodiscard]] static int64_t value_of(int rank, int64_t index) {
    return (index * 5 + rank * 3 + index / 7) % 8;
  }
  // The number of elements that differ from what `expected` says, and whether a sentinel was overwritten.
  template <typename Expected>
  void expect(const Expected& expected) const {
    int64_t wrong = 0, first = -1;
    for (int64_t i = 0; i < elements_; ++i) {
      if (get(i) != expected(i) && wrong++ == 0) first = i;
    }
    EXPECT_EQ(wrong, 0) << "of " << elements_ << " " << name_of(dtype_) << "; first at " << first << ": "
                        << (first < 0 ? 0 : get(first)) << " instead of "
                        << (first < 0 ? 0 : expected(first));
    for (int64_t i = 0; i < kGuard; ++i) {
      ASSERT_EQ(bytes_[static_cast<size_t>(i)], kSentinel) << "before the buffer";
      ASSERT_EQ(bytes_[bytes_.size() - 1 - static_cast<size_t>(i)], kSentinel) << "after the buffer";
    }
  }

 private:
  static constexpr int64_t kGuard = 64;
  static constexpr uint8_t kSentinel = 0xa5;

  template <typename T>
  static void put(void* place, T value) {
    std::memcpy(place, &value, sizeof value);
  }
  template <typename T>
  static T take(const void* place) {
    T value;
    std::memcpy(&value, place, sizeof value);
    return value;
  }
  void store(void* place, int64_t value) const {
    switch (dtype_) {
      case Dtype::kF64:
        return put(place, static_cast<double>(value));
      case Dtype::kF32:
        return put(place, static_cast<float>(value));
      case Dtype::kF16:
        return put(place, to_f16(static_cast<float>(value)));
      case Dtype::kBF16:
        return put(place, to_bf16(static_cast<float>(value)));
      case Dtype::kI64:
        return put(place, value);
      case Dtype::kU64:
        return put(place, static_cast<uint64_t>(value));
      case Dtype::kI32:
        return put(place, static_cast<int32_t>(value));
      default:
        return put(place, static_cast<uint8_t>(value));
    }
  }
  [[nodiscard]] int64_t load(const void* place) const {
    switch (dtype_) {
      case Dtype::kF64:
        return static_cast<int64_t>(take<double>(place));
      case Dtype::kF32:
        return static_cast<int64_t>(take<float>(place));
      case Dtype::kF16:
        return static_cast<int64_t>(to_f32(take<Float16>(place)));
      case Dtype::kBF16:
        return static_cast<int64_t>(to_f32(take<BFloat16>(place)));
      case Dtype::kI64:
        return take<int64_t>(place);
      case Dtype::kU64:
        return static_cast<int64_t>(take<uint64_t>(place));
      case Dtype::kI32:
        return take<int32_t>(place);
      default:
        return take<uint8_t>(place);
    }
  }

  Dtype dtype_;
  int64_t elements_;
  std::vector<uint8_t> bytes_;
};

inline constexpr std::array<Dtype, 8> kCommunicatedDtypes = {
    Dtype::kF64, Dtype::kF32, Dtype::kBF16, Dtype::kF16, Dtype::kI64, Dtype::kI32, Dtype::kU64, Dtype::kU8};
// Nothing, one element, fewer than ranks, odd, beyond the small-message path.
inline constexpr std::array<int64_t, 5> kCommunicatedSizes = {0, 1, 3, 1021, 40961};
// Crosses the pieces that long messages are cut into.
inline constexpr int64_t kLongElements = (1 << 19) + 5;

class CommunicatorContract : public ::testing::TestWithParam<Ranks> {
 protected:
  void run(const std::function<void(World&)>& body) { GetParam().run(body); }
  // `body` gets every dtype and size, and one long f32 message.
  void sweep(const std::function<void(World&, Dtype, int64_t)>& body) {
    run([&](World& world) {
      for (const Dtype dtype : kCommunicatedDtypes) {
        for (const int64_t elements : kCommunicatedSizes) body(world, dtype, elements);
      }
      body(world, Dtype::kF32, kLongElements);
    });
  }
  // The reduction of value_of() over all ranks.
  static int64_t reduced(ReduceOp op, int size, int64_t index) {
    int64_t result = Guarded::value_of(0, index);
    for (int r = 1; r < size; ++r) {
      const int64_t next = Guarded::value_of(r, index);
      if (op == ReduceOp::kSum) result += next;
      if (op == ReduceOp::kMin) result = std::min(result, next);
      if (op == ReduceOp::kMax) result = std::max(result, next);
      if (op == ReduceOp::kBitOr) result |= next;
    }
    return result;
  }
  Stream stream_;
};

TEST_P(CommunicatorContract, AllReduceSumsInPlace) {
  sweep([&](World& world, Dtype dtype, int64_t elements) {
    Guarded data(dtype, elements);
    data.fill(world.rank());
    world.data->all_reduce(data.data(), elements, dtype, ReduceOp::kSum, stream_);
    data.expect([&](int64_t i) { return reduced(ReduceOp::kSum, world.size(), i); });
  });
}

TEST_P(CommunicatorContract, AllReduceTakesTheOtherOperations) {
  run([&](World& world) {
    for (const ReduceOp op : {ReduceOp::kMin, ReduceOp::kMax, ReduceOp::kBitOr}) {
      for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16, Dtype::kI32, Dtype::kU64, Dtype::kU8}) {
        if (op == ReduceOp::kBitOr && (dtype == Dtype::kF32 || dtype == Dtype::kBF16)) continue;
        for (const int64_t elements : {7, 50001}) {
          Guarded data(dtype, elements);
          data.fill(world.rank());
          world.data->all_reduce(data.data(), elements, dtype, op, stream_);
          data.expect([&](int64_t i) { return reduced(op, world.size(), i); });
        }
      }
    }
  });
}

TEST_P(CommunicatorContract, SumsAreFormedInRankOrder) {
  run([&](World& world) {
    // 2^24 + 1 rounds back to 2^24, so any order but rank order gives another sum.
    for (const int64_t elements : {int64_t{1}, int64_t{9000}, int64_t{700001}}) {
      std::vector<float> data(static_cast<size_t>(elements), world.rank() == 0 ? 16777216.0f : 1.0f);
      float expected = 16777216.0f;
      for (int r = 1; r < world.size(); ++r) expected += 1.0f;
      world.data->all_reduce(data.data(), elements, Dtype::kF32, ReduceOp::kSum, stream_);
      if (!GetParam().sums_in_rank_order) expected = data.front();
      EXPECT_EQ(std::count(data.begin(), data.end(), expected), elements);
    }
  });
}

TEST_P(CommunicatorContract, SixteenBitSumsRoundOnce) {
  run([&](World& world) {
    // 256 + 1 + 1 + ...: bf16 has eight bits, so a sum that is rounded after every part stays at 256.
    for (const int64_t elements : {1, 20001}) {
      std::vector<BFloat16> data(static_cast<size_t>(elements), to_bf16(world.rank() == 0 ? 256.0f : 1.0f));
      const BFloat16 expected = to_bf16(256.0f + static_cast<float>(world.size() - 1));
      world.data->all_reduce(data.data(), elements, Dtype::kBF16, ReduceOp::kSum, stream_);
      for (const BFloat16 value : data) ASSERT_EQ(value.bits, expected.bits);
    }
  });
}

TEST_P(CommunicatorContract, ReduceScatterGivesEachRankItsSlice) {
  sweep([&](World& world, Dtype dtype, int64_t elements) {
    Guarded send(dtype, elements * world.size()), receive(dtype, elements);
    send.fill(world.rank());
    const int64_t first = elements * world.rank();
    const auto expected = [&](int64_t i) { return reduced(ReduceOp::kSum, world.size(), first + i); };
    world.data->reduce_scatter(send.data(), receive.data(), elements, dtype, ReduceOp::kSum, stream_);
    receive.expect(expected);
    send.expect([&](int64_t i) { return Guarded::value_of(world.rank(), i); });
    world.data->reduce_scatter(send.data(), send.at(first), elements, dtype, ReduceOp::kSum, stream_);
    send.expect([&](int64_t i) {
      const bool own = i >= first && i < first + elements;
      return own ? expected(i - first) : Guarded::value_of(world.rank(), i);
    });
  });
}

TEST_P(CommunicatorContract, AllGatherKeepsRankOrder) {
  sweep([&](World& world, Dtype dtype, int64_t elements) {
    Guarded send(dtype, elements), receive(dtype, elements * world.size()),
        in_place(dtype, elements * world.size());
    send.fill(world.rank());
    const auto expected = [&](int64_t i) {
      return Guarded::value_of(static_cast<int>(i / elements), i % elements);
    };
    world.data->all_gather(send.data(), receive.data(), elements, dtype, stream_);
    receive.expect(expected);
    for (int64_t i = 0; i < elements; ++i) in_place.set(world.rank() * elements + i, send.get(i));
    world.data->all_gather(in_place.at(world.rank() * elements), in_place.data(), elements, dtype, stream_);
    in_place.expect(expected);
  });
}

TEST_P(CommunicatorContract, AllGatherTakesUnevenCounts) {
  sweep([&](World& world, Dtype dtype, int64_t elements) {
    std::vector<int64_t> counts, owner;
    for (int r = 0; r < world.size(); ++r) {
      counts.push_back(r % 3 == 1 ? 0 : elements / (r + 1) + r);
      owner.insert(owner.end(), static_cast<size_t>(counts.back()), r);
    }
    std::vector<int64_t> firsts(counts.size());
    std::exclusive_scan(counts.begin(), counts.end(), firsts.begin(), int64_t{0});
    const auto total = static_cast<int64_t>(owner.size());
    Guarded send(dtype, counts[static_cast<size_t>(world.rank())]), receive(dtype, total);
    send.fill(world.rank());
    world.data->all_gather_uneven(send.data(), receive.data(), counts, dtype, stream_);
    receive.expect([&](int64_t i) {
      const int64_t r = owner[static_cast<size_t>(i)];
      return Guarded::value_of(static_cast<int>(r), i - firsts[static_cast<size_t>(r)]);
    });
  });
}

TEST_P(CommunicatorContract, BroadcastReachesEveryRankFromEveryRoot) {
  sweep([&](World& world, Dtype dtype, int64_t elements) {
    for (const int root : {0, world.size() - 1}) {
      Guarded data(dtype, elements);
      data.fill(world.rank());
      world.data->broadcast(data.data(), elements, dtype, root, stream_);
      data.expect([&](int64_t i) { return Guarded::value_of(root, i); });
    }
  });
}

TEST_P(CommunicatorContract, AllToAllTakesUnevenAndZeroCounts) {
  sweep([&](World& world, Dtype dtype, int64_t elements) {
    const auto count = [&](int from, int to) {
      return (from + 2 * to) % 3 == 1 ? 0 : elements / (from + 1) + to;
    };
    std::vector<int64_t> send_counts, receive_counts;
    for (int r = 0; r < world.size(); ++r) {
      send_counts.push_back(count(world.rank(), r));
      receive_counts.push_back(count(r, world.rank()));
    }
    const int64_t sent = std::reduce(send_counts.begin(), send_counts.end());
    const int64_t received = std::reduce(receive_counts.begin(), receive_counts.end());
    Guarded send(dtype, sent), receive(dtype, received), expected(dtype, received);
    send.fill(world.rank());
    int64_t next = 0;
    for (int from = 0; from < world.size(); ++from) {
      int64_t first = 0;
      for (int to = 0; to < world.rank(); ++to) first += count(from, to);
      for (int64_t i = 0; i < count(from, world.rank()); ++i) {
        expected.set(next++, Guarded::value_of(from, first + i));
      }
    }
    world.data->all_to_all(send.data(), send_counts, receive.data(), receive_counts, dtype, stream_);
    receive.expect([&](int64_t i) { return expected.get(i); });
  });
}

TEST_P(CommunicatorContract, ShiftGoesAroundTheRing) {
  sweep([&](World& world, Dtype dtype, int64_t elements) {
    for (const int distance : {1, -1, world.size(), 2 * world.size() + 1}) {
      Guarded send(dtype, elements), receive(dtype, elements);
      send.fill(world.rank());
      world.data->shift(send.data(), receive.data(), elements, dtype, distance, stream_);
      const int source = ((world.rank() - distance) % world.size() + world.size()) % world.size();
      receive.expect([&](int64_t i) { return Guarded::value_of(source, i); });
    }
  });
}

TEST_P(CommunicatorContract, SplitGroupsByColorAndOrdersByKey) {
  run([&](World& world) {
    const int color = world.rank() % 2;
    const auto group = world.data->split(color, -world.rank());
    const int members = world.size() / 2 + (color == 0 ? world.size() % 2 : 0);
    ASSERT_EQ(group->size(), members);
    EXPECT_EQ(group->rank(), members - 1 - world.rank() / 2);
    int64_t sum = world.rank();
    group->all_reduce(&sum, 1, Dtype::kI64, ReduceOp::kSum, stream_);
    int64_t expected = 0;
    for (int r = color; r < world.size(); r += 2) expected += r;
    EXPECT_EQ(sum, expected);
    group->close();
  });
}

TEST_P(CommunicatorContract, GridHasOneGroupPerSliceAndPerCopy) {
  run([&](World& world) {
    const int dictionary_ranks = world.size() % 2 == 0 ? 2 : world.size();
    const MeshShape mesh = resolve_mesh({.data = 0, .dictionary = dictionary_ranks}, world.size());
    const Grid grid = make_grid(*world.data, mesh);
    EXPECT_EQ(grid.dictionary->size(), dictionary_ranks);
    EXPECT_EQ(grid.dictionary->rank(), world.rank() % dictionary_ranks);
    EXPECT_EQ(grid.data->size(), world.size() / dictionary_ranks);
    EXPECT_EQ(grid.data->rank(), world.rank() / dictionary_ranks);
  });
}

TEST_P(CommunicatorContract, TrafficCountsWhatIsSentToOthers) {
  run([&](World& world) {
    const int64_t ranks = world.size(), elements = 60000;
    std::vector<float> send(static_cast<size_t>(elements * ranks)), receive(send.size());
    const Traffic before = world.data->traffic();
    world.data->all_reduce(send.data(), elements, Dtype::kF32, ReduceOp::kSum, stream_);
    world.data->reduce_scatter(send.data(), receive.data(), elements, Dtype::kF32, ReduceOp::kSum, stream_);
    world.data->all_gather(send.data(), receive.data(), elements, Dtype::kF32, stream_);
    world.data->shift(send.data(), receive.data(), elements, Dtype::kF32, 1, stream_);
    const std::vector<int64_t> counts(static_cast<size_t>(ranks), elements);
    world.data->all_to_all(send.data(), counts, receive.data(), counts, Dtype::kF32, stream_);
    const Traffic& after = world.data->traffic();
    const int64_t to_each = (ranks - 1) * elements * 4;
    const int64_t own = share_of(elements, ranks, world.rank()).count;
    EXPECT_EQ(after.all_reduce - before.all_reduce,
              ranks == 1 ? 0 : (elements - own + own * (ranks - 1)) * 4);
    EXPECT_EQ(after.reduce_scatter - before.reduce_scatter, to_each);
    EXPECT_EQ(after.all_gather - before.all_gather, to_each);
    EXPECT_EQ(after.all_to_all - before.all_to_all, to_each);
    EXPECT_EQ(after.shift - before.shift, ranks == 1 ? 0 : elements * 4);
  });
}

TEST_P(CommunicatorContract, ControlGroupReducesAndGathers) {
  run([&](World& world) {
    ControlGroup& control = *world.control;
    const int64_t rank = world.rank(), size = world.size();
    ASSERT_EQ(control.rank(), world.rank());
    ASSERT_EQ(control.size(), world.size());
    control.barrier();
    EXPECT_EQ(control.bit_or(uint64_t{1} << (rank + 40)), ((uint64_t{1} << size) - 1) << 40);
    EXPECT_EQ(control.min(-rank), -(size - 1));
    EXPECT_EQ(control.max(10 - rank), 10);
    EXPECT_EQ(control.sum(rank + 1), size * (size + 1) / 2);
    std::string text = rank == size - 1 ? std::string("from the\0last", 13) : "overwritten";
    control.broadcast(text, static_cast<int>(size) - 1);
    EXPECT_EQ(text, std::string("from the\0last", 13));
    const std::vector<std::string> texts =
        control.gather_all(std::string(static_cast<size_t>(rank) * 3, 'a'));
    ASSERT_EQ(texts.size(), static_cast<size_t>(size));
    for (size_t r = 0; r < texts.size(); ++r) EXPECT_EQ(texts[r], std::string(r * 3, 'a'));
  });
}

TEST_P(CommunicatorContract, WorldsOfASplitTalkAmongThemselves) {
  run([&](World& world) {
    const int color = world.rank() % 2;
    const int members = (world.size() + 1 - color) / 2;
    World part = split_world(world, color);
    EXPECT_EQ(part.size(), members);
    EXPECT_EQ(part.control->size(), members);
    EXPECT_EQ(part.rank(), world.rank() / 2);
    EXPECT_EQ(part.control->rank(), part.rank());
    EXPECT_EQ(part.local_size, world.local_size);
    EXPECT_EQ(part.control->sum(world.rank()), members * (members - 1) + color * members);
    int64_t sum = world.rank();
    part.data->all_reduce(&sum, 1, Dtype::kI64, ReduceOp::kSum, stream_);
    EXPECT_EQ(sum, members * (members - 1) + color * members);
    EXPECT_EQ(world.control->sum(1), world.size());
  });
}

TEST_P(CommunicatorContract, AgreeNamesTheLowestFailingRank) {
  run([&](World& world) {
    agree(*world.control, "do nothing", [] {});
    const int first = world.size() / 2;
    try {
      agree(*world.control, "open the store", [&] {
        if (world.rank() >= first)
          throw Error(ExitCode::kData, fmt::format("shard {} is short", world.rank()));
      });
      ADD_FAILURE() << "every rank throws";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData);
      EXPECT_NE(std::string(error.what()).find(fmt::format("shard {} is short", first)), std::string::npos);
    }
    EXPECT_EQ(world.control->sum(1), world.size());
  });
}

}  // namespace orthant::testing
