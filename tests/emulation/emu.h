// Runs a CUDA block on the CPU: each of its threads is a fiber, which stops at __syncthreads() and at warp
// operations until those it waits for are there. Blocks run one after another.
//
// Between two stops a fiber runs alone, so what a missing barrier does depends on the order of fibers, which
// the test chooses: Order. Shared memory is all NaN (or -1) when a block starts. What no order of threads
// could survive on a device ends the launch with EmulationError: threads at different barriers, threads that
// left the kernel while others wait for them, writes past the shared memory, vector accesses off their
// alignment. Not seen: races in device memory, the memory model, speed. Each thread has a machine of its own.
#pragma once

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <source_location>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace orthant::emulation {

struct EmulationError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Which thread goes on where several could, and which block comes first.
enum class Order {
  kAscending,   // the lowest thread, as far as it gets
  kDescending,  // the highest
  kRandom       // any, drawn anew each time
};

struct Rules {
  Order order = Order::kAscending;
  uint64_t seed = 1;
  bool without_barriers = false;  // barriers do nothing: what tests must notice
};

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};

struct Coordinates {
  Index3 thread, block, block_size, grid_size;
};

constexpr int kLanes = 32;

class Machine {
 public:
  Rules rules;
  Coordinates at;  // of the running fiber

