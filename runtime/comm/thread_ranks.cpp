#include <fmt/format.h>

#include <exception>
#include <numeric>
#include <thread>

#include "runtime/comm/thread_group.h"
#include "runtime/comm/world.h"
#include "runtime/core/error.h"

namespace orthant {
namespace {

// How a rank ended.
struct End {
  std::exception_ptr exception;
  bool by_itself = false;  // not because another rank failed
};

End run_rank(const std::function<void(World)>& body, World world, ThreadRun& run) {
  const int rank = world.rank();
  try {
    body(std::move(world));
    return {};
  } catch (const PeerFailed&) {
    return {std::current_exception(), false};
  } catch (const std::exception& error) {
    run.abort(fmt::format("rank {} failed: {}", rank, error.what()));
    return {std::current_exception(), true};
  }
}

}  // namespace

void run_thread_ranks(int size, const std::function<void(World)>& body, Deadlines deadlines) {
  require(size > 0, "a world has at least one rank");
  ThreadRun run(size, deadlines);
  std::vector<int> ranks(static_cast<size_t>(size));
  std::iota(ranks.begin(), ranks.end(), 0);
  ThreadGroup& data = run.make_group(ranks);
  ThreadGroup& control = run.make_group(ranks);
  std::vector<End> ends(static_cast<size_t>(size));
  std::vector<std::jthread> threads;
  for (const int rank : ranks) {
    threads.emplace_back([&, rank] {
      World world{.data = make_thread_communicator(data, rank),
                  .control = make_thread_control_group(control, rank),
                  .local_rank = rank,
                  .local_size = size};
      ends[static_cast<size_t>(rank)] = run_rank(body, std::move(world), run);
    });
  }
  for (std::jthread& thread : threads) thread.join();
  for (const End& end : ends) {
    if (end.by_itself) std::rethrow_exception(end.exception);
  }
  for (const End& end : ends) {
    if (end.exception) std::rethrow_exception(end.exception);
  }
}

}  // namespace orthant
