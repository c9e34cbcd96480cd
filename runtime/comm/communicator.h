// The data plane: collectives on tensors among the ranks of a group, ordered on a stream.
//
// Counts follow NCCL: they are per-rank element counts. Every call is Collective: all ranks of the group make
// the same calls in the same order with matching counts. On host memory a call has completed when it returns;
// on memory of a GPU when its stream has come that far, which wait() waits for. Sums are formed in an order
// that depends only on the group size (over NCCL: communicator_nccl.h). bf16 and f16 are summed in f32 and
// rounded once. Every wait has a deadline: a rank that waits longer ends the process with exit code 71 (of
// thread ranks: throws Error(kPeer)), naming the operation. Used by one thread at a time; abort() may be
// called from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "runtime/core/combine.h"
#include "runtime/core/dtype.h"
#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant {

// Bytes this rank has sent to other ranks so far, by operation: what the formulas of the plan are checked
// against. Whatever the transport, payload is counted as if it went straight from its owner to each rank that
// needs it (runtime/comm/sent_bytes.h); the root of a broadcast counts size - 1 copies.
struct Traffic {
  int64_t all_reduce = 0;
  int64_t reduce_scatter = 0;
  int64_t all_gather = 0;
  int64_t broadcast = 0;
  int64_t all_to_all = 0;
  int64_t shift = 0;
  [[nodiscard]] int64_t total() const {
    return all_reduce + reduce_scatter + all_gather + broadcast + all_to_all + shift;
  }
};

// What combines parts on memory of a device in their order, with the bits of reduce_in_order()
// (runtime/core/reduce.h), in the order of `stream`. It is given to communicators, because kernels lie above
// this room: kernels/dense/reduce_parts.h.
using ReduceOnDevice = std::function<void(std::span<const void* const> parts, void* into, int64_t elements,
                                          Dtype dtype, ReduceOp op, Stream& stream)>;

class Communicator {
 public:
  virtual ~Communicator() = default;  // local; never communicates
  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  [[nodiscard]] virtual Device device() const = 0;
  [[nodiscard]] virtual std::string_view kind() const = 0;  // "self", "threads", "mpi", "nccl"

  // Collective. In place: `data` [elements] becomes the reduction over all ranks, the same bits on every
  // rank.
  virtual void all_reduce(void* data, int64_t elements, Dtype dtype, ReduceOp op, Stream& stream) = 0;
  // Collective. `send` [size * elements]; rank r receives the reduction of slice r in `receive` [elements],
  // which may be slice r of its own `send`.
  virtual void reduce_scatter(const void* send, void* receive, int64_t elements, Dtype dtype, ReduceOp op,
                              Stream& stream) = 0;
  // Collective. `receive` [size * elements]: the `send` [elements] of every rank in rank order. `send` may be
  // this rank's own place in `receive`.
  virtual void all_gather(const void* send, void* receive, int64_t elements, Dtype dtype, Stream& stream) = 0;
  // Collective. Uneven all-gather: rank r contributes counts[r] elements; counts are equal on all ranks.
  // `send` may be this rank's own place in `receive`.
  virtual void all_gather_uneven(const void* send, void* receive, std::span<const int64_t> counts,
                                 Dtype dtype, Stream& stream) = 0;
  // Collective. `data` [elements] of `root` reaches every rank.
  virtual void broadcast(void* data, int64_t elements, Dtype dtype, int root, Stream& stream) = 0;
  // Collective. To rank r go send_counts[r] elements, in rank order from the front of `send`; from rank r
  // come receive_counts[r], in rank order. Zero counts are allowed. The buffers do not overlap.
  virtual void all_to_all(const void* send, std::span<const int64_t> send_counts, void* receive,
                          std::span<const int64_t> receive_counts, Dtype dtype, Stream& stream) = 0;
  // Collective. Ring: send to rank + distance, receive from rank - distance (modulo size). No overlap.
  virtual void shift(const void* send, void* receive, int64_t elements, Dtype dtype, int distance,
                     Stream& stream) = 0;

  // Local. Whether its operations may run in one stream beside those of other groups of this rank in others,
  // without waiting for each other. Where not, no two groups of a rank are at work at once.
  [[nodiscard]] virtual bool runs_beside_others() const { return true; }

  // Local. Returns when all work on `stream` is done. Where a group of GPUs has work on it, the host waits
  // here and not in Stream::synchronize(), which would wait forever for a rank that is lost.
  virtual void wait(Stream& stream) { stream.synchronize(); }

  // Collective. Ranks of equal `color` form a group, ordered by `key`, then by rank.
  [[nodiscard]] virtual std::unique_ptr<Communicator> split(int color, int key) = 0;
  // Collective. Orderly end; no other call may follow.
  virtual void close() = 0;
  // Local, any thread, once: peers that wait for this rank end by their deadline, later calls of this rank
  // throw.
  virtual void abort() noexcept = 0;

  [[nodiscard]] virtual const Traffic& traffic() const = 0;
};

// Typed fronts.
template <typename T, int Rank>
void all_reduce(Communicator& group, View<T, Rank> data, ReduceOp op, Stream& stream) {
  group.all_reduce(data.data, data.elements(), dtype_of<T>(), op, stream);
}
template <typename T, int Rank>
void reduce_scatter(Communicator& group, View<const T, Rank> send, View<T, Rank> receive, ReduceOp op,
                    Stream& stream) {
  group.reduce_scatter(send.data, receive.data, receive.elements(), dtype_of<T>(), op, stream);
}
template <typename T, int Rank>
void all_gather(Communicator& group, View<const T, Rank> send, View<T, Rank> receive, Stream& stream) {
  group.all_gather(send.data, receive.data, send.elements(), dtype_of<T>(), stream);
}
template <typename T, int Rank>
void broadcast(Communicator& group, View<T, Rank> data, int root, Stream& stream) {
  group.broadcast(data.data, data.elements(), dtype_of<T>(), root, stream);
}

}  // namespace orthant
