#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <algorithm>

#include "runtime/comm/combine.h"
#include "runtime/comm/reduce_cuda.h"
#include "runtime/core/error.h"
#include "runtime/device/cuda_check.h"

namespace orthant::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 4096;

struct Parts {
  const void* at[kMostReducedParts];
  int count;
};

// How an element lies in memory and in which type it is combined.
template <typename T>
struct Plain {
  using Stored = T;
  using Combined = T;
  static __device__ T widen(T value) { return value; }
  static __device__ T narrow(T value) { return value; }
};

struct Bf16 {
  using Stored = uint16_t;
  using Combined = float;
  static __device__ float widen(uint16_t bits) { return __uint_as_float(static_cast<uint32_t>(bits) << 16); }
  static __device__ uint16_t narrow(float value) {
    const uint32_t bits = __float_as_uint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
    return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
  }
};

struct F16 {
  using Stored = uint16_t;
  using Combined = float;
  static __device__ float widen(uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
  static __device__ uint16_t narrow(float value) { return __half_as_ushort(__float2half_rn(value)); }
};

template <ReduceOp kOp, typename Element>
__global__ void reduce_parts(Parts parts, void* into, int64_t elements) {
  using Stored = typename Element::Stored;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < elements; i += step) {
    auto sum = Element::widen(static_cast<const Stored*>(parts.at[0])[i]);
    for (int p = 1; p < parts.count; ++p) {
      sum = combine<kOp>(sum, Element::widen(static_cast<const Stored*>(parts.at[p])[i]));
    }
    static_cast<Stored*>(into)[i] = Element::narrow(sum);
  }
}

struct Launch {
  Parts parts;
  void* into;
  int64_t elements;
  cudaStream_t stream;
};

template <ReduceOp kOp, typename Element>
void launch(const Launch& l) {
  const int64_t blocks = std::min((l.elements + kThreads - 1) / kThreads, kMostBlocks);
  reduce_parts<kOp, Element>
      <<<static_cast<unsigned>(blocks), kThreads, 0, l.stream>>>(l.parts, l.into, l.elements);
  check(cudaGetLastError(), "starting the reduction of what other ranks sent");
}

template <ReduceOp kOp>
void launch_integer(const Launch& l, Dtype dtype) {
  switch (dtype) {
    case Dtype::kI64:
      return launch<kOp, Plain<int64_t>>(l);
    case Dtype::kI32:
      return launch<kOp, Plain<int32_t>>(l);
    case Dtype::kI16:
      return launch<kOp, Plain<int16_t>>(l);
    case Dtype::kI8:
      return launch<kOp, Plain<int8_t>>(l);
    case Dtype::kU64:
      return launch<kOp, Plain<uint64_t>>(l);
    case Dtype::kU32:
      return launch<kOp, Plain<uint32_t>>(l);
    case Dtype::kU16:
      return launch<kOp, Plain<uint16_t>>(l);
    case Dtype::kU8:
      return launch<kOp, Plain<uint8_t>>(l);
    default:
      require(false, "a bitwise reduction has an integer type");
  }
}

template <ReduceOp kOp>
void launch_number(const Launch& l, Dtype dtype) {
  switch (dtype) {
    case Dtype::kF64:
      return launch<kOp, Plain<double>>(l);
    case Dtype::kF32:
      return launch<kOp, Plain<float>>(l);
    case Dtype::kF16:
      return launch<kOp, F16>(l);
    case Dtype::kBF16:
      return launch<kOp, Bf16>(l);
    default:
      return launch_integer<kOp>(l, dtype);
  }
}

}  // namespace

void reduce_in_order(std::span<const void* const> parts, void* into, int64_t elements, Dtype dtype,
                     ReduceOp op, void* stream) {
  require(!parts.empty() && parts.size() <= kMostReducedParts, "a reduction on a GPU has 1 to 1024 parts");
  Launch l{{}, into, elements, static_cast<cudaStream_t>(stream)};
  std::copy(parts.begin(), parts.end(), l.parts.at);
  l.parts.count = static_cast<int>(parts.size());
  switch (op) {
    case ReduceOp::kSum:
      return launch_number<ReduceOp::kSum>(l, dtype);
    case ReduceOp::kMin:
      return launch_number<ReduceOp::kMin>(l, dtype);
    case ReduceOp::kMax:
      return launch_number<ReduceOp::kMax>(l, dtype);
    case ReduceOp::kBitOr:
      return launch_integer<ReduceOp::kBitOr>(l, dtype);
  }
}

}  // namespace orthant::cuda
