// NCCL's own functions, from the library that is loaded when they are first asked for: a program that was
// built with NCCL starts on hosts without it. Only for nccl_api.cpp. Thread-safe.
#pragma once

#include <nccl.h>

namespace orthant {

// Named as in nccl.h.
struct NcclLibrary {
  decltype(&::ncclAllGather) ncclAllGather;
  decltype(&::ncclAllReduce) ncclAllReduce;
  decltype(&::ncclBroadcast) ncclBroadcast;
  decltype(&::ncclCommAbort) ncclCommAbort;
  decltype(&::ncclCommCount) ncclCommCount;
  decltype(&::ncclCommDeregister) ncclCommDeregister;
  decltype(&::ncclCommDestroy) ncclCommDestroy;
  decltype(&::ncclCommFinalize) ncclCommFinalize;
  decltype(&::ncclCommGetAsyncError) ncclCommGetAsyncError;
  decltype(&::ncclCommInitRankConfig) ncclCommInitRankConfig;
  decltype(&::ncclCommRegister) ncclCommRegister;
  decltype(&::ncclCommSplit) ncclCommSplit;
  decltype(&::ncclCommUserRank) ncclCommUserRank;
  decltype(&::ncclGetErrorString) ncclGetErrorString;
  decltype(&::ncclGetLastError) ncclGetLastError;
  decltype(&::ncclGetUniqueId) ncclGetUniqueId;
  decltype(&::ncclGetVersion) ncclGetVersion;
  decltype(&::ncclGroupEnd) ncclGroupEnd;
  decltype(&::ncclGroupStart) ncclGroupStart;
  decltype(&::ncclMemAlloc) ncclMemAlloc;
  decltype(&::ncclMemFree) ncclMemFree;
  decltype(&::ncclRecv) ncclRecv;
  decltype(&::ncclReduceScatter) ncclReduceScatter;
  decltype(&::ncclSend) ncclSend;
};

// libnccl.so.2 of the loader's path or, where it has none, that of the build. Throws Error(kDevice) where
// neither can be loaded or lacks a function.
[[nodiscard]] const NcclLibrary& nccl_library();

}  // namespace orthant
