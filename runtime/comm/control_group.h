// The control plane: small host messages among ranks (agreement, texts, barriers). Always MPI or threads.
//
// Every exchange is Collective and has a deadline (exit code 71, of thread ranks Error(kPeer), naming the
// operation). Main thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace orthant {

class ControlGroup {
 public:
  virtual ~ControlGroup() = default;
  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  virtual void barrier() = 0;                               // Collective.
  virtual void broadcast(std::string& text, int root) = 0;  // Collective.
  // Collective. Every rank gets the texts of all, in rank order.
  [[nodiscard]] virtual std::vector<std::string> gather_all(std::string_view text) = 0;
  [[nodiscard]] virtual uint64_t bit_or(uint64_t flags) = 0;  // Collective.
  [[nodiscard]] virtual int64_t min(int64_t value) = 0;       // Collective.
  [[nodiscard]] virtual int64_t max(int64_t value) = 0;       // Collective.
  [[nodiscard]] virtual int64_t sum(int64_t value) = 0;       // Collective.
  // Collective. Ranks of equal `color` form a group, ordered by `key`, then by rank.
  [[nodiscard]] virtual std::unique_ptr<ControlGroup> split(int color, int key) = 0;

  // Local. The deadlines below hold for every group of this rank, data plane included.
  // Call once the first step has ended: from now on waits have the deadline of collectives, not of the start.
  virtual void end_startup() = 0;
  // From now on waits have `deadline`; returns the one before. For a section that is slower than a step.
  virtual std::chrono::milliseconds set_deadline(std::chrono::milliseconds deadline) = 0;
  // An existing folder for flight-<rank>.json, written when a deadline passes; standard error until set.
  virtual void set_flight_folder(std::string_view folder) = 0;
};

// A section (a checkpoint, an evaluation) whose waits have their own deadline. Local.
class DeadlineScope {
 public:
  DeadlineScope(ControlGroup& group, std::chrono::milliseconds deadline)
      : group_(group), before_(group.set_deadline(deadline)) {}
  ~DeadlineScope() { group_.set_deadline(before_); }
  DeadlineScope(const DeadlineScope&) = delete;
  DeadlineScope& operator=(const DeadlineScope&) = delete;

 private:
  ControlGroup& group_;
  std::chrono::milliseconds before_;
};

// Collective. Runs `work` on every rank; when it throws on any rank, every rank throws an Error with the code
// and message of the lowest failing rank, naming that rank and `what`. Use around every step that can fail on
// one rank alone and is followed by a collective. `work` itself makes no collective calls.
void agree(ControlGroup& group, std::string_view what, const std::function<void()>& work);

}  // namespace orthant
