// The data plane over NCCL: ranks that are GPUs.
//
// Buffers are memory of the GPU, and a call returns when NCCL has put it on the stream; or memory of the
// host, which is staged through the GPU, and the call has completed when it returns.
//
// Who reduces. NCCL does sums of f32, f64 and integers, and minima and maxima of all types it knows. Its
// order of a floating sum is its own: it depends on the group, the length and NCCL's settings
// (environment_nccl.h), so equal runs have equal bits and other lengths may not. What NCCL cannot do as the
// contract asks is exchanged and reduced here in rank order: sums of bf16 and f16, 16-bit integers, and
// kBitOr, which NCCL has not.
//
// Moved data is bytes to NCCL, whatever the type. Messages longer than NcclRank::most_count are cut.
#pragma once

#include <memory>

#include "runtime/comm/communicator.h"
#include "runtime/comm/link_nccl.h"

namespace orthant {

// Whether NCCL itself forms this reduction.
[[nodiscard]] bool nccl_reduces(Dtype dtype, ReduceOp op);

// Collective over the ranks that have `id`. Errors as NcclLink's.
[[nodiscard]] std::unique_ptr<Communicator> make_nccl_communicator(const NcclRank& own, const NcclId& id,
                                                                   int rank, int size);

}  // namespace orthant
