// kernels/cuda/launch.cuh for kernels that are compiled as C++ and run on fibers (tests/emulation/emu.h): the
// same functions.
#pragma once

#include <math.h>
#include <stdint.h>

#include <bit>
#include <source_location>
#include <type_traits>

#include "runtime/device/stream.h"
#include "tests/device/emulated_device.h"
#include "tests/emulation/emu.h"

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)

#define threadIdx (::orthant::emulation::Machine::instance().at.thread)
#define blockIdx (::orthant::emulation::Machine::instance().at.block)
#define blockDim (::orthant::emulation::Machine::instance().at.block_size)
#define gridDim (::orthant::emulation::Machine::instance().at.grid_size)

inline void __syncthreads(std::source_location site = std::source_location::current()) {
  ::orthant::emulation::Machine::instance().barrier(site);
}

namespace orthant::kernels {

inline constexpr int kWarp = 32;

struct LaunchShape {
  int64_t blocks = 0;
  int threads = 0;
  int64_t shared_bytes = 0;
};

template <typename... Parameters>
void launch(void (*kernel)(Parameters...), LaunchShape shape, Stream&,
            std::type_identity_t<Parameters>... arguments) {
  if (shape.blocks == 0) return;
  const emulation::DeviceWork work;
  emulation::Machine::instance().run([&] { kernel(arguments...); }, shape.blocks, shape.threads,
                                     shape.shared_bytes);
}

template <typename T>
T* dynamic_shared() {
  return static_cast<T*>(emulation::Machine::instance().dynamic_shared());
}
template <typename T>
T& block_shared() {
  return emulation::Machine::instance().block_shared<T>();
}

template <typename T>
T warp_shuffle(T value, int source, std::source_location site = std::source_location::current()) {
  using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  const uint64_t bits = std::bit_cast<Bits>(value);
  const int lane = source & (kWarp - 1);
  return std::bit_cast<T>(static_cast<Bits>(emulation::Machine::instance().exchange(bits, lane, site)));
}
template <typename T>
T warp_shuffle_xor(T value, int mask, std::source_location site = std::source_location::current()) {
  return warp_shuffle(value, emulation::Machine::instance().lane() ^ mask, site);
}
inline uint32_t warp_ballot(bool holds, std::source_location site = std::source_location::current()) {
  return emulation::Machine::instance().ballot(holds, site);
}

inline void warp_barrier(std::source_location site = std::source_location::current()) {
  emulation::Machine::instance().warp_barrier(site);
}

struct Four {
  float of[4];
};

struct FourHalves {
  uint16_t of[4];
};

template <typename T>
void require_four(const T* address) {
  if (reinterpret_cast<uintptr_t>(address) % (4 * sizeof(T)) == 0) return;
  throw emulation::EmulationError("four numbers are off their alignment");
}
inline Four load_four(const float* from) {
  require_four(from);
  return {{from[0], from[1], from[2], from[3]}};
}
inline void store_four(float* to, Four four) {
  require_four(to);
  for (int i = 0; i < 4; ++i) to[i] = four.of[i];
}
inline FourHalves load_four(const uint16_t* from) {
  require_four(from);
  return {{from[0], from[1], from[2], from[3]}};
}
inline void store_four(uint16_t* to, FourHalves four) {
  require_four(to);
  for (int i = 0; i < 4; ++i) to[i] = four.of[i];
}

}  // namespace orthant::kernels
