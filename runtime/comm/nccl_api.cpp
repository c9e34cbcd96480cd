#include "runtime/comm/nccl_api.h"

#include <cuda_runtime_api.h>

#include <cstring>
#include <utility>

#include "runtime/comm/nccl_library.h"
#include "runtime/core/error.h"
#include "runtime/device/cuda_check.h"
#include "runtime/device/cuda_devices.h"
#include "runtime/device/cuda_streams.h"

namespace orthant {
namespace {

static_assert(sizeof(NcclId) == sizeof(ncclUniqueId));
static_assert(static_cast<int>(NcclStatus::kInProgress) == ncclInProgress);
static_assert(static_cast<int>(NcclStatus::kRemoteError) == ncclRemoteError);

ncclComm_t theirs(NcclComm* comm) {
  return reinterpret_cast<ncclComm_t>(comm);
}
ncclComm_t* theirs(NcclComm** comm) {
  return reinterpret_cast<ncclComm_t*>(comm);
}
cudaStream_t on(void* stream) {
  return static_cast<cudaStream_t>(stream);
}
NcclStatus ours(ncclResult_t status) {
  return static_cast<NcclStatus>(status);
}

ncclConfig_t never_blocking() {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  return config;
}

ncclDataType_t type_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF64:
      return ncclFloat64;
    case Dtype::kF32:
      return ncclFloat32;
    case Dtype::kF16:
      return ncclFloat16;
    case Dtype::kBF16:
      return ncclBfloat16;
    case Dtype::kI64:
      return ncclInt64;
    case Dtype::kI32:
      return ncclInt32;
    case Dtype::kI8:
      return ncclInt8;
    case Dtype::kU64:
      return ncclUint64;
    case Dtype::kU32:
      return ncclUint32;
    case Dtype::kU8:
      return ncclUint8;
    case Dtype::kI16:
    case Dtype::kU16:
      break;
  }
  require(false, "NCCL has the type of a reduction that it is given");
  return ncclNumTypes;
}

ncclRedOp_t op_of(ReduceOp op) {
  require(op != ReduceOp::kBitOr, "NCCL has the operation of a reduction that it is given");
  if (op == ReduceOp::kMin) return ncclMin;
  return op == ReduceOp::kMax ? ncclMax : ncclSum;
}

bool is_device_memory(const void* data) {
  cudaPointerAttributes attributes{};
  cuda::check(cudaPointerGetAttributes(&attributes, data), "asking where a buffer lies");
  return attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
}

// Registered memory is taken from NCCL, which knows what its transports can register.
void* allocate(int device, int64_t bytes) {
  cuda::check(cudaSetDevice(device), "choosing a device");
  void* data = nullptr;
  const ncclResult_t status = nccl_library().ncclMemAlloc(&data, static_cast<size_t>(bytes));
  if (status == ncclSuccess) return data;
  throw Error(ExitCode::kDevice, {.problem = "ncclMemAlloc failed",
                                  .why = nccl_library().ncclGetErrorString(status) + std::string(": ") +
                                         nccl_library().ncclGetLastError(nullptr),
                                  .suggestion = "See `nvidia-smi` for the free memory of the GPU."});
}

