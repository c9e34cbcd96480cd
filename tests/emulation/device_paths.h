// Copies of the arguments of latent_step.h where the kernels run.
#pragma once

#include <vector>

#include "kernels/codes/latent_step.h"
#include "tests/emulation/kernel_test.h"
#include "tests/support/random_paths.h"

namespace orthant::testing {

template <typename T>
DeviceArray<std::remove_const_t<T>> copied(Vector<T> host) {
  return DeviceArray<std::remove_const_t<T>>(std::span<const std::remove_const_t<T>>(host.span()));
}
template <typename T>
DeviceArray<std::remove_const_t<T>> copied(Matrix<T> host, int64_t offset = 0) {
  return DeviceArray<std::remove_const_t<T>>(std::span<const std::remove_const_t<T>>(host.span()), offset);
}

class DevicePaths {
 public:
  // `host` outlives this.
  explicit DevicePaths(const kernels::LatentStepArgs& host, int64_t offset = 0)
      : host_(host),
        input_(copied(host.input, offset)),
        penalty_(copied(host.decoder_penalty_gradient, offset)) {
    for (int i = 0; i < host.path_count; ++i) parts_.emplace_back(host.paths[i], offset);
    for (const Part& part : parts_) {
      views_.push_back({part.codes.view(),
                        {part.offsets.vector(), part.rows.vector(), part.entries.vector()},
                        part.value_gradients.vector(),
                        part.gradient.matrix(host.input.shape[1])});
    }
  }
  [[nodiscard]] kernels::LatentStepArgs args() const {
    kernels::LatentStepArgs args = host_;
    args.input.data = input_.data();
    args.input.device = kernel_device();
    args.paths = views_.data();
    if (host_.decoder_penalty_gradient.data != nullptr) {
      args.decoder_penalty_gradient.data = penalty_.data();
      args.decoder_penalty_gradient.device = kernel_device();
    }
    return args;
  }

 private:
  struct Part {
    Part(const kernels::CodePath& path, int64_t offset)
        : codes(path.codes),
          offsets(copied(path.order.offsets)),
          rows(copied(path.order.rows)),
          entries(copied(path.order.entries)),
          value_gradients(copied(path.value_gradients)),
          gradient(copied(path.output_gradient, offset)) {}
    DeviceCodes codes;
    DeviceArray<int64_t> offsets;
    DeviceArray<int32_t> rows;
    DeviceArray<int64_t> entries;
    DeviceArray<float> value_gradients, gradient;
  };
  kernels::LatentStepArgs host_;
  DeviceArray<float> input_, penalty_;
  std::vector<Part> parts_;
  std::vector<kernels::CodePath> views_;
};

using SliceValues = std::tuple<std::vector<float>, std::vector<float>, std::vector<float>, std::vector<float>,
                               std::vector<float>, std::vector<float>, std::vector<float>, std::vector<float>,
                               std::vector<float>>;

// Parameters and moments of a slice: a copy of SliceTensors.
class DeviceSlice {
 public:
  explicit DeviceSlice(SliceTensors& host, int64_t offset = 0) : width_(host.encoder.shape()[1]) {
    for (const Tensor<float, 2>* tensor : host.all()) arrays_.push_back(on_device(*tensor, offset));
  }
  [[nodiscard]] kernels::LatentSlice slice() const {
    return {rows(0),
            rows(1),
            arrays_[2].vector(),
            rows(3),
            rows(4),
            rows(5),
            rows(6),
            arrays_[7].vector(),
            arrays_[8].vector()};
  }
  // In the order of SliceTensors::all().
  [[nodiscard]] SliceValues values() const {
    return {arrays_[0].values(), arrays_[1].values(), arrays_[2].values(),
            arrays_[3].values(), arrays_[4].values(), arrays_[5].values(),
            arrays_[6].values(), arrays_[7].values(), arrays_[8].values()};
  }

 private:
  [[nodiscard]] Matrix<float> rows(size_t index) const { return arrays_[index].matrix(width_); }
  int64_t width_;
  std::vector<DeviceArray<float>> arrays_;
};

// A copy of Bf16Moments.
class DeviceBf16Moments {
 public:
  explicit DeviceBf16Moments(const Bf16Moments& host, int64_t offset = 0)
      : width_(host.encoder.shape()[1]),
        encoder_(on_device(host.encoder, offset)),
        decoder_(on_device(host.decoder, offset)) {}
  [[nodiscard]] kernels::LatentSlice put_into(kernels::LatentSlice slice) const {
    slice.encoder_v = encoder_.matrix(width_);
    slice.decoder_v = decoder_.matrix(width_);
    return slice;
  }
  [[nodiscard]] auto values() const { return std::pair(encoder_.values(), decoder_.values()); }

 private:
  int64_t width_;
  DeviceArray<uint16_t> encoder_, decoder_;
};

}  // namespace orthant::testing
