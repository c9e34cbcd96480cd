#include "sae/diffing/crosscoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/core/error.h"
#include "sae/diffing/gathered.h"
#include "sae/diffing/latent_scaling.h"
#include "sae/measure/row_inference.h"

namespace orthant::sae {
namespace {

constexpr int64_t kBlockRows = 256;

struct Products {
  double squares_a = 0.0, squares_b = 0.0, product = 0.0;
};

// Of the decoder rows of one latent.
Products products_of(const Dictionary& d, int64_t local) {
  const float* const a = d.decoder.view().row(local);
  const float* const b = a + d.source_width();
  Products p;
  for (int64_t c = 0; c < d.source_width(); ++c) {
    p.squares_a += static_cast<double>(a[c]) * a[c];
    p.squares_b += static_cast<double>(b[c]) * b[c];
    p.product += static_cast<double>(a[c]) * b[c];
  }
  return p;
}

void refuse_other_sources(const Dictionary& dictionary) {
  if (dictionary.sources == 2) return;
  throw Error(ExitCode::kConfig,
              {.problem = dictionary.sources == 1
                              ? std::string("the dictionary is no crosscoder")
                              : fmt::format("the crosscoder is of {} sources", dictionary.sources),
               .why = "two sources are compared",
               .suggestion = "Train one on two stores: train --source.store=FIRST,SECOND "
                             "--sae.preset=crosscoder_batchtopk."});
}

// Errors and reconstructions of both sources in scaled units, of a block of rows.
class Targets {
 public:
  explicit Targets(const Dictionary& dictionary, Memory& memory)
      : dictionary_(dictionary),
        x_(memory, "measure", {kBlockRows, dictionary.d_model}),
        out_(memory, "measure", {kBlockRows, dictionary.d_model}) {
    for (Tensor<float, 2>& target : targets_) {
      target = Tensor<float, 2>(memory, "measure", {kBlockRows, dictionary.source_width()});
    }
  }
  [[nodiscard]] Matrix<float> input(int64_t rows) { return x_.view().rows(0, rows); }
  [[nodiscard]] Matrix<float> reconstruction(int64_t rows) { return out_.view().rows(0, rows); }

  // Of A and B the error, then the reconstruction.
  std::array<Matrix<const float>, 4> split(int64_t rows) {
    const int64_t width = dictionary_.source_width();
#pragma omp parallel for
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < dictionary_.d_model; ++c) {
        const double scale = dictionary_.scale_of_column(c);
        const double out = out_.view().row(r)[c];
        const auto source = static_cast<size_t>(c / width);
        targets_[source].view().row(r)[c % width] = static_cast<float>((x_.view().row(r)[c] - out) * scale);
        targets_[2 + source].view().row(r)[c % width] = static_cast<float>(out * scale);
      }
    }
    std::array<Matrix<const float>, 4> views;
    for (size_t t = 0; t < views.size(); ++t) views[t] = targets_[t].view().rows(0, rows);
    return views;
  }

 private:
  const Dictionary& dictionary_;
  Tensor<float, 2> x_, out_;                 // [kBlockRows, d_model]
  std::array<Tensor<float, 2>, 4> targets_;  // [kBlockRows, width of a source]
};

struct Owners {
  Tensor<float, 2> directions;  // [local_latents, width of a source]
  std::vector<bool> is_b;       // [local_latents] the source with the larger norm
  std::vector<double> share;    // [local_latents] <d_owner, d_other> / |d_owner|^2
};

Owners owners_of(const Dictionary& d, Memory& memory) {
  const int64_t width = d.source_width();
  Owners owners{Tensor<float, 2>(memory, "measure", {d.local_latents(), width}), {}, {}};
  for (int64_t i = 0; i < d.local_latents(); ++i) {
    const Products p = products_of(d, i);
    const bool is_b = p.squares_b > p.squares_a;
    const float* const row = d.decoder.view().row(i) + (is_b ? width : 0);
    std::copy_n(row, width, owners.directions.view().row(i));
    const double own = std::max(p.squares_a, p.squares_b);
    owners.is_b.push_back(is_b);
    owners.share.push_back(own > 0.0 ? p.product / own : 0.0);
  }
  return owners;
}

