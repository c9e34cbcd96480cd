// What the sums of a scoring pass cost beside the encoder: bench_score [flags of bench.h].
//
// A batch is encoded by TopK and added to the sums of twelve groups of rows: near a word one row in ten, as
// the windows of ReasonScore are. Each repetition times the one and then the other, so that both meet the
// same host; `overhead` is the median of their ratios.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/random_values.h"
#include "kernels/codes/group_sums.h"
#include "kernels/isa/isa.h"
#include "runtime/comm/self.h"
#include "runtime/core/error.h"
#include "runtime/core/rng.h"
#include "sae/dictionary/inference.h"

namespace orthant::benchmarks {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kGroups = 12;

sae::Dictionary random_dictionary(const Flags& flags, Memory& memory) {
  sae::Conventions conventions;
  conventions.architecture = sae::Architecture::kTopK;
  conventions.latents = flags.latents;
  conventions.k = flags.k;
  sae::Dictionary dictionary =
      sae::allocate_dictionary(conventions, flags.d_model, {0, flags.latents}, memory);
  sae::initialize_dictionary(dictionary, sae::EncoderInit::kUnitTransposed, 0);
  return dictionary;
}

std::vector<uint64_t> window_masks(int64_t rows) {
  std::vector<uint64_t> masks;
  for (int64_t r = 0; r < rows; ++r) {
    const uint64_t word = random_u64(0, Purpose::kTest, 1, static_cast<uint64_t>(r)) % (kGroups - 2);
    const bool near = r % 10 == 0;
    masks.push_back(near ? (uint64_t{1} << word | uint64_t{1} << (kGroups - 2))
                         : uint64_t{1} << (kGroups - 1));
  }
  return masks;
}

void bench(const Flags& flags) {
  Memory memory;
  const sae::Dictionary dictionary = random_dictionary(flags, memory);
  const auto self = make_self_communicator();
  sae::Inference inference(memory, dictionary, flags.batch, *self, 0);
  const std::vector<float> values_of_x = random_values(flags.batch * flags.d_model, 1);
  const Matrix<const float> x{values_of_x.data(), {flags.batch, flags.d_model}};
  const std::vector<uint64_t> masks = window_masks(flags.batch);
  Tensor<double, 2> values(memory, "sums", {flags.latents, kGroups});
  Tensor<int64_t, 1> rows(memory, "sums", {kGroups}), fired(memory, "sums", {flags.latents}),
      max_row(memory, "sums", {flags.latents});
  Tensor<float, 1> max(memory, "sums", {flags.latents});
  values.zero();
  rows.zero();
  fired.zero();
  max_row.zero();
  max.zero();
  const kernels::GroupSums sums{values.view(), rows.view(), fired.view(), max.view(), max_row.view()};
  const double flop =
      2.0 * static_cast<double>(flags.batch * flags.d_model) * static_cast<double>(flags.latents);
  std::vector<double> overheads;
  const Timing encode_and_add = measure(flags.repetitions, flop, [&] {
    const auto start = Clock::now();
    const kernels::CodesView codes = inference.encode(x);
    const auto encoded = Clock::now();
    kernels::add_group_sums(codes, {masks.data(), {flags.batch}, kCpu}, 0, 0, sums);
    overheads.push_back(std::chrono::duration<double>(Clock::now() - encoded) /
                        std::chrono::duration<double>(encoded - start));
  });
  const Timing encode = measure(flags.repetitions, flop, [&] { (void)inference.encode(x); });
  require(rows.data()[kGroups - 1] > 0, "rows were added");
  std::sort(overheads.begin(), overheads.end());
  const double overhead = overheads[overheads.size() / 2];
  if (!flags.json) fmt::print("sums take {:.2f} % of the time of encoding\n", 100.0 * overhead);
  const std::string kernel(kernels::name_of(kernels::active_isa()));
  print(flags, {{"score_pass", kernel, flags.batch, encode_and_add, {{"overhead", overhead}}},
                {"encode", kernel, flags.batch, encode}});
}

}  // namespace
}  // namespace orthant::benchmarks

int main(int argc, char** argv) {
  return orthant::benchmarks::run(argc, argv, orthant::benchmarks::bench);
}