void add_lifecycle(NcclApi& api) {
  api.get_version = [](int& version) { return ours(nccl_library().ncclGetVersion(&version)); };
  api.get_unique_id = [](NcclId& id) {
    return ours(nccl_library().ncclGetUniqueId(reinterpret_cast<ncclUniqueId*>(id.bytes.data())));
  };
  api.init_rank = [](NcclComm*& made, int size, const NcclId& id, int rank) {
    ncclUniqueId name;
    std::memcpy(&name, id.bytes.data(), sizeof name);
    ncclConfig_t config = never_blocking();
    return ours(nccl_library().ncclCommInitRankConfig(theirs(&made), size, name, rank, &config));
  };
  api.split = [](NcclComm* parent, int color, int key, NcclComm*& made) {
    ncclConfig_t config = never_blocking();
    return ours(nccl_library().ncclCommSplit(theirs(parent), color, key, theirs(&made), &config));
  };
  api.finalize = [](NcclComm* comm) { return ours(nccl_library().ncclCommFinalize(theirs(comm))); };
  api.destroy = [](NcclComm* comm) { return ours(nccl_library().ncclCommDestroy(theirs(comm))); };
  api.abort = [](NcclComm* comm) { return ours(nccl_library().ncclCommAbort(theirs(comm))); };
  api.async_error = [](NcclComm* comm, NcclStatus& state) {
    ncclResult_t now = ncclSuccess;
    const ncclResult_t status = nccl_library().ncclCommGetAsyncError(theirs(comm), &now);
    state = ours(now);
    return ours(status);
  };
  api.rank_of = [](NcclComm* comm, int& rank) {
    return ours(nccl_library().ncclCommUserRank(theirs(comm), &rank));
  };
  api.size_of = [](NcclComm* comm, int& size) {
    return ours(nccl_library().ncclCommCount(theirs(comm), &size));
  };
  api.error_string = [](NcclStatus status) {
    return std::string(nccl_library().ncclGetErrorString(static_cast<ncclResult_t>(status)));
  };
  api.last_error = [](NcclComm* comm) {
    const char* const text = nccl_library().ncclGetLastError(theirs(comm));
    return std::string(text == nullptr ? "" : text);
  };
  api.group_start = [] { return ours(nccl_library().ncclGroupStart()); };
  api.group_end = [] { return ours(nccl_library().ncclGroupEnd()); };
}

void add_operations(NcclApi& api) {
  api.all_reduce = [](const void* send, void* receive, size_t count, Dtype dtype, ReduceOp op, NcclComm* comm,
                      void* stream) {
    return ours(nccl_library().ncclAllReduce(send, receive, count, type_of(dtype), op_of(op), theirs(comm),
                                             on(stream)));
  };
  api.reduce_scatter = [](const void* send, void* receive, size_t count, Dtype dtype, ReduceOp op,
                          NcclComm* comm, void* stream) {
    return ours(nccl_library().ncclReduceScatter(send, receive, count, type_of(dtype), op_of(op),
                                                 theirs(comm), on(stream)));
  };
  api.all_gather = [](const void* send, void* receive, size_t bytes, NcclComm* comm, void* stream) {
    return ours(nccl_library().ncclAllGather(send, receive, bytes, ncclUint8, theirs(comm), on(stream)));
  };
  api.broadcast = [](void* data, size_t bytes, int root, NcclComm* comm, void* stream) {
    return ours(nccl_library().ncclBroadcast(data, data, bytes, ncclUint8, root, theirs(comm), on(stream)));
  };
  api.send = [](const void* data, size_t bytes, int peer, NcclComm* comm, void* stream) {
    return ours(nccl_library().ncclSend(data, bytes, ncclUint8, peer, theirs(comm), on(stream)));
  };
  api.receive = [](void* data, size_t bytes, int peer, NcclComm* comm, void* stream) {
    return ours(nccl_library().ncclRecv(data, bytes, ncclUint8, peer, theirs(comm), on(stream)));
  };
  api.register_buffer = [](NcclComm* comm, void* data, size_t bytes, void*& handle) {
    return ours(nccl_library().ncclCommRegister(theirs(comm), data, bytes, &handle));
  };
  api.deregister_buffer = [](NcclComm* comm, void* handle) {
    return ours(nccl_library().ncclCommDeregister(theirs(comm), handle));
  };
}

void add_device(NcclApi& api) {
  api.device_count = cuda::device_count;
  api.set_device = [](int device) { cuda::check(cudaSetDevice(device), "choosing a device"); };
  api.is_device_memory = is_device_memory;
  api.allocate = allocate;
  api.release = [](int, void* data) { nccl_library().ncclMemFree(data); };
  api.copy = cuda::copy_on_stream;
  api.create_event = cuda::create_event;
  api.destroy_event = cuda::destroy_event;
  api.record_event = cuda::record_event;
  api.event_done = cuda::is_event_done;
}

}  // namespace

NcclApi nccl_api(ReduceOnDevice reduce) {
  (void)nccl_library();  // or the table would be one of calls that throw
  NcclApi api;
  add_lifecycle(api);
  add_operations(api);
  add_device(api);
  api.reduce_in_order = std::move(reduce);
  return api;
}

}  // namespace orthant
