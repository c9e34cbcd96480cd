// The dense product beside oneDNN's, whole and on row blocks: out [batch, latents] = x [batch, d_model] *
// w^T.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <dnnl.hpp>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/random_values.h"
#include "kernels/dense/gemm.h"
#include "kernels/isa/isa.h"

namespace orthant::benchmarks {
namespace {

struct Operands {
  std::vector<float> x, w, out;
  explicit Operands(const Flags& flags)
      : x(random_values(flags.batch * flags.d_model, 1)),
        w(random_values(flags.latents * flags.d_model, 2)),
        out(static_cast<size_t>(flags.batch * flags.latents)) {}
};

// Calls body(first row, rows) for blocks of `rows_at_once`.
template <typename Body>
void each_block(int64_t batch, int64_t rows_at_once, const Body& body) {
  for (int64_t row = 0; row < batch; row += rows_at_once) body(row, std::min(rows_at_once, batch - row));
}

// Where the selection of an encoder would find a block in the cache, each block is written to the same place.
float* block_of(Operands& operands, const Flags& flags, int64_t row, int64_t rows_at_once) {
  return operands.out.data() + (rows_at_once == flags.batch ? row * flags.latents : 0);
}

Timing own(const Flags& flags, Operands& operands, const kernels::PackedWeights& packed, int64_t rows_at_once,
           double flop) {
  Stream stream;
  return measure(flags.repetitions, flop, [&] {
    each_block(flags.batch, rows_at_once, [&](int64_t row, int64_t rows) {
      kernels::matmul_nt({operands.x.data() + row * flags.d_model, {rows, flags.d_model}}, packed,
                         {block_of(operands, flags, row, rows_at_once), {rows, flags.latents}}, stream);
    });
  });
}

Timing onednn(const Flags& flags, Operands& operands, int64_t rows_at_once, double flop) {
  return measure(flags.repetitions, flop, [&] {
    each_block(flags.batch, rows_at_once, [&](int64_t row, int64_t rows) {
      dnnl_sgemm('N', 'T', rows, flags.latents, flags.d_model, 1.0f, operands.x.data() + row * flags.d_model,
                 flags.d_model, operands.w.data(), flags.d_model, 0.0f,
                 block_of(operands, flags, row, rows_at_once), flags.latents);
    });
  });
}

// Largest difference of the whole products, relative to the size of a sum.
void check(const Flags& flags, Operands& operands, const kernels::PackedWeights& packed) {
  Stream stream;
  std::vector<float> theirs(operands.out.size());
  kernels::matmul_nt({operands.x.data(), {flags.batch, flags.d_model}}, packed,
                     {operands.out.data(), {flags.batch, flags.latents}}, stream);
  dnnl_sgemm('N', 'T', flags.batch, flags.latents, flags.d_model, 1.0f, operands.x.data(), flags.d_model,
             operands.w.data(), flags.d_model, 0.0f, theirs.data(), flags.latents);
  float largest = 0.0f;
  for (size_t i = 0; i < theirs.size(); ++i)
    largest = std::max(largest, std::abs(theirs[i] - operands.out[i]));
  const double depth = static_cast<double>(flags.d_model);
  require(largest <= 1.2e-7 * depth * std::sqrt(depth), "the own product equals oneDNN's up to rounding");
}

void bench(const Flags& flags) {
  Operands operands(flags);
  Memory memory;
  Stream stream;
  kernels::PackedWeights packed(memory, "weights", flags.latents, flags.d_model);
  packed.pack({operands.w.data(), {flags.latents, flags.d_model}}, stream);
  if (flags.check) check(flags, operands, packed);
  const double flop =
      2.0 * static_cast<double>(flags.d_model * flags.latents) * static_cast<double>(flags.batch);
  const std::string kernel = fmt::format("own {}", kernels::name_of(kernels::active_isa()));
  std::vector<Result> results;
  for (const int64_t rows : {flags.batch, int64_t{256}, int64_t{64}}) {
    if (rows > flags.batch) continue;
    results.push_back({"matmul_nt", kernel, rows, own(flags, operands, packed, rows, flop)});
    results.push_back({"dnnl_sgemm", "oneDNN", rows, onednn(flags, operands, rows, flop)});
  }
  print(flags, results);
}

}  // namespace
}  // namespace orthant::benchmarks

int main(int argc, char** argv) {
  return orthant::benchmarks::run(argc, argv, orthant::benchmarks::bench);
}
