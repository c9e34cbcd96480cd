#include <mpi.h>

#include <climits>
#include <numeric>

#include "runtime/comm/mpi_planes.h"
#include "runtime/core/error.h"

namespace orthant {
namespace {

class MpiControlGroup final : public ControlGroup {
 public:
  MpiControlGroup(MPI_Comm comm, Watchdog& watchdog) : comm_(comm), watchdog_(watchdog) {
    check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
  }
  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void barrier() override {
    const auto watch = begin("barrier", 0);
    check_mpi(MPI_Barrier(comm_), "MPI_Barrier");
  }

  void broadcast(std::string& text, int root) override {
    const auto watch = begin("broadcast of a text", static_cast<int64_t>(text.size()));
    require(root >= 0 && root < size_, "the root is a rank");
    auto bytes = static_cast<int64_t>(text.size());
    check_mpi(MPI_Bcast(&bytes, 1, MPI_INT64_T, root, comm_), "MPI_Bcast");
    require(bytes <= INT_MAX, "a text of the control plane is below 2 GiB");
    text.resize(static_cast<size_t>(bytes));
    check_mpi(MPI_Bcast(text.data(), static_cast<int>(bytes), MPI_BYTE, root, comm_), "MPI_Bcast");
  }

  std::vector<std::string> gather_all(std::string_view text) override {
    const auto watch = begin("gather_all", static_cast<int64_t>(text.size()));
    const auto ranks = static_cast<size_t>(size_);
    const auto own = static_cast<int64_t>(text.size());
    std::vector<int64_t> bytes(ranks);
    check_mpi(MPI_Allgather(&own, 1, MPI_INT64_T, bytes.data(), 1, MPI_INT64_T, comm_), "MPI_Allgather");
    const int64_t total = std::reduce(bytes.begin(), bytes.end());
    require(total <= INT_MAX, "the texts of the control plane are below 2 GiB");
    std::vector<int> counts(bytes.begin(), bytes.end()), firsts(ranks);
    std::exclusive_scan(counts.begin(), counts.end(), firsts.begin(), 0);
    std::string all(static_cast<size_t>(total), '\0');
    check_mpi(MPI_Allgatherv(text.data(), static_cast<int>(own), MPI_BYTE, all.data(), counts.data(),
                             firsts.data(), MPI_BYTE, comm_),
              "MPI_Allgatherv");
    std::vector<std::string> texts;
    for (size_t r = 0; r < ranks; ++r) {
      texts.push_back(all.substr(static_cast<size_t>(firsts[r]), static_cast<size_t>(counts[r])));
    }
    return texts;
  }

  uint64_t bit_or(uint64_t flags) override { return reduce("bit_or", flags, MPI_UINT64_T, MPI_BOR); }
  int64_t min(int64_t value) override { return reduce("min", value, MPI_INT64_T, MPI_MIN); }
  int64_t max(int64_t value) override { return reduce("max", value, MPI_INT64_T, MPI_MAX); }
  int64_t sum(int64_t value) override { return reduce("sum", value, MPI_INT64_T, MPI_SUM); }

  std::unique_ptr<ControlGroup> split(int color, int key) override {
    const auto watch = begin("split", 0);
    require(color >= 0, "the color of a group is not negative");
    MPI_Comm group = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split(comm_, color, key, &group), "MPI_Comm_split");
    return std::make_unique<MpiControlGroup>(group, watchdog_);
  }

  void end_startup() override { watchdog_.end_startup(); }
  std::chrono::milliseconds set_deadline(std::chrono::milliseconds deadline) override {
    return watchdog_.set_deadline(deadline);
  }
  void set_flight_folder(std::string_view folder) override { watchdog_.recorder().set_folder(folder); }

 private:
  [[nodiscard]] Watchdog::Watch begin(const char* name, int64_t bytes) {
    return watchdog_.watch({name, Dtype::kU8, bytes, size_});
  }
  template <typename T>
  T reduce(const char* name, T value, MPI_Datatype type, MPI_Op op) {
    const auto watch = begin(name, 8);
    check_mpi(MPI_Allreduce(MPI_IN_PLACE, &value, 1, type, op, comm_), "MPI_Allreduce");
    return value;
  }

  MPI_Comm comm_;
  Watchdog& watchdog_;
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace

std::unique_ptr<ControlGroup> make_mpi_control_group(Watchdog& watchdog) {
  const auto watch = watchdog.watch({"MPI_Comm_dup", Dtype::kU8, 0, 0});
  MPI_Comm comm = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup");
  return std::make_unique<MpiControlGroup>(comm, watchdog);
}

}  // namespace orthant
