// Every call to NCCL, to CUDA and to kernels that the NCCL communicator makes, as a table that is given to
// it.
//
// The program uses the libraries' own functions (nccl_api.cpp, the only file that knows nccl.h; no_nccl.cpp
// in a build without them). Tests give functions of their own, so that all above the table is proved without
// a GPU. Functions of NCCL return its status and never throw. Functions of CUDA throw Error(kDevice). The
// table may be called from the thread that communicates and, for abort alone, from another one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "runtime/comm/communicator.h"
#include "runtime/core/dtype.h"

namespace orthant {

struct NcclComm;  // the library's communicator; nobody looks into it

// Made by one rank, needed by all to find each other.
struct NcclId {
  std::array<char, 128> bytes{};
};

// The values of ncclResult_t.
enum class NcclStatus : int {
  kSuccess = 0,
  kUnhandledCudaError = 1,
  kSystemError = 2,
  kInternalError = 3,
  kInvalidArgument = 4,
  kInvalidUsage = 5,
  kRemoteError = 6,
  kInProgress = 7,
};

// Whether a status of a call or a communicator is none of the errors.
[[nodiscard]] constexpr bool is_fine(NcclStatus status) {
  return status == NcclStatus::kSuccess || status == NcclStatus::kInProgress;
}

// Counts are elements of `dtype`, as in NCCL. `stream` is the vendor's (Stream::native()).
struct NcclApi {
  std::function<NcclStatus(int& version)> get_version;  // 22809 is 2.28.9
  std::function<NcclStatus(NcclId& id)> get_unique_id;
  // Both return at once; async_error tells when they are done. `made` of split() is written before the parent
  // is done, and must live until then.
  std::function<NcclStatus(NcclComm*& made, int size, const NcclId& id, int rank)> init_rank;
  std::function<NcclStatus(NcclComm* parent, int color, int key, NcclComm*& made)> split;
  std::function<NcclStatus(NcclComm*)> finalize;  // returns at once
  std::function<NcclStatus(NcclComm*)> destroy;
  std::function<NcclStatus(NcclComm*)> abort;
  std::function<NcclStatus(NcclComm*, NcclStatus& state)> async_error;
  std::function<NcclStatus(NcclComm*, int& rank)> rank_of;
  std::function<NcclStatus(NcclComm*, int& size)> size_of;
  std::function<std::string(NcclStatus)> error_string;
  std::function<std::string(NcclComm*)> last_error;  // of no communicator: null
  std::function<NcclStatus()> group_start;
  std::function<NcclStatus()> group_end;  // returns at once

  std::function<NcclStatus(const void* send, void* receive, size_t count, Dtype dtype, ReduceOp op, NcclComm*,
                           void* stream)>
      all_reduce;
  std::function<NcclStatus(const void* send, void* receive, size_t count, Dtype dtype, ReduceOp op, NcclComm*,
                           void* stream)>
      reduce_scatter;
  std::function<NcclStatus(const void* send, void* receive, size_t bytes, NcclComm*, void* stream)>
      all_gather;
  std::function<NcclStatus(void* data, size_t bytes, int root, NcclComm*, void* stream)> broadcast;
  std::function<NcclStatus(const void* data, size_t bytes, int peer, NcclComm*, void* stream)> send;
  std::function<NcclStatus(void* data, size_t bytes, int peer, NcclComm*, void* stream)> receive;
  std::function<NcclStatus(NcclComm*, void* data, size_t bytes, void*& handle)> register_buffer;
  std::function<NcclStatus(NcclComm*, void* handle)> deregister_buffer;

  std::function<int()> device_count;
  std::function<void(int device)> set_device;  // of the calling thread
  std::function<bool(const void* data)> is_device_memory;
  std::function<void*(int device, int64_t bytes)> allocate;
  std::function<void(int device, void* data)> release;  // never throws
  std::function<void(void* into, const void* from, int64_t bytes, void* stream)> copy;
  std::function<void*(int device)> create_event;
  std::function<void(void* event)> destroy_event;  // never throws
  std::function<void(void* event, void* stream)> record_event;
  std::function<bool(void* event)> event_done;
  ReduceOnDevice reduce_in_order;
};

// The libraries' own functions, and `reduce`, where anything will be reduced. Throws Error(kDevice) in a
// build without NCCL.
[[nodiscard]] NcclApi nccl_api(ReduceOnDevice reduce = {});

}  // namespace orthant
