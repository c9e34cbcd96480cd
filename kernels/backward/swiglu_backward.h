// Gradient of kernels/transformer/swiglu.h. CPU. Element by element, so threads change no bits. Thread-safe
// for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// Of out = gate s(gate) up, s the logistic function, where `gradient` is that of out:
// into_gate = gradient up s (1 + gate (1 - s)), into_up = gradient gate s. All [rows, d_mlp]; into_gate may
// be gate, into_up may be up.
void swiglu_backward(Matrix<const float> gate, Matrix<const float> up, Matrix<const float> gradient,
                     Matrix<float> into_gate, Matrix<float> into_up, Stream& stream);

}  // namespace orthant::kernels
