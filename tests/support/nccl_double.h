// NCCL and CUDA for ranks that are threads of one process and memory that is the host's: what is above the
// table of vendor calls runs as on GPUs.
//
// As strict as the libraries: a call that returns at once is "in progress" for some polls, a stream does its
// work in order and only when the peers have come, nothing of a group is done before the group ends, a sum of
// floats is formed in an order of its own. What a caller may not do is noted in faults(). All under one lock.
// With a device whose work is done when it is put on a stream, so are these calls.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/comm/nccl_api.h"
#include "runtime/core/reduce.h"

namespace orthant::testing {

// A device of which the libraries' memory is not a part.
struct DoubledDevice {
  std::function<bool(const void* data)> holds;
  // Does `task`, which touches the memory of the device.
  std::function<void(const std::function<void()>& task)> work;
};

class NcclDouble {
 public:
  explicit NcclDouble(int ranks, DoubledDevice device = {})
      : streams_(static_cast<size_t>(ranks)), groups_of_calls_(streams_.size()), device_(std::move(device)) {}

  // The table of one rank. The double outlives it, and any thread that a test leaves inside one of its calls.
  [[nodiscard]] NcclApi api(int rank);

  // Before the ranks start: how often a call that was accepted is "in progress", and the version of NCCL.
  void set_polls(int polls) { polls_ = polls; }
  void set_version(int version) { version_ = version; }
  // What was done against the rules of the libraries, memory that was not given back included.
  [[nodiscard]] std::vector<std::string> faults();
  // The names of all calls of a rank but of polls, in order.
  [[nodiscard]] std::vector<std::string> calls(int rank);
  // Sums of floating numbers that NCCL was asked for.
  [[nodiscard]] int64_t floating_sums();

 private:
  struct Comm;
  using Lock = std::lock_guard<std::mutex>;

  // One operation of a group of calls.
  struct Call {
    std::string name;
    Comm* comm = nullptr;
    const void* send = nullptr;
    void* receive = nullptr;
    size_t count = 0;
    Dtype dtype = Dtype::kU8;
    ReduceOp op = ReduceOp::kSum;
    int peer = -1;  // or root
    bool done = false;
    [[nodiscard]] int64_t bytes() const { return static_cast<int64_t>(count) * bytes_of(dtype); }
  };
  struct Seat {
    int color = 0;
    int key = 0;
    NcclComm** made = nullptr;
    Comm* parent = nullptr;
  };
  struct Group {
    int size = 0;
    int joined = 0;
    int finalized = 0;
    std::map<int64_t, std::vector<Call*>> collectives;                 // of each number, by rank
    std::map<std::pair<int, int>, std::deque<Call*>> sends, receives;  // by (from, to)
    std::vector<Seat> seats;                                           // of the split under way, by rank
    int seated = 0;
  };
  struct Comm {
    Group* group = nullptr;
    int rank = 0;
    int world_rank = 0;
    int polls = 0;  // answers "in progress" to come
    int64_t collectives = 0;
    int64_t registered = 0;
    bool splits = false;
    bool finalized = false;
    bool gone = false;
  };
  using Task = std::function<bool()>;  // true: done
  struct Stream {
    std::deque<Task> tasks;
    int64_t issued = 0;
    int64_t done = 0;
  };
  struct Event {
    int rank = 0;
    int64_t ticket = 0;
  };

  static NcclComm* out(Comm* comm) { return reinterpret_cast<NcclComm*>(comm); }
  static Comm* in(NcclComm* comm) { return reinterpret_cast<Comm*>(comm); }
  Stream& stream(int rank) { return streams_[static_cast<size_t>(rank)]; }
  void note(int rank, std::string name) { calls_[rank].push_back(std::move(name)); }
  void blame(std::string fault) { faults_.push_back(std::move(fault)); }
  void require_alive(NcclComm* comm, std::string_view call) {
    if (comm == nullptr || in(comm)->gone) blame(fmt::format("{} on a communicator that is gone", call));
  }
  void put(int rank, Task task) {
    stream(rank).tasks.push_back(std::move(task));
    ++stream(rank).issued;
  }

  Comm* make_comm(Group& group, int rank, int world_rank) {
    comms_.push_back(std::make_unique<Comm>());
    Comm* const comm = comms_.back().get();
    *comm = {.group = &group, .rank = rank, .world_rank = world_rank, .polls = polls_};
    return comm;
  }

