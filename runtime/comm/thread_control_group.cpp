#include <algorithm>
#include <utility>

#include "runtime/comm/thread_group.h"
#include "runtime/core/error.h"

namespace orthant {
namespace {

class ThreadControlGroup final : public ControlGroup {
 public:
  ThreadControlGroup(ThreadGroup& group, int rank)
      : group_(group), rank_(rank), watchdog_(group.run().watchdog(group.world_rank(rank))) {}
  int rank() const override { return rank_; }
  int size() const override { return group_.size(); }

  void barrier() override {
    const auto watch = watchdog_.watch({"barrier", Dtype::kU8, 0, size()});
    group_.post(rank_, {.operation = watch.operation()}, watch);
    group_.leave(rank_);
  }

  void broadcast(std::string& text, int root) override {
    require(root >= 0 && root < size(), "the root is a rank");
    const auto watch = watchdog_.watch({"broadcast of a text", Dtype::kU8, 0, size()});
    group_.post(rank_, {.operation = watch.operation(), .detail = root, .send = &text}, watch);
    if (rank_ != root) text = *static_cast<const std::string*>(group_.posted(root).send);
    group_.leave(rank_);
  }

  std::vector<std::string> gather_all(std::string_view text) override {
    const auto watch = watchdog_.watch({"gather_all", Dtype::kU8, 0, size()});
    group_.post(rank_, {.operation = watch.operation(), .send = &text}, watch);
    std::vector<std::string> texts;
    for (int r = 0; r < size(); ++r) {
      texts.emplace_back(*static_cast<const std::string_view*>(group_.posted(r).send));
    }
    group_.leave(rank_);
    return texts;
  }

  uint64_t bit_or(uint64_t flags) override {
    return reduce("bit_or", flags, [](uint64_t a, uint64_t b) { return a | b; });
  }
  int64_t min(int64_t value) override {
    return reduce("min", value, [](int64_t a, int64_t b) { return std::min(a, b); });
  }
  int64_t max(int64_t value) override {
    return reduce("max", value, [](int64_t a, int64_t b) { return std::max(a, b); });
  }
  int64_t sum(int64_t value) override {
    return reduce("sum", value, [](int64_t a, int64_t b) { return a + b; });
  }

  std::unique_ptr<ControlGroup> split(int color, int key) override {
    const auto watch = watchdog_.watch({"split", Dtype::kU8, 0, size()});
    const ThreadGroup::Seat seat = group_.split(rank_, color, key, watch);
    return make_thread_control_group(*seat.group, seat.rank);
  }

  void end_startup() override { watchdog_.end_startup(); }
  std::chrono::milliseconds set_deadline(std::chrono::milliseconds deadline) override {
    return watchdog_.set_deadline(deadline);
  }
  void set_flight_folder(std::string_view folder) override { watchdog_.recorder().set_folder(folder); }

 private:
  template <typename T, typename Combine>
  T reduce(const char* name, T value, Combine combine) {
    const auto watch = watchdog_.watch({name, Dtype::kI64, 1, size()});
    group_.post(rank_, {.operation = watch.operation(), .send = &value}, watch);
    T result = *static_cast<const T*>(group_.posted(0).send);
    for (int r = 1; r < size(); ++r) result = combine(result, *static_cast<const T*>(group_.posted(r).send));
    group_.leave(rank_);
    return result;
  }

  ThreadGroup& group_;
  int rank_;
  Watchdog& watchdog_;
};

}  // namespace

std::unique_ptr<ControlGroup> make_thread_control_group(ThreadGroup& group, int rank) {
  return std::make_unique<ThreadControlGroup>(group, rank);
}

}  // namespace orthant
