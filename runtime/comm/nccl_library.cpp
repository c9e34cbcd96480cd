#include "runtime/comm/nccl_library.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string>

#include "runtime/core/error.h"

namespace orthant {
namespace {

[[noreturn]] void throw_unusable(const std::string& why) {
  throw Error(ExitCode::kDevice,
              {.problem = "NCCL cannot be loaded",
               .why = why,
               .suggestion = "Install NCCL, or name the folder of libnccl.so.2 in LD_LIBRARY_PATH."});
}

void* open_library() {
  if (void* const found = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL)) return found;
  const std::string why = dlerror();
  if (void* const of_build = dlopen(ORTHANT_NCCL_LIBRARY, RTLD_NOW | RTLD_LOCAL)) return of_build;
  throw_unusable(why);
}

template <typename Function>
Function function(void* library, const char* name) {
  void* const found = dlsym(library, name);
  if (found == nullptr) throw_unusable(fmt::format("the one found is too old: it has no {}", name));
  return reinterpret_cast<Function>(found);
}

NcclLibrary load() {
  void* const library = open_library();  // for as long as the process lives
  return {
      .ncclAllGather = function<decltype(&::ncclAllGather)>(library, "ncclAllGather"),
      .ncclAllReduce = function<decltype(&::ncclAllReduce)>(library, "ncclAllReduce"),
      .ncclBroadcast = function<decltype(&::ncclBroadcast)>(library, "ncclBroadcast"),
      .ncclCommAbort = function<decltype(&::ncclCommAbort)>(library, "ncclCommAbort"),
      .ncclCommCount = function<decltype(&::ncclCommCount)>(library, "ncclCommCount"),
      .ncclCommDeregister = function<decltype(&::ncclCommDeregister)>(library, "ncclCommDeregister"),
      .ncclCommDestroy = function<decltype(&::ncclCommDestroy)>(library, "ncclCommDestroy"),
      .ncclCommFinalize = function<decltype(&::ncclCommFinalize)>(library, "ncclCommFinalize"),
      .ncclCommGetAsyncError = function<decltype(&::ncclCommGetAsyncError)>(library, "ncclCommGetAsyncError"),
      .ncclCommInitRankConfig =
          function<decltype(&::ncclCommInitRankConfig)>(library, "ncclCommInitRankConfig"),
      .ncclCommRegister = function<decltype(&::ncclCommRegister)>(library, "ncclCommRegister"),
      .ncclCommSplit = function<decltype(&::ncclCommSplit)>(library, "ncclCommSplit"),
      .ncclCommUserRank = function<decltype(&::ncclCommUserRank)>(library, "ncclCommUserRank"),
      .ncclGetErrorString = function<decltype(&::ncclGetErrorString)>(library, "ncclGetErrorString"),
      .ncclGetLastError = function<decltype(&::ncclGetLastError)>(library, "ncclGetLastError"),
      .ncclGetUniqueId = function<decltype(&::ncclGetUniqueId)>(library, "ncclGetUniqueId"),
      .ncclGetVersion = function<decltype(&::ncclGetVersion)>(library, "ncclGetVersion"),
      .ncclGroupEnd = function<decltype(&::ncclGroupEnd)>(library, "ncclGroupEnd"),
      .ncclGroupStart = function<decltype(&::ncclGroupStart)>(library, "ncclGroupStart"),
      .ncclMemAlloc = function<decltype(&::ncclMemAlloc)>(library, "ncclMemAlloc"),
      .ncclMemFree = function<decltype(&::ncclMemFree)>(library, "ncclMemFree"),
      .ncclRecv = function<decltype(&::ncclRecv)>(library, "ncclRecv"),
      .ncclReduceScatter = function<decltype(&::ncclReduceScatter)>(library, "ncclReduceScatter"),
      .ncclSend = function<decltype(&::ncclSend)>(library, "ncclSend"),
  };
}

}  // namespace

const NcclLibrary& nccl_library() {
  static const NcclLibrary library = load();
  return library;
}

}  // namespace orthant
