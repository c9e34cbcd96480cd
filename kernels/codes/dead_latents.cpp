#include "kernels/codes/dead_latents.h"

#include "kernels/codes/statistics_cuda.h"

namespace orthant::kernels {

void age_latents(int64_t more, Vector<int32_t> fired, Vector<int64_t> tokens, Stream& stream) {
  require(fired.shape == tokens.shape, "marks and ages are [latents]");
  if (tokens.device.kind == DeviceKind::kCuda) return cuda::age_latents(more, fired, tokens, stream);
  for (int64_t i = 0; i < tokens.shape[0]; ++i) {
    tokens.data[i] = fired.data[i] != 0 ? 0 : tokens.data[i] + more;
    fired.data[i] = 0;
  }
}

int64_t dead_list_scratch(int64_t latents) {
  return (latents + cuda::kListedLatents - 1) / cuda::kListedLatents + 1;
}

int64_t list_dead(Vector<const int64_t> tokens, int64_t threshold, Vector<int32_t> list,
                  Vector<int64_t> scratch, Stream& stream) {
  require(list.shape[0] == tokens.shape[0], "the list of dead latents has room for all");
  require(scratch.shape[0] >= dead_list_scratch(tokens.shape[0]), "the list of dead latents has its scratch");
  if (tokens.device.kind == DeviceKind::kCuda) {
    return cuda::list_dead(tokens, threshold, list, scratch, stream);
  }
  int64_t count = 0;
  for (int64_t i = 0; i < tokens.shape[0]; ++i) {
    if (tokens.data[i] >= threshold) list.data[count++] = static_cast<int32_t>(i);
  }
  return count;
}

void gather_chosen(Vector<const int32_t> chosen, int64_t first_latent, Vector<const float> bias,
                   Vector<float> chosen_bias, Vector<int32_t> chosen_numbers, Stream& stream) {
  require(chosen_bias.shape == chosen.shape && chosen_numbers.shape == chosen.shape,
          "what is gathered has the shape of the chosen");
  if (chosen.device.kind == DeviceKind::kCuda) {
    return cuda::gather_chosen(chosen, first_latent, bias, chosen_bias, chosen_numbers, stream);
  }
  for (int64_t i = 0; i < chosen.shape[0]; ++i) {
    chosen_bias.data[i] = bias.data[chosen.data[i]];
    chosen_numbers.data[i] = static_cast<int32_t>(first_latent + chosen.data[i]);
  }
}

}  // namespace orthant::kernels
