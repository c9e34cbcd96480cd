// Time that counts only while it runs. Not thread-safe.
#pragma once

#include <chrono>
#include <optional>

namespace orthant {

class Stopwatch {
 public:
  // Runs while the scope lives.
  class Scope {
   public:
    explicit Scope(Stopwatch& watch) : watch_(watch) { watch_.since_ = Clock::now(); }
    ~Scope() {
      watch_.spent_ += Clock::now() - *watch_.since_;
      watch_.since_.reset();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Stopwatch& watch_;
  };

  [[nodiscard]] double seconds() const {
    const Clock::duration running = since_ ? Clock::now() - *since_ : Clock::duration{};
    return std::chrono::duration<double>(spent_ + running).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::duration spent_{};
  std::optional<Clock::time_point> since_;
};

}  // namespace orthant
