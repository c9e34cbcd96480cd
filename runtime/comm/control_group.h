// The control plane: small host messages among ranks (agreement, texts, barriers). Always MPI or threads.
//
// Every call is Collective and has a deadline (exit code 71, naming the operation). Main thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orthant {

class ControlGroup {
 public:
  virtual ~ControlGroup() = default;
  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  virtual void barrier() = 0;                                                          // Collective.
  virtual void broadcast(std::string& text, int root) = 0;                             // Collective.
  [[nodiscard]] virtual std::vector<std::string> gather_all(std::string_view text) = 0;  // Collective. Every rank gets all, in rank order.
  [[nodiscard]] virtual uint64_t bit_or(uint64_t flags) = 0;                           // Collective.
  [[nodiscard]] virtual int64_t min(int64_t value) = 0;                                // Collective.
  [[nodiscard]] virtual int64_t max(int64_t value) = 0;                                // Collective.
  [[nodiscard]] virtual int64_t sum(int64_t value) = 0;                                // Collective.
};

// Collective. Runs `work` on every rank; when it throws on any rank, every rank throws an Error with the code and
// message of the lowest failing rank, naming that rank and `what`. Use around every step that can fail on one rank
// alone and is followed by a collective.
void agree(ControlGroup& group, std::string_view what, const std::function<void()>& work);

}  // namespace orthant