float ratio(double other, double owner) {
  return owner != 0.0 ? static_cast<float>(other / owner) : 0.0f;
}

}  // namespace

DecoderSources decoder_sources(const Dictionary& dictionary, Communicator& shards) {
  refuse_other_sources(dictionary);
  DecoderSources own;
  for (int64_t i = 0; i < dictionary.local_latents(); ++i) {
    const Products p = products_of(dictionary, i);
    const double a = std::sqrt(p.squares_a), b = std::sqrt(p.squares_b);
    own.norm_a.push_back(static_cast<float>(a));
    own.norm_b.push_back(static_cast<float>(b));
    own.relative_norm.push_back(a + b > 0.0 ? static_cast<float>(b / (a + b)) : 0.5f);
    own.cosine.push_back(a * b > 0.0 ? static_cast<float>(p.product / (a * b)) : 0.0f);
  }
  for (std::vector<float>* values : {&own.norm_a, &own.norm_b, &own.relative_norm, &own.cosine}) {
    *values = gathered(*values, Dtype::kF32, dictionary, shards);
  }
  return own;
}

CrosscoderScaling crosscoder_scaling(const Dictionary& dictionary, ActivationSource& source, Split split,
                                     int64_t rows, World& world) {
  Communicator& shards = *world.data;
  refuse_other_sources(dictionary);
  require(source.d_model() == dictionary.d_model, "the source gives what the crosscoder was trained on");
  const int64_t available = source.rows(split);
  if (rows == 0 || rows > available) rows = available;
  Memory memory;
  const Owners owners = owners_of(dictionary, memory);
  Targets targets(dictionary, memory);
  RowInference inference(dictionary, kBlockRows, shards, 0);
  LatentScaling scaling(owners.directions.view(), dictionary.slice.first, 4, memory);
  for (int64_t first = 0; first < rows; first += kBlockRows) {
    const int64_t count = std::min(kBlockRows, rows - first);
    agree(*world.control, "read activations",
          [&] { source.read(split, first, targets.input(count), nullptr); });
    const kernels::CodesView codes = inference.encode(targets.input(count));
    inference.decode(targets.reconstruction(count));
    scaling.add(codes, targets.split(count));
  }

  CrosscoderScaling own;
  own.rows = rows;
  for (int64_t i = 0; i < dictionary.local_latents(); ++i) {
    const auto at = static_cast<size_t>(i);
    const bool is_b = owners.is_b[at];
    // The part of the latent's own contribution that its error lacks.
    const double error_a = scaling.beta(i, 0, is_b ? owners.share[at] : 1.0);
    const double error_b = scaling.beta(i, 1, is_b ? 1.0 : owners.share[at]);
    const double out_a = scaling.beta(i, 2), out_b = scaling.beta(i, 3);
    own.firings.push_back(scaling.firings(i));
    own.error_beta_a.push_back(static_cast<float>(error_a));
    own.error_beta_b.push_back(static_cast<float>(error_b));
    own.reconstruction_beta_a.push_back(static_cast<float>(out_a));
    own.reconstruction_beta_b.push_back(static_cast<float>(out_b));
    own.error_ratio.push_back(is_b ? ratio(error_a, error_b) : ratio(error_b, error_a));
    own.reconstruction_ratio.push_back(is_b ? ratio(out_a, out_b) : ratio(out_b, out_a));
  }
  own.firings = gathered(own.firings, Dtype::kI64, dictionary, shards);
  for (std::vector<float>* values :
       {&own.error_beta_a, &own.error_beta_b, &own.reconstruction_beta_a, &own.reconstruction_beta_b,
        &own.error_ratio, &own.reconstruction_ratio}) {
    *values = gathered(*values, Dtype::kF32, dictionary, shards);
  }
  return own;
}

}  // namespace orthant::sae
