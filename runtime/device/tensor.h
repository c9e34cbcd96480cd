// Views (borrowed) and tensors (owned): dense, row-major, contiguous, with shape and element type in the C++
// type.
//
// Kernels take views and never allocate; trainers and models own tensors. Sharing a view between threads is
// safe as long as nobody writes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "runtime/core/error.h"
#include "runtime/device/memory.h"

namespace orthant {

template <typename T, int Rank>
struct View {
  T* data = nullptr;
  std::array<int64_t, Rank> shape{};
  Device device = kCpu;

  [[nodiscard]] int64_t elements() const {
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    return count;
  }
  [[nodiscard]] int64_t bytes() const { return elements() * static_cast<int64_t>(sizeof(T)); }
  // Elements in one step of the first dimension.
  [[nodiscard]] int64_t row_elements() const { return shape[0] == 0 ? 0 : elements() / shape[0]; }
  [[nodiscard]] T* row(int64_t index) const { return data + index * row_stride(); }
  [[nodiscard]] int64_t row_stride() const {
    int64_t stride = 1;
    for (int i = 1; i < Rank; ++i) stride *= shape[static_cast<size_t>(i)];
    return stride;
  }
  // Rows [first, first + count) of the first dimension.
  [[nodiscard]] View rows(int64_t first, int64_t count) const {
    View part = *this;
    part.data = row(first);
    part.shape[0] = count;
    return part;
  }
  [[nodiscard]] std::span<T> span() const { return {data, static_cast<size_t>(elements())}; }
  operator View<const T, Rank>() const requires(!std::is_const_v<T>) { return {data, shape, device}; }
};

template <typename T>
using Vector = View<T, 1>;
template <typename T>
using Matrix = View<T, 2>;

template <typename T, int Rank>
class Tensor {
 public:
  Tensor() = default;
  // Uninitialised.
  Tensor(Memory& memory, std::string_view segment, std::array<int64_t, Rank> shape) : shape_(shape) {
    View<T, Rank> extent{nullptr, shape};
    buffer_ = memory.allocate(segment, extent.bytes());
  }
  [[nodiscard]] View<T, Rank> view() {
    return {reinterpret_cast<T*>(buffer_.data()), shape_, buffer_.device()};
  }
  [[nodiscard]] View<const T, Rank> view() const {
    return {reinterpret_cast<const T*>(buffer_.data()), shape_, buffer_.device()};
  }
  [[nodiscard]] const std::array<int64_t, Rank>& shape() const { return shape_; }
  [[nodiscard]] T* data() { return view().data; }
  [[nodiscard]] const T* data() const { return view().data; }
  void zero() { buffer_.zero(); }

 private:
  std::array<int64_t, Rank> shape_{};
  Buffer buffer_;
};

}  // namespace orthant
