// The flags of bench_train: those of the encoder benchmarks and what a training step adds.
#pragma once

#include <string>

#include "benchmarks/bench.h"
#include "kernels/dense/precision.h"
#include "runtime/comm/world.h"

namespace orthant::benchmarks {

struct TrainFlags {
  Flags shape;                        // threads: 0 where not given
  std::string architecture = "topk";  // topk, batchtopk, ortsae
  std::string source = "synthetic";   // or the path of a store or an array, then read inside the step
  int period = 1;                     // of the OrtSAE penalty
  MeshShape mesh;                     // left out: as the verbs choose it
  kernels::Precision precision = kernels::Precision::kF32;  // of the encoder's product
};

// Throws Error(kUsage) for what it does not know and Error(kConfig) for what cannot be measured.
[[nodiscard]] TrainFlags read_train_flags(int argc, char** argv);

}  // namespace orthant::benchmarks
