#include "sae/training/latent_optimizer.h"

#include <algorithm>
#include <cmath>

namespace orthant::sae {
namespace {

Tensor<float, 2> zeroed(Memory& memory, std::string_view segment, int64_t rows, int64_t columns) {
  Tensor<float, 2> tensor(memory, segment, {rows, columns});
  tensor.zero();
  return tensor;
}

Tensor<float, 1> zeroed(Memory& memory, std::string_view segment, int64_t elements) {
  Tensor<float, 1> tensor(memory, segment, {elements});
  tensor.zero();
  return tensor;
}

Share owned_share(int64_t local_latents, int64_t padded, int replica) {
  const int64_t first = std::min(local_latents, replica * padded);
  return {first, std::min(padded, local_latents - first)};
}

}  // namespace

SecondMoment::SecondMoment(Memory& memory, Dtype stored, int64_t latents, int64_t d_model) : dtype(stored) {
  if (dtype == Dtype::kBF16) {
    bf16 = Tensor<uint16_t, 2>(memory, "adam", {latents, d_model});
    bf16.zero();
  } else {
    f32 = zeroed(memory, "adam", latents, d_model);
  }
}

kernels::SecondMoment SecondMoment::view() {
  if (dtype == Dtype::kBF16) return bf16.view();
  return f32.view();
}

LatentOptimizer::LatentOptimizer(Memory& memory, const Dictionary& dictionary, const Conventions& conventions,
                                 DataParallel way, bool keeps_gradients, bool updates, Communicator& replicas,
                                 ShardSum& shards)
    : has_bias_(dictionary.has_encoder_bias),
      updates_(updates),
      decoder_norm_(conventions.decoder_norm),
      max_grad_norm_(conventions.max_grad_norm),
      way_(way),
      replicas_(&replicas),
      shards_(&shards) {
  const int64_t local = dictionary.local_latents();
  const bool split = way == DataParallel::kGradients;
  padded_ = split ? (local + replicas.size() - 1) / replicas.size() : local;
  owned_ = split ? owned_share(local, padded_, replicas.rank()) : Share{0, updates ? local : 0};
  encoder_m_ = zeroed(memory, "adam", owned_.count, dictionary.d_model);
  encoder_v_ = SecondMoment(memory, conventions.second_moment, owned_.count, dictionary.d_model);
  decoder_m_ = zeroed(memory, "adam", owned_.count, dictionary.d_model);
  decoder_v_ = SecondMoment(memory, conventions.second_moment, owned_.count, dictionary.d_model);
  bias_m_ = zeroed(memory, "adam", owned_.count);
  bias_v_ = zeroed(memory, "adam", owned_.count);
  decoder_bias_m_ = zeroed(memory, "adam", dictionary.d_model);
  decoder_bias_v_ = zeroed(memory, "adam", dictionary.d_model);
  const int64_t gradient_rows = split || keeps_gradients ? padded_ * (split ? replicas.size() : 1) : 0;
  encoder_gradient_ = zeroed(memory, "gradients", gradient_rows, dictionary.d_model);
  decoder_gradient_ = zeroed(memory, "gradients", gradient_rows, dictionary.d_model);
  bias_gradient_ = zeroed(memory, "gradients", gradient_rows);
  squared_norms_ = Tensor<double, 1>(memory, "gradients", {local});
  squared_norms_.zero();
  bias_gradient_on_host_ = HostCopy(memory.working_device(), decoder_bias_m_.view().bytes());
  if (!split) return;
  for (int q = 0; q < replicas.size(); ++q) {
    owned_rows_.push_back(owned_share(local, padded_, q).count);
    owned_elements_.push_back(owned_rows_.back() * dictionary.d_model);
  }
}

kernels::LatentSlice LatentOptimizer::owned(Dictionary& dictionary) {
  return {
      .encoder = dictionary.encoder.view().rows(owned_.first, owned_.count),
      .decoder = dictionary.decoder.view().rows(owned_.first, owned_.count),
      .bias = has_bias_ ? dictionary.encoder_bias.view().rows(owned_.first, owned_.count) : Vector<float>{},
      .encoder_m = encoder_m_.view(),
      .encoder_v = encoder_v_.view(),
      .decoder_m = decoder_m_.view(),
      .decoder_v = decoder_v_.view(),
      .bias_m = has_bias_ ? bias_m_.view() : Vector<float>{},
      .bias_v = has_bias_ ? bias_v_.view() : Vector<float>{},
      .first_latent = dictionary.slice.first + owned_.first};
}

double LatentOptimizer::clip(double latent_squares, Vector<const float> decoder_bias_gradient,
                             kernels::LatentStepArgs& args, Stream& stream) {
  double squares = latent_squares;
  for (const float g : bias_gradient_on_host_.of(decoder_bias_gradient, stream).span())
    squares += static_cast<double>(g) * g;
  const double norm = std::sqrt(squares);
  args.gradient_scale = static_cast<float>(std::min(1.0, max_grad_norm_ / (norm + 1e-6)));
  return norm;
}

double LatentOptimizer::update(kernels::LatentStepArgs args, Vector<const float> decoder_bias_gradient,
                               Dictionary& dictionary, Stream& stream) {
  if (way_ == DataParallel::kGradients) {
    accumulate(args, true, stream);
    return update_accumulated(args, decoder_bias_gradient, dictionary, stream);
  }
  double norm = 0.0;
  if (max_grad_norm_ > 0.0 || !updates_) {
    kernels::latent_gradient_norms(args, dictionary.decoder.view(), has_bias_, squared_norms_.view(), stream);
    norm = clip(shards_->total(squared_norms_.view(), stream), decoder_bias_gradient, args, stream);
  }
  if (!updates_) return norm;
  kernels::latent_step(args, owned(dictionary), stream);
  kernels::adam_vector(args.adam, args.gradient_scale, decoder_bias_gradient, dictionary.decoder_bias.view(),
                       decoder_bias_m_.view(), decoder_bias_v_.view(), stream);
  return norm;
}

kernels::LatentGradients LatentOptimizer::gradients() {
  return {encoder_gradient_.view(), decoder_gradient_.view(),
          has_bias_ ? bias_gradient_.view() : Vector<float>{}};
}

void LatentOptimizer::accumulate(const kernels::LatentStepArgs& args, bool first, Stream& stream) {
  kernels::LatentGradients all = gradients();
  // Rows beyond the slice pad the exchange and stay zero.
  all.encoder.shape[0] = all.decoder.shape[0] = squared_norms_.shape()[0];
  if (has_bias_) all.bias.shape[0] = squared_norms_.shape()[0];
  kernels::accumulate_latent_gradients(args, !first, all, stream);
}

double LatentOptimizer::update_accumulated(kernels::LatentStepArgs args,
                                           Vector<const float> decoder_bias_gradient, Dictionary& dictionary,
                                           Stream& stream) {
  const int64_t d_model = dictionary.d_model;
  kernels::LatentGradients mine = gradients();
  const bool split = way_ == DataParallel::kGradients && replicas_->size() > 1;
  if (split) {
    const auto reduce = [&](float* all, int64_t width) {
      float* own = all + replicas_->rank() * padded_ * width;
      replicas_->reduce_scatter(all, own, padded_ * width, Dtype::kF32, ReduceOp::kSum, stream);
      return own;
    };
    mine.encoder.data = reduce(mine.encoder.data, d_model);
    mine.decoder.data = reduce(mine.decoder.data, d_model);
    if (has_bias_) mine.bias.data = reduce(mine.bias.data, 1);
  }
  mine.encoder.shape[0] = mine.decoder.shape[0] = owned_.count;
  if (has_bias_) mine.bias.shape[0] = owned_.count;
  if (args.decoder_penalty_gradient.shape[0] != 0) {
    args.decoder_penalty_gradient = args.decoder_penalty_gradient.rows(owned_.first, owned_.count);
  }
  const kernels::LatentSlice slice = owned(dictionary);
  kernels::finish_latent_gradients(args, slice.decoder, mine, stream);
  double norm = 0.0;
  if (max_grad_norm_ > 0.0) {
    kernels::stored_gradient_norms(mine, squared_norms_.view().rows(owned_.first, owned_.count), stream);
    double total = shards_->total(squared_norms_.view(), stream);
    if (split) replicas_->all_reduce(&total, 1, Dtype::kF64, ReduceOp::kSum, stream);
    norm = clip(total, decoder_bias_gradient, args, stream);
  }
  kernels::latent_step_from_gradients(args, mine, slice, stream);
  kernels::adam_vector(args.adam, args.gradient_scale, decoder_bias_gradient, dictionary.decoder_bias.view(),
                       decoder_bias_m_.view(), decoder_bias_v_.view(), stream);
  if (!split) return norm;
  replicas_->all_gather_uneven(slice.encoder.data, dictionary.encoder.data(), owned_elements_, Dtype::kF32,
                               stream);
  replicas_->all_gather_uneven(slice.decoder.data, dictionary.decoder.data(), owned_elements_, Dtype::kF32,
                               stream);
  if (has_bias_) {
    replicas_->all_gather_uneven(slice.bias.data, dictionary.encoder_bias.data(), owned_rows_, Dtype::kF32,
                                 stream);
  }
  return norm;
}

std::vector<TensorSlice> LatentOptimizer::state(const Dictionary& dictionary, bool writes_replicated) {
  const bool writes = way_ == DataParallel::kGradients || replicas_->rank() == 0;
  const int64_t first = dictionary.slice.first + owned_.first;
  const auto matrix = [&](const char* name, Dtype dtype, auto& tensor) {
    return TensorSlice{.name = name,
                       .dtype = dtype,
                       .shape = {dictionary.latents, dictionary.d_model},
                       .first_row = first,
                       .rows = owned_.count,
                       .data = tensor.data(),
                       .device = encoder_m_.view().device,
                       .writes = writes};
  };
  const auto vector = [&](const char* name, Tensor<float, 1>& tensor) {
    return TensorSlice{.name = name,
                       .shape = {dictionary.latents},
                       .first_row = first,
                       .rows = owned_.count,
                       .data = tensor.data(),
                       .device = tensor.view().device,
                       .writes = writes};
  };
  const auto replicated = [&](const char* name, Tensor<float, 1>& tensor) {
    return TensorSlice{.name = name,
                       .shape = {dictionary.d_model},
                       .rows = dictionary.d_model,
                       .data = tensor.data(),
                       .device = tensor.view().device,
                       .writes = writes_replicated};
  };
  return {matrix("adam.encoder_m", Dtype::kF32, encoder_m_),
          matrix("adam.encoder_v", encoder_v_.dtype, encoder_v_),
          matrix("adam.decoder_m", Dtype::kF32, decoder_m_),
          matrix("adam.decoder_v", decoder_v_.dtype, decoder_v_),
          vector("adam.encoder_bias_m", bias_m_),
          vector("adam.encoder_bias_v", bias_v_),
          replicated("adam.decoder_bias_m", decoder_bias_m_),
          replicated("adam.decoder_bias_v", decoder_bias_v_)};
}

}  // namespace orthant::sae
