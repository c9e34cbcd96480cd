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
  std::string device = "cpu";         // or cuda: one GPU a rank
  kernels::Precision precision = kernels::Precision::kF32;  // of the encoder's product; on CUDA bf16
  bool optimizer = true;      // false: forward and backward alone, no moments are held and nothing is updated
  std::string card = "h100";  // whose stated figures predict a step on CUDA
  bool predict_only = false;  // prints what is predicted of the step; needs no device
};

// Throws Error(kUsage) for what it does not know and Error(kConfig) for what cannot be measured.
[[nodiscard]] TrainFlags read_train_flags(int argc, char** argv);

}  // namespace orthant::benchmarks