  // All that can be done on any stream.
  void advance() {
    const auto idles = [](const Stream& each) { return each.tasks.empty(); };
    if (!device_.work || std::all_of(streams_.begin(), streams_.end(), idles)) return advance_streams();
    device_.work([this] { advance_streams(); });
  }

  // Nothing is left on the stream of a rank whose device does everything at once.
  void finish(int rank) {
    if (!device_.work) return;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (std::chrono::steady_clock::now() < give_up) {
      {
        const Lock lock(mutex_);
        advance();
        if (stream(rank).tasks.empty()) return;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
    throw std::runtime_error("a rank has not come to an operation of the double");
  }

  void advance_streams() {
    for (bool moved = true; moved;) {
      moved = false;
      for (Stream& each : streams_) {
        while (!each.tasks.empty() && each.tasks.front()()) {
          each.tasks.pop_front();
          ++each.done;
          moved = true;
        }
      }
    }
  }

  NcclStatus add(int rank, Call call) {
    note(rank, call.name);
    require_alive(out(call.comm), call.name);
    auto& group = groups_of_calls_[static_cast<size_t>(rank)];
    if (!group) {
      blame(call.name + " outside of a group");
      return NcclStatus::kInvalidUsage;
    }
    group->push_back(std::make_unique<Call>(std::move(call)));
    return NcclStatus::kSuccess;
  }
  NcclStatus end_group(int rank);
  void post(Call& call);
  void meet(Group& group, int64_t number);
  void reduce(std::span<Call* const> calls);
  void match(Group& group, const std::pair<int, int>& pair);
  void seat(Group& group);
  void forget(Comm& comm);
  NcclStatus state_of(Comm& comm);
  void add_lifecycle(NcclApi& api, int rank);
  void add_operations(NcclApi& api, int rank);
  void add_device(NcclApi& api, int rank);

  std::mutex mutex_;
  int polls_ = 3;
  std::vector<Stream> streams_;
  using CallGroup = std::vector<std::unique_ptr<Call>>;
  std::vector<std::unique_ptr<CallGroup>> groups_of_calls_;  // that a rank has begun
  DoubledDevice device_;
  std::map<std::string, Group> groups_;  // by id
  std::vector<std::unique_ptr<Group>> split_groups_;
  std::vector<std::unique_ptr<Comm>> comms_;
  std::map<const std::byte*, std::vector<std::byte>> memory_;
  std::map<int, std::vector<std::string>> calls_;
  std::vector<std::string> faults_;
  int64_t floating_sums_ = 0;
  int version_ = 22809;
  int64_t ids_ = 0;
  int64_t events_ = 0;
};

inline NcclApi NcclDouble::api(int rank) {
  NcclApi table;
  add_lifecycle(table, rank);
  add_operations(table, rank);
  add_device(table, rank);
  return table;
}

inline std::vector<std::string> NcclDouble::faults() {
  const Lock lock(mutex_);
  std::vector<std::string> all = faults_;
  if (!memory_.empty()) all.push_back(fmt::format("{} buffers were not released", memory_.size()));
  if (events_ != 0) all.push_back(fmt::format("{} events were not destroyed", events_));
  return all;
}

inline std::vector<std::string> NcclDouble::calls(int rank) {
  const Lock lock(mutex_);
  return calls_[rank];
}

inline int64_t NcclDouble::floating_sums() {
  const Lock lock(mutex_);
  return floating_sums_;
}

inline NcclStatus NcclDouble::end_group(int rank) {
  constexpr size_t kTooMany = 2048;
  note(rank, "group_end");
  const std::shared_ptr<CallGroup> group = std::move(groups_of_calls_[static_cast<size_t>(rank)]);
  if (group->size() >= kTooMany) blame(fmt::format("a group of {} operations", group->size()));
  for (const auto& call : *group) call->comm->polls = polls_;
  put(rank, [this, group, posted = false]() mutable {
    for (const auto& call : *group) {
      if (!posted) post(*call);
    }
    posted = true;
    return std::all_of(group->begin(), group->end(), [](const auto& call) { return call->done; });
  });
  return NcclStatus::kInProgress;
}

inline void NcclDouble::post(Call& call) {
  Group& group = *call.comm->group;
  if (call.name == "send" || call.name == "receive") {
    const bool sends = call.name == "send";
    const std::pair<int, int> pair =
        sends ? std::pair(call.comm->rank, call.peer) : std::pair(call.peer, call.comm->rank);
    (sends ? group.sends : group.receives)[pair].push_back(&call);
    return match(group, pair);
  }
  const int64_t number = call.comm->collectives++;
  auto& calls = group.collectives[number];
  calls.resize(static_cast<size_t>(group.size));
  calls[static_cast<size_t>(call.comm->rank)] = &call;
  meet(group, number);
}

inline void NcclDouble::match(Group& group, const std::pair<int, int>& pair) {
  auto& sends = group.sends[pair];
  auto& receives = group.receives[pair];
  while (!sends.empty() && !receives.empty()) {
    Call& from = *sends.front();
    Call& into = *receives.front();
    if (from.count != into.count) blame(fmt::format("{} bytes sent, {} received", from.count, into.count));
    std::memcpy(into.receive, from.send, std::min(from.count, into.count));
    from.done = into.done = true;
    sends.pop_front();
    receives.pop_front();
  }
}

inline void NcclDouble::meet(Group& group, int64_t number) {
  const std::vector<Call*> calls = group.collectives[number];
  if (std::find(calls.begin(), calls.end(), nullptr) != calls.end()) return;
  const Call& first = *calls.front();
  for (const Call* each : calls) {
    if (each->name != first.name || each->count != first.count || each->dtype != first.dtype ||
        each->op != first.op || each->peer != first.peer) {
      blame(
          fmt::format("ranks call {} of {} and {} of {}", first.name, first.count, each->name, each->count));
      return;
    }
  }
  const auto bytes = static_cast<size_t>(first.bytes());
  if (first.name == "all_gather") {
    std::vector<std::byte> all;
    for (const Call* each : calls) {
      const auto* const data = static_cast<const std::byte*>(each->send);
      all.insert(all.end(), data, data + bytes);
    }
    for (Call* each : calls) std::memcpy(each->receive, all.data(), all.size());
  } else if (first.name == "broadcast") {
    const void* const root = calls[static_cast<size_t>(first.peer)]->receive;
    for (Call* each : calls) std::memmove(each->receive, root, bytes);
  } else {
    reduce(calls);
  }
  for (Call* each : calls) each->done = true;
  group.collectives.erase(number);
}

// In the reverse order of ranks, which no caller may rely on either.
inline void NcclDouble::reduce(std::span<Call* const> calls) {
  const Call& first = *calls.front();
  const bool is_floating = first.dtype == Dtype::kF64 || first.dtype == Dtype::kF32 ||
                           first.dtype == Dtype::kF16 || first.dtype == Dtype::kBF16;
  if (is_floating && first.op == ReduceOp::kSum) ++floating_sums_;
  const bool scatters = first.name == "reduce_scatter";
  const size_t slices = scatters ? calls.size() : 1;
  const auto bytes = static_cast<size_t>(first.bytes());
  std::vector<std::byte> sums(slices * bytes);
  for (size_t slice = 0; slice < slices; ++slice) {
    std::vector<const void*> parts;
    for (const Call* each : calls) parts.push_back(static_cast<const std::byte*>(each->send) + slice * bytes);
    std::reverse(parts.begin(), parts.end());
    reduce_in_order(parts, sums.data() + slice * bytes, static_cast<int64_t>(first.count), first.dtype,
                    first.op);
  }
  for (size_t r = 0; r < calls.size(); ++r) {
    std::memcpy(calls[r]->receive, sums.data() + (scatters ? r * bytes : 0), bytes);
  }
}

// When all ranks of the parent have come.
inline void NcclDouble::seat(Group& group) {
  if (group.seated < group.size) return;
  std::map<int, std::vector<Seat*>> colors;
  for (Seat& each : group.seats) colors[each.color].push_back(&each);
  for (auto& [color, members] : colors) {
    std::stable_sort(members.begin(), members.end(), [](Seat* a, Seat* b) { return a->key < b->key; });
    split_groups_.push_back(std::make_unique<Group>());
    Group& made = *split_groups_.back();
    made.size = made.joined = static_cast<int>(members.size());
    for (size_t r = 0; r < members.size(); ++r) {
      *members[r]->made = out(make_comm(made, static_cast<int>(r), members[r]->parent->world_rank));
      members[r]->parent->splits = false;
    }
  }
  group.seated = 0;
}

// The peers of an aborted communicator wait for it forever.
inline void NcclDouble::forget(Comm& comm) {
  Group& group = *comm.group;
  const auto is_own = [&](const Call* call) { return call != nullptr && call->comm == &comm; };
  for (auto& [number, calls] : group.collectives) {
    std::replace_if(calls.begin(), calls.end(), is_own, nullptr);
  }
  for (auto& [pair, calls] : group.sends) std::erase_if(calls, is_own);
  for (auto& [pair, calls] : group.receives) std::erase_if(calls, is_own);
  Stream& own = stream(comm.world_rank);
  own.done += static_cast<int64_t>(own.tasks.size());
  own.tasks.clear();
}

inline NcclStatus NcclDouble::state_of(Comm& comm) {
  advance();
  const bool waits = comm.group->joined < comm.group->size || comm.splits ||
                     (comm.finalized && comm.group->finalized < comm.group->size);
  if (waits) return NcclStatus::kInProgress;
  if (comm.polls == 0) return NcclStatus::kSuccess;
  --comm.polls;
  return NcclStatus::kInProgress;
}

inline void NcclDouble::add_lifecycle(NcclApi& api, int rank) {
  api.get_version = [this](int& version) {
    version = version_;
    return NcclStatus::kSuccess;
  };
  api.get_unique_id = [this](NcclId& id) {
    const Lock lock(mutex_);
    const std::string name = fmt::format("id {}", ids_++);
    std::copy(name.begin(), name.end(), id.bytes.begin());
    return NcclStatus::kSuccess;
  };
  api.init_rank = [this, rank](NcclComm*& made, int size, const NcclId& id, int rank_in_group) {
    const Lock lock(mutex_);
    note(rank, "init_rank");
    Group& group = groups_[std::string(id.bytes.begin(), id.bytes.end())];
    group.size = size;
    ++group.joined;
    made = out(make_comm(group, rank_in_group, rank));
    return NcclStatus::kInProgress;
  };
  api.split = [this, rank](NcclComm* parent, int color, int key, NcclComm*& made) {
    const Lock lock(mutex_);
    note(rank, "split");
    require_alive(parent, "split");
    Group& group = *in(parent)->group;
    group.seats.resize(static_cast<size_t>(group.size));
    group.seats[static_cast<size_t>(in(parent)->rank)] = {color, key, &made, in(parent)};
    in(parent)->splits = true;
    in(parent)->polls = polls_;
    ++group.seated;
    seat(group);
    return NcclStatus::kInProgress;
  };
  api.finalize = [this, rank](NcclComm* comm) {
    const Lock lock(mutex_);
    note(rank, "finalize");
    require_alive(comm, "finalize");
    in(comm)->finalized = true;
    in(comm)->polls = polls_;
    ++in(comm)->group->finalized;
    return NcclStatus::kInProgress;
  };
  api.destroy = [this, rank](NcclComm* comm) {
    const Lock lock(mutex_);
    note(rank, "destroy");
    require_alive(comm, "destroy");
    if (!in(comm)->finalized || in(comm)->polls != 0) blame("destroy before finalize was done");
    if (in(comm)->registered != 0) blame("destroy with registered buffers");
    in(comm)->gone = true;
    return NcclStatus::kSuccess;
  };
  api.abort = [this, rank](NcclComm* comm) {
    const Lock lock(mutex_);
    note(rank, "abort");
    require_alive(comm, "abort");
    in(comm)->gone = true;
    forget(*in(comm));
    return NcclStatus::kSuccess;
  };
  api.async_error = [this](NcclComm* comm, NcclStatus& state) {
    const Lock lock(mutex_);
    require_alive(comm, "async_error");
    state = state_of(*in(comm));
    return NcclStatus::kSuccess;
  };
  api.rank_of = [this](NcclComm* comm, int& rank_in_group) {
    const Lock lock(mutex_);
    require_alive(comm, "rank_of");
    rank_in_group = in(comm)->rank;
    return NcclStatus::kSuccess;
  };
  api.size_of = [this](NcclComm* comm, int& size) {
    const Lock lock(mutex_);
    require_alive(comm, "size_of");
    size = in(comm)->group->size;
    return NcclStatus::kSuccess;
  };
  api.error_string = [](NcclStatus status) { return fmt::format("status {}", static_cast<int>(status)); };
  api.last_error = [](NcclComm*) { return std::string("the last error of the double"); };
  api.group_start = [this, rank] {
    const Lock lock(mutex_);
    note(rank, "group_start");
    groups_of_calls_[static_cast<size_t>(rank)] = std::make_unique<CallGroup>();
    return NcclStatus::kSuccess;
  };
  api.group_end = [this, rank] {
    const NcclStatus status = [&] {
      const Lock lock(mutex_);
      return end_group(rank);
    }();
    finish(rank);
    return status;
  };
}

inline void NcclDouble::add_operations(NcclApi& api, int rank) {
  const auto reduction = [this, rank](const char* name) {
    return [this, rank, name](const void* send, void* receive, size_t count, Dtype dtype, ReduceOp op,
                              NcclComm* comm, void*) {
      const Lock lock(mutex_);
      return add(rank, {name, in(comm), send, receive, count, dtype, op});
    };
  };
  api.all_reduce = reduction("all_reduce");
  api.reduce_scatter = reduction("reduce_scatter");
  api.all_gather = [this, rank](const void* send, void* receive, size_t bytes, NcclComm* comm, void*) {
    const Lock lock(mutex_);
    return add(rank, {"all_gather", in(comm), send, receive, bytes});
  };
  api.broadcast = [this, rank](void* data, size_t bytes, int root, NcclComm* comm, void*) {
    const Lock lock(mutex_);
    return add(rank, {"broadcast", in(comm), data, data, bytes, Dtype::kU8, ReduceOp::kSum, root});
  };
  api.send = [this, rank](const void* data, size_t bytes, int peer, NcclComm* comm, void*) {
    const Lock lock(mutex_);
    return add(rank, {"send", in(comm), data, nullptr, bytes, Dtype::kU8, ReduceOp::kSum, peer});
  };
  api.receive = [this, rank](void* data, size_t bytes, int peer, NcclComm* comm, void*) {
    const Lock lock(mutex_);
    return add(rank, {"receive", in(comm), nullptr, data, bytes, Dtype::kU8, ReduceOp::kSum, peer});
  };
  api.register_buffer = [this, rank](NcclComm* comm, void* data, size_t, void*& handle) {
    const Lock lock(mutex_);
    note(rank, "register_buffer");
    require_alive(comm, "register_buffer");
    ++in(comm)->registered;
    handle = data;
    return NcclStatus::kSuccess;
  };
  api.deregister_buffer = [this, rank](NcclComm* comm, void*) {
    const Lock lock(mutex_);
    note(rank, "deregister_buffer");
    require_alive(comm, "deregister_buffer");
    --in(comm)->registered;
    return NcclStatus::kSuccess;
  };
}

inline void NcclDouble::add_device(NcclApi& api, int rank) {
  api.device_count = [] { return 1; };
  api.set_device = [](int) {};
  api.is_device_memory = [this](const void* data) {
    if (device_.holds && device_.holds(data)) return true;
    const Lock lock(mutex_);
    const auto* const byte = static_cast<const std::byte*>(data);
    const auto after = memory_.upper_bound(byte);
    if (after == memory_.begin()) return false;
    const auto& [begin, bytes] = *std::prev(after);
    return byte < begin + bytes.size();
  };
  api.allocate = [this](int, int64_t bytes) -> void* {
    const Lock lock(mutex_);
    std::vector<std::byte> block(static_cast<size_t>(bytes));
    std::byte* const data = block.data();
    memory_.emplace(data, std::move(block));
    return data;
  };
  api.release = [this](int, void* data) {
    const Lock lock(mutex_);
    memory_.erase(static_cast<const std::byte*>(data));
  };
  api.copy = [this, rank](void* into, const void* from, int64_t bytes, void*) {
    {
      const Lock lock(mutex_);
      put(rank, [=] {
        std::memcpy(into, from, static_cast<size_t>(bytes));
        return true;
      });
    }
    finish(rank);
  };
  api.create_event = [this, rank](int) -> void* {
    const Lock lock(mutex_);
    ++events_;
    return new Event{rank, 0};
  };
  api.destroy_event = [this](void* event) {
    const Lock lock(mutex_);
    --events_;
    delete static_cast<Event*>(event);
  };
  api.record_event = [this, rank](void* event, void*) {
    const Lock lock(mutex_);
    static_cast<Event*>(event)->ticket = stream(rank).issued;
  };
  api.event_done = [this](void* event) {
    const Lock lock(mutex_);
    advance();
    const Event& each = *static_cast<Event*>(event);
    return stream(each.rank).done >= each.ticket;
  };
  api.reduce_in_order = [this, rank](std::span<const void* const> parts, void* into, int64_t elements,
                                     Dtype dtype, ReduceOp op, ::orthant::Stream&) {
    {
      const Lock lock(mutex_);
      put(rank, [=, all = std::vector<const void*>(parts.begin(), parts.end())] {
        reduce_in_order(all, into, elements, dtype, op);
        return true;
      });
    }
    finish(rank);
  };
}

}  // namespace orthant::testing
