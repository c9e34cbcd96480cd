// The encoders beside the plain product of the same shape, which is what they cannot do without.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/random_values.h"
#include "kernels/encode/encode.h"
#include "kernels/isa/isa.h"
#include "kernels/ref/encode.h"

namespace orthant::benchmarks {
namespace {

using kernels::CodesView;
using kernels::EncodeArgs;

// The mean over rows of the k-th largest activation: about k entries a row lie above it.
float mean_smallest(CodesView codes) {
  double sum = 0.0;
  for (int64_t r = 0; r < codes.rows(); ++r) {
    const float* const values = codes.values.data;
    sum += *std::min_element(values + codes.row_offsets.data[r], values + codes.row_offsets.data[r + 1]);
  }
  return static_cast<float>(sum / static_cast<double>(codes.rows()));
}

// Every 64th row against sorting the activations of the plain product.
void check(const EncodeArgs& args, int64_t k, CodesView codes) {
  Stream stream;
  std::vector<float> products(static_cast<size_t>(args.encoder->columns()));
  for (int64_t r = 0; r < codes.rows(); r += 64) {
    kernels::matmul_nt(args.input.rows(r, 1), *args.encoder, {products.data(), {1, args.encoder->columns()}},
                       stream);
    std::vector<double> row;
    for (const float product : products) row.push_back(std::max(product, 0.0f));
    int64_t e = codes.row_offsets.data[r];
    for (const auto& entry : kernels::ref::topk(row, {}, k)) {
      require(codes.latents.data[e] == entry.latent && codes.values.data[e] == entry.value,
              "encode_topk keeps what sorting keeps");
      ++e;
    }
  }
}

void bench(const Flags& flags) {
  const std::vector<float> x = random_values(flags.batch * flags.d_model, 1);
  const std::vector<float> w = random_values(flags.latents * flags.d_model, 2);
  Memory memory;
  Stream stream;
  kernels::PackedWeights packed(memory, "weights", flags.latents, flags.d_model);
  packed.pack({w.data(), {flags.latents, flags.d_model}}, stream);
  const int64_t kept = std::min(flags.k, flags.latents);
  kernels::EncodeWorkspace workspace(memory, flags.threads, kept, flags.d_model);
  kernels::Codes codes(memory, flags.batch, 2 * flags.batch * kept);
  const EncodeArgs args{.input = {x.data(), {flags.batch, flags.d_model}}, .encoder = &packed};
  const double flop =
      2.0 * static_cast<double>(flags.d_model * flags.latents) * static_cast<double>(flags.batch);
  const std::string kernel = fmt::format("own {}", kernels::name_of(kernels::active_isa()));
  std::vector<Result> results;
  results.push_back({"encode_topk", kernel, flags.batch, measure(flags.repetitions, flop, [&] {
                       kernels::encode_topk(args, kept, workspace, codes.view(), stream);
                     })});
  if (flags.check) check(args, kept, codes.view());
  const float threshold = kept == 0 ? 0.0f : mean_smallest(codes.view());
  results.push_back({"encode_above", kernel, flags.batch, measure(flags.repetitions, flop, [&] {
                       (void)kernels::encode_above(args, threshold, {}, workspace, codes.view(), stream);
                     })});
  std::vector<float> out(static_cast<size_t>(flags.batch * flags.latents));
  results.push_back(
      {"matmul_nt", kernel, flags.batch, measure(flags.repetitions, flop, [&] {
         kernels::matmul_nt(args.input, packed, {out.data(), {flags.batch, flags.latents}}, stream);
       })});
  print(flags, results);
}

}  // namespace
}  // namespace orthant::benchmarks

int main(int argc, char** argv) {
  return orthant::benchmarks::run(argc, argv, orthant::benchmarks::bench);
}
