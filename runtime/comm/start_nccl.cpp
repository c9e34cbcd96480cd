#include "runtime/comm/start_nccl.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <thread>
#include <vector>

#include "runtime/comm/environment_nccl.h"
#include "runtime/job/host.h"
#include "runtime/storage/file.h"

namespace orthant {
namespace {

constexpr std::chrono::milliseconds kPoll{5};

void check(const NcclApi& api, NcclStatus status, std::string_view call) {
  if (is_fine(status)) return;
  throw Error(ExitCode::kDevice,
              {.problem = fmt::format("{} failed", call),
               .why = fmt::format("{}: {}", api.error_string(status), api.last_error(nullptr)),
               .suggestion = "NCCL_DEBUG=INFO tells more."});
}

NcclSeat seat_of(const NcclRank& own) {
  NcclSeat seat;
  check(*own.api, own.api->get_version(seat.version), "ncclGetVersion");
  seat.gpus = own.api->device_count();
  seat.host = host_name();
  seat.launches_in_order = launches_in_order_of_calls(seat.version);
  return seat;
}

std::string text_of(const NcclSeat& seat) {
  return fmt::format("{} {} {} {}", seat.version, seat.gpus, seat.host, seat.launches_in_order ? 1 : 0);
}

NcclSeat seat_from(const std::string& text) {
  std::istringstream words(text);
  NcclSeat seat;
  words >> seat.version >> seat.gpus >> seat.host >> seat.launches_in_order;
  return seat;
}

std::string make_id(const NcclApi& api) {
  NcclId id;
  check(api, api.get_unique_id(id), "ncclGetUniqueId");
  return {id.bytes.begin(), id.bytes.end()};
}

NcclId id_from(const std::string& text) {
  NcclId id;
  require(text.size() == id.bytes.size(), "the id of an NCCL communicator has 128 bytes");
  std::copy(text.begin(), text.end(), id.bytes.begin());
  return id;
}

void refuse_existing(const std::string& path) {
  if (!std::filesystem::exists(path)) return;
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("'{}' exists", path),
               .why = "it may be the id of an earlier run, which a rank would wait for in vain",
               .suggestion = "Give a new name for every run."});
}

std::string wait_for_file(const std::string& path, std::chrono::milliseconds deadline) {
  const auto give_up = std::chrono::steady_clock::now() + deadline;
  while (!std::filesystem::exists(path)) {
    if (std::chrono::steady_clock::now() > give_up) {
      throw Error(ExitCode::kPeer, {.problem = fmt::format("'{}' did not come within {:.1f} s", path,
                                                           std::chrono::duration<double>(deadline).count()),
                                    .why = "rank 0 has not started or writes elsewhere"});
    }
    std::this_thread::sleep_for(kPoll);
  }
  return read_file(path);
}

}  // namespace

std::string nccl_version_text(int version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::vector<std::pair<std::string, std::string>> nccl_facts(const NcclApi& api) {
  int version = 0;
  check(api, api.get_version(version), "ncclGetVersion");
  std::vector<std::pair<std::string, std::string>> facts = nccl_settings();
  facts.emplace(facts.begin(), "version", nccl_version_text(version));
  return facts;
}

void require_fitting_seats(std::span<const NcclSeat> seats) {
  const NcclSeat& first = seats.front();
  for (size_t r = 0; r < seats.size(); ++r) {
    const NcclSeat& seat = seats[r];
    const std::string version = nccl_version_text(seat.version);
    if (seat.version < kOldestNccl) {
      throw Error(ExitCode::kConfig,
                  {.problem = fmt::format("NCCL {} of rank {} on {} is too old", version, r, seat.host),
                   .why = fmt::format("{} or later is needed", nccl_version_text(kOldestNccl)),
                   .suggestion = "See which libnccl.so.2 the program loads: LD_LIBRARY_PATH."});
    }
    if (seat.version != first.version) {
      throw Error(ExitCode::kConfig,
                  {.problem = "ranks have different versions of NCCL",
                   .why = fmt::format("{} of rank 0 on {}, {} of rank {} on {}",
                                      nccl_version_text(first.version), first.host, version, r, seat.host),
                   .suggestion = "Install the same on all hosts."});
    }
    if (seat.gpus != first.gpus) {
      throw Error(ExitCode::kConfig,
                  {.problem = "ranks see different numbers of GPUs",
                   .why = fmt::format("rank 0 on {} sees {}, rank {} on {} sees {}", first.host, first.gpus,
                                      r, seat.host, seat.gpus),
                   .suggestion = "Set CUDA_VISIBLE_DEVICES so that all see as many, or leave hosts out."});
    }
    if (seat.launches_in_order != first.launches_in_order) {
      throw Error(
          ExitCode::kConfig,
          {.problem = "ranks have different values of NCCL_LAUNCH_ORDER_IMPLICIT",
           .why = fmt::format("rank 0 on {} and rank {} on {} would put their operations in different "
                              "orders",
                              first.host, r, seat.host),
           .suggestion = "Give it to all ranks: mpirun -x NCCL_LAUNCH_ORDER_IMPLICIT."});
    }
  }
}

std::unique_ptr<Communicator> start_nccl(const NcclRank& own, ControlGroup& control) {
  NcclSeat seat;
  agree(control, "look for NCCL", [&] {
    own.api->set_device(own.device);
    seat = seat_of(own);
  });
  std::vector<NcclSeat> seats;
  for (const std::string& text : control.gather_all(text_of(seat))) seats.push_back(seat_from(text));
  require_fitting_seats(seats);

  std::string id;
  agree(control, "name the NCCL communicator", [&] {
    if (control.rank() == 0) id = make_id(*own.api);
  });
  control.broadcast(id, 0);
  return make_nccl_communicator(own, id_from(id), control.rank(), control.size());
}

std::unique_ptr<Communicator> start_nccl_by_file(const NcclRank& own, const std::string& path, int rank,
                                                 int size, std::chrono::milliseconds deadline) {
  own.api->set_device(own.device);
  const NcclSeat seat = seat_of(own);
  require_fitting_seats({&seat, 1});
  if (rank == 0) {
    refuse_existing(path);
    replace_file(path, make_id(*own.api));
  }
  return make_nccl_communicator(own, id_from(wait_for_file(path, deadline)), rank, size);
}

}  // namespace orthant