  static Machine& instance() {
    static thread_local Machine machine;
    return machine;
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void run(const std::function<void()>& kernel, int64_t blocks, int threads, int64_t shared_bytes) {
    if (threads <= 0 || threads % kLanes != 0 || threads > 1024)
      throw EmulationError("a block has whole warps, at most 32");
    if (blocks >= (int64_t{1} << 31)) throw EmulationError("a grid has fewer than 2^31 blocks");
    kernel_ = &kernel;
    random_ = rules.seed;
    at.block_size.x = static_cast<unsigned>(threads);
    at.grid_size.x = static_cast<unsigned>(blocks);
    dynamic_ = Shared(shared_bytes);
    ++launches_;
    std::vector<int64_t> sequence(static_cast<size_t>(blocks));
    for (int64_t b = 0; b < blocks; ++b) sequence[static_cast<size_t>(b)] = b;
    if (rules.order == Order::kDescending) std::reverse(sequence.begin(), sequence.end());
    if (rules.order == Order::kRandom) {
      for (size_t i = sequence.size(); i > 1; --i) std::swap(sequence[i - 1], sequence[draw() % i]);
    }
    for (const int64_t block : sequence) run_block(block, threads);
  }
  [[nodiscard]] int64_t launches() const { return launches_; }
  [[nodiscard]] int64_t barriers() const { return barriers_; }

  // Called by kernels.
  void barrier(std::source_location site) {
    ++barriers_;
    if (!rules.without_barriers) wait(State::kAtBarrier, site);
  }
  // Gives `bits` to the warp; the bits of lane `source` come back.
  uint64_t exchange(uint64_t bits, int source, std::source_location site) {
    const uint64_t* slots = deposit(bits, site);
    return slots[source];
  }
  void warp_barrier(std::source_location site) {
    ++barriers_;
    if (!rules.without_barriers) wait(State::kAtWarp, site);
  }
  uint32_t ballot(bool holds, std::source_location site) {
    const uint64_t* slots = deposit(holds ? 1 : 0, site);
    uint32_t all = 0;
    for (int lane = 0; lane < kLanes; ++lane) all |= static_cast<uint32_t>(slots[lane]) << lane;
    return all;
  }
  [[nodiscard]] int lane() const { return static_cast<int>(at.thread.x) % kLanes; }
  [[nodiscard]] void* dynamic_shared() { return dynamic_.data(); }
  template <typename T>
  T& block_shared() {
    static const char tag = 0;
    auto [at_tag, is_new] = statics_.try_emplace(&tag, static_cast<int64_t>(sizeof(T)));
    return *reinterpret_cast<T*>(at_tag->second.data());
  }

 private:
  enum class State { kReady, kAtBarrier, kAtWarp, kDone };

  struct Fiber {
    ucontext_t context{};  // where it begins
    jmp_buf position;      // where it stopped; a jump costs no system call, which swapcontext() does
    bool has_begun = false;
    State state = State::kDone;
    std::source_location site;
    unsigned operations = 0;  // of its warp so far
#if defined(__SANITIZE_ADDRESS__)
    void* fake_stack = nullptr;
#endif
  };

  // Shared memory with a margin that nobody may write.
  class Shared {
   public:
    explicit Shared(int64_t bytes = 0)
        : bytes_(static_cast<size_t>(bytes)), memory_((bytes_ + kMargin + 15) / 16) {
      poison();
    }
    void* data() { return memory_.data(); }
    void poison() {
      std::memset(memory_.data(), 0xff, bytes_);
      std::memset(reinterpret_cast<char*>(memory_.data()) + bytes_, 0x5a, kMargin);
    }
    [[nodiscard]] bool is_intact() const {
      const char* margin = reinterpret_cast<const char*>(memory_.data()) + bytes_;
      return std::all_of(margin, margin + kMargin, [](char byte) { return byte == 0x5a; });
    }

   private:
    static constexpr size_t kMargin = 256;
    struct alignas(16) Sixteen {
      char of[16];
    };
    size_t bytes_;
    std::vector<Sixteen> memory_;
  };

  static constexpr size_t kStack = size_t{256} << 10;
  static constexpr size_t kGuard = 4096;

  Machine() = default;
  ~Machine() {
    if (stacks_ != nullptr) munmap(stacks_, fibers_.size() * kStack);
  }

  uint64_t draw() {
    random_ += 0x9e3779b97f4a7c15u;
    uint64_t z = random_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  void make_ready(int thread) {
    fibers_[static_cast<size_t>(thread)].state = State::kReady;
    uint64_t key = static_cast<uint64_t>(thread);
    if (rules.order == Order::kDescending) key = ~key;
    if (rules.order == Order::kRandom) key = draw();
    ready_.push({key, thread});
  }

  void prepare(int threads) {
    const auto count = static_cast<size_t>(threads);
    if (fibers_.size() < count) {
      if (stacks_ != nullptr) munmap(stacks_, fibers_.size() * kStack);
      fibers_ = std::vector<Fiber>(count);
      void* const memory = mmap(nullptr, count * kStack, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (memory == MAP_FAILED) throw EmulationError("no memory for the stacks of fibers");
      stacks_ = static_cast<char*>(memory);
      for (size_t i = 0; i < count; ++i) mprotect(stacks_ + i * kStack, kGuard, PROT_NONE);
    }
    for (size_t i = 0; i < count; ++i) {
      Fiber& fiber = fibers_[i];
      fiber.operations = 0;
      // A fiber that came to the end of a kernel takes the next one; to make one costs system calls.
      if (fiber.has_begun && fiber.state == State::kDone) continue;
      getcontext(&fiber.context);
      fiber.context.uc_stack.ss_sp = stacks_ + i * kStack + kGuard;
      fiber.context.uc_stack.ss_size = kStack - kGuard;
      fiber.context.uc_link = nullptr;
      fiber.has_begun = false;
      makecontext(&fiber.context, &Machine::enter, 0);
    }
    slots_.assign(count / kLanes * 2 * kLanes, 0);
  }

  void run_block(int64_t block, int threads) {
    at.block.x = static_cast<unsigned>(block);
    dynamic_.poison();
    for (auto& [tag, shared] : statics_) shared.poison();
    prepare(threads);
    threads_ = threads;
    ready_ = {};
    failure_ = nullptr;
    for (int thread = 0; thread < threads; ++thread) make_ready(thread);
    while (true) {
      while (!ready_.empty()) {
        const int thread = ready_.top().second;
        ready_.pop();
        resume(thread);
        if (failure_ != nullptr) std::rethrow_exception(failure_);
        release_warp(thread / kLanes);
      }
      if (!release_block()) break;
    }
    bool intact = dynamic_.is_intact();
    for (const auto& [tag, shared] : statics_) intact = intact && shared.is_intact();
    if (!intact) throw EmulationError("block " + std::to_string(block) + " wrote past its shared memory");
  }

  void resume(int thread) {
    running_ = thread;
    at.thread.x = static_cast<unsigned>(thread);
    Fiber& fiber = fibers_[static_cast<size_t>(thread)];
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&own_fake_stack_, fiber.context.uc_stack.ss_sp,
                                   fiber.context.uc_stack.ss_size);
#endif
    if (_setjmp(own_position_) == 0) {
      if (fiber.has_begun) _longjmp(fiber.position, 1);
      fiber.has_begun = true;
      setcontext(&fiber.context);
    }
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(own_fake_stack_, nullptr, nullptr);
#endif
  }

  // Back from the running fiber to run_block().
  void leave(Fiber& fiber) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&fiber.fake_stack, own_stack_, own_stack_size_);
#endif
    if (_setjmp(fiber.position) == 0) _longjmp(own_position_, 1);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fiber.fake_stack, &own_stack_, &own_stack_size_);
#endif
  }

  // One kernel after another.
  [[noreturn]] static void enter() {
    Machine& machine = instance();
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &machine.own_stack_, &machine.own_stack_size_);
#endif
    Fiber& fiber = machine.fibers_[static_cast<size_t>(machine.running_)];
    while (true) {
      try {
        (*machine.kernel_)();
      } catch (...) {
        machine.failure_ = std::current_exception();
      }
      fiber.state = State::kDone;
      machine.leave(fiber);
    }
  }

  void wait(State state, std::source_location site) {
    Fiber& fiber = fibers_[static_cast<size_t>(running_)];
    fiber.state = state;
    fiber.site = site;
    leave(fiber);
  }

  // Two sets of slots in turn: a lane may come to the next operation before another has read this one's.
  const uint64_t* deposit(uint64_t bits, std::source_location site) {
    const int thread = running_;
    Fiber& fiber = fibers_[static_cast<size_t>(thread)];
    const auto set = static_cast<size_t>(thread / kLanes) * 2 + fiber.operations++ % 2;
    uint64_t* slots = slots_.data() + set * kLanes;
    slots[thread % kLanes] = bits;
    wait(State::kAtWarp, site);
    return slots;
  }

  [[nodiscard]] const Fiber& fiber_of(int thread) const {
    return fibers_[static_cast<size_t>(thread)];
  }

  void release_warp(int warp) {
    const int first = warp * kLanes;
    for (int thread = first; thread < first + kLanes; ++thread) {
      if (fiber_of(thread).state != State::kAtWarp) return;
    }
    refuse_different_sites(first, first + kLanes, "the lanes of a warp meet in different operations");
    for (int thread = first; thread < first + kLanes; ++thread) make_ready(thread);
  }

  // Whether anything goes on. Nothing is ready: all threads wait or are done.
  bool release_block() {
    int waiting = 0;
    for (int thread = 0; thread < threads_; ++thread) {
      const State state = fiber_of(thread).state;
      if (state == State::kAtWarp) fail(thread, "waits for lanes of its warp that are elsewhere");
      waiting += state == State::kAtBarrier ? 1 : 0;
    }
    if (waiting == 0) return false;
    for (int thread = 0; thread < threads_; ++thread) {
      if (fiber_of(thread).state == State::kDone)
        fail(thread, "left the kernel while others wait at a barrier");
    }
    refuse_different_sites(0, threads_, "the threads of a block meet at different barriers");
    for (int thread = 0; thread < threads_; ++thread) make_ready(thread);
    return true;
  }

  void refuse_different_sites(int first, int last, const std::string& problem) const {
    const std::source_location& site = fiber_of(first).site;
    for (int thread = first; thread < last; ++thread) {
      const std::source_location& other = fiber_of(thread).site;
      if (other.line() == site.line() && std::strcmp(other.file_name(), site.file_name()) == 0) continue;
      throw EmulationError(problem + ": " + place(first) + " and " + place(thread));
    }
  }

  [[nodiscard]] std::string place(int thread) const {
    const std::source_location& site = fiber_of(thread).site;
    return "thread " + std::to_string(thread) + " of block " + std::to_string(at.block.x) + " at " +
           site.file_name() + ":" + std::to_string(site.line());
  }

  [[noreturn]] void fail(int thread, const std::string& problem) const {
    throw EmulationError(place(thread) + " " + problem);
  }

  const std::function<void()>* kernel_ = nullptr;
  uint64_t random_ = 0;
  int64_t launches_ = 0;
  int64_t barriers_ = 0;
  int threads_ = 0;
  int running_ = 0;
  std::vector<Fiber> fibers_;
  char* stacks_ = nullptr;
  jmp_buf own_position_;
  std::vector<uint64_t> slots_;  // [warps, 2, kLanes]
  std::priority_queue<std::pair<uint64_t, int>, std::vector<std::pair<uint64_t, int>>, std::greater<>> ready_;
  std::exception_ptr failure_;
  Shared dynamic_;
  std::map<const void*, Shared> statics_;
#if defined(__SANITIZE_ADDRESS__)
  void* own_fake_stack_ = nullptr;
  const void* own_stack_ = nullptr;
  size_t own_stack_size_ = 0;
#endif
};

}  // namespace orthant::emulation
