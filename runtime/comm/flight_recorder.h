// The last operations of a rank, kept in a ring so that a run that stalls can tell what each rank was doing.
//
// One thread begins and ends entries; another may write the record while the first is stuck inside an
// operation. Writing allocates nothing and takes no lock, because the stuck thread may hold any of them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "runtime/core/dtype.h"

namespace orthant {

// What a rank is about to do with its group. `name` points to a literal.
struct Operation {
  const char* name = "";
  Dtype dtype = Dtype::kU8;
  int64_t elements = 0;
  int group_size = 1;
};

struct FlightEntry {
  Operation operation;
  int64_t started_ns = 0;  // steady clock
  int64_t ended_ns = 0;    // 0: still running
};

class FlightRecorder {
 public:
  static constexpr int64_t kEntries = 4096;

  explicit FlightRecorder(int rank) : rank_(rank) {}
  [[nodiscard]] int rank() const { return rank_; }
  void set_rank(int rank) { rank_ = rank; }
  // Where write() puts its file: an existing folder, or empty for standard error.
  void set_folder(std::string_view folder);

  // Returns the operation's sequence number, counted from 0.
  int64_t begin(const Operation& operation, int64_t now_ns);
  // Does nothing when the ring has gone around since.
  void end(int64_t sequence, int64_t now_ns);
  [[nodiscard]] const FlightEntry& entry(int64_t sequence) const;

  // Writes FOLDER/flight-<rank>.json, oldest entry first, or the newest entries to standard error.
  void write(int64_t now_ns) const noexcept;

 private:
  void write_entries(int file, int64_t now_ns, int64_t limit) const noexcept;

  int rank_;
  std::atomic<int64_t> begun_{0};
  std::array<FlightEntry, kEntries> ring_;
  std::array<char, 4096> folder_{};
};

[[nodiscard]] int64_t steady_now_ns();

}  // namespace orthant
