#include "models/transformer/live_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "kernels/isa/vector.h"
#include "models/transformer/forward.h"
#include "models/transformer/harvest.h"
#include "runtime/core/error.h"
#include "runtime/storage/stored_rows.h"

namespace orthant::models {
namespace {

constexpr int64_t kForwardTokens = 4096;

// The labels of a text as select_rows() reads them; norms are not known yet and never reached.
class TextLabels : public StoredRows {
 public:
  TextLabels(const TokenRows& text, int64_t d_model) : text_(text), d_model_(d_model) {}
  [[nodiscard]] int64_t rows() const override { return text_.tokens(); }
  [[nodiscard]] int64_t d_model() const override { return d_model_; }
  [[nodiscard]] Dtype dtype() const override { return Dtype::kF32; }
  [[nodiscard]] int64_t block_rows() const override { return LiveSource::kBlockTokens; }
  [[nodiscard]] bool labelled() const override { return true; }
  void read_stored(int64_t, int64_t, std::byte*, std::vector<std::byte>&) const override {
    require(false, "labels have no activations");
  }
  void read_labels(int64_t first, int64_t count, LabelledNorms& into) const override {
    for (int64_t token = first; token < first + count; ++token) {
      append_label(text_, token, into.labels);
      into.norms.push_back(0.0f);
    }
  }
  [[nodiscard]] std::string identity() const override { return text_.identity(); }
  static void append_label(const TokenRows& text, int64_t token, RowLabels& labels) {
    labels.token_ids.push_back(text.token_ids()[static_cast<size_t>(token)]);
    labels.positions.push_back(static_cast<int32_t>(token - text.first_token(text.row_of(token))));
    labels.documents.push_back(text.document_of(token));
  }

 private:
  const TokenRows& text_;
  int64_t d_model_;
};

RowSelection select(const TokenRows& text, int64_t d_model, RowFilter filter, Memory& memory) {
  filter.norm_ratio = 0;
  return select_rows(TextLabels(text, d_model), filter, memory);
}

RunLimits limits_of(int64_t longest_row, int64_t text_tokens) {
  const int64_t tokens = std::max(longest_row, std::min(kForwardTokens, text_tokens));
  return {.tokens = tokens, .sequences = tokens, .positions = longest_row};
}

void require_all_given(const Source& config) {
  if (!config.model().empty() && !config.text().empty() && !config.hook().empty()) return;
  throw Error(ExitCode::kConfig, {.problem = "a live model needs source.model, source.text and source.hook",
                                  .why = "not all three are given",
                                  .suggestion = "give the missing ones"});
}

std::string precision_text(kernels::Precision precision) {
  return precision == kernels::Precision::kF32 ? "" : fmt::format(" in {}", kernels::name_of(precision));
}

std::string identity_text(const LanguageModel& model, const TokenRows& text, HookPoint hook,
                          const LiveSourceOptions& options, double median_norm) {
  const RowFilter& filter = options.filter;
  return fmt::format(
      "model {}{}, text {}, hook {}, without tokens [{}], positions [{}], norms over {} times {:.9g}, "
      "holdout "
      "{}, {}",
      model.identity, precision_text(model.weights.precision), text.identity(), to_string(hook),
      fmt::join(filter.token_ids, ","), fmt::join(filter.positions, ","), filter.norm_ratio, median_norm,
      filter.holdout,
      options.shuffle
          ? fmt::format("shuffled by seed {} in windows of {} rows", options.seed, options.window_rows)
          : "in text order");
}

double norm_of(const float* row, int64_t width) {
  return std::sqrt(static_cast<double>(kernels::vector_ops().squared_norm(row, width)));
}

}  // namespace

LiveSource::LiveSource(LanguageModel model, TokenRows text, HookPoint hook, LiveSourceOptions options,
                       Memory& memory, Memory& model_memory)
    : model_(std::move(model)),
      text_(std::move(text)),
      hook_(hook),
      options_(std::move(options)),
      stream_(model_memory.device()),
      state_(model_memory, model_.weights, limits_of(text_.longest_row(), text_.tokens())),
      tapped_(model_memory, "taps", {state_.limits.tokens, d_model()}),
      host_rows_(model_memory.device(), tapped_.view().bytes()),
      selection_(select(text_, d_model(), options_.filter, memory)),
      train_order_(selection_.train.counts(kBlockTokens), options_.window_rows, options_.shuffle,
                   options_.seed),
      holdout_order_(selection_.holdout.counts(kBlockTokens), options_.window_rows, false, options_.seed),
      too_large_(text_.tokens(), memory),
      window_rows_(
          memory, "source window",
          {std::max(train_order_.largest_window_rows(), holdout_order_.largest_window_rows()), d_model()}) {
  if (options_.filter.norm_ratio > 0) measure_median();
  identity_ = identity_text(model_, text_, hook_, options_, median_norm_);
}

int64_t LiveSource::rows(Split split) const {
  return order_of(split).rows();
}

const SampleOrder& LiveSource::order_of(Split split) const {
  return split == Split::kTrain ? train_order_ : holdout_order_;
}

const RowSet& LiveSource::set_of(Split split) const {
  return split == Split::kTrain ? selection_.train : selection_.holdout;
}

ExcludedRows LiveSource::excluded() const {
  ExcludedRows excluded = selection_.excluded;
  excluded.norm_ratio = too_large_count_;
  return excluded;
}

template <typename Take>
void LiveSource::run_tokens(int64_t first, int64_t end, Take take) {
  int64_t row = text_.row_of(first);
  while (row < text_.rows() && text_.first_token(row) < end) {
    const int64_t begin = text_.first_token(row);
    std::vector<int64_t> offsets = {0};
    for (; row < text_.rows() && text_.first_token(row) < end; ++row) {
      if (text_.first_token(row + 1) - begin > state_.limits.tokens) break;
      offsets.push_back(text_.first_token(row + 1) - begin);
    }
    const int64_t tokens = offsets.back();
    const Tap tap{hook_, tapped_.view().rows(0, tokens)};
    const auto ids = text_.token_ids().subspan(static_cast<size_t>(begin), static_cast<size_t>(tokens));
    model_tokens_ += tokens;
    (void)forward(model_.weights, {.batch = {ids, offsets}, .taps = {&tap, 1}}, state_, stream_);
    const Matrix<const float> rows = host_rows_.of(tap.into, stream_);
    for (int64_t token = std::max(begin, first); token < std::min(begin + tokens, end); ++token) {
      take(token, rows.row(token - begin));
    }
  }
}

void LiveSource::measure_median() {
  std::vector<float> norms;
  run_tokens(0, std::min(kMedianTokens, text_.tokens()), [&](int64_t, const float* row) {
    norms.push_back(static_cast<float>(norm_of(row, d_model())));
  });
  median_norm_ = static_cast<double>(median_of(std::move(norms)));
}

void LiveSource::append_block(const RowSet& set, int64_t block) {
  const int64_t first = block * kBlockTokens;
  run_tokens(first, std::min(first + kBlockTokens, text_.tokens()), [&](int64_t token, const float* row) {
    if (!set.contains(token)) return;
    std::copy_n(row, d_model(), window_rows_.view().row(static_cast<int64_t>(window_.tokens.size())));
    window_.tokens.push_back(token);
  });
}

void LiveSource::load_window(Split split, const std::shared_ptr<const PassLayout>& layout, int64_t index) {
  window_ = {split, index, layout, {}, {}, std::nullopt};
  const auto window = static_cast<size_t>(index);
  for (int64_t b = layout->first_blocks[window]; b < layout->first_blocks[window + 1]; ++b) {
    append_block(set_of(split), layout->blocks[static_cast<size_t>(b)]);
  }
  require(static_cast<int64_t>(window_.tokens.size()) == layout->rows_of(index), "a window holds its rows");
  if (order_of(split).shuffles()) window_.order = order_of(split).permutation(*layout, index);
  replace_large_rows();
}

void LiveSource::replace_large_rows() {
  const auto count = static_cast<int64_t>(window_.tokens.size());
  const double limit = options_.filter.norm_ratio * median_norm_;
  std::vector<bool> kept(static_cast<size_t>(count), true);
  for (int64_t row = 0; row < count && options_.filter.norm_ratio > 0; ++row) {
    if (norm_of(window_rows_.view().row(row), d_model()) <= limit) continue;  // false for NaN
    const int64_t token = window_.tokens[static_cast<size_t>(row)];
    kept[static_cast<size_t>(row)] = false;
    if (!too_large_.contains(token)) ++too_large_count_;
    too_large_.insert(token);
  }
  window_.source.assign(static_cast<size_t>(count), -1);
  int64_t next = -1;
  // Twice around, backwards: the first time finds a row to begin with.
  for (int64_t step = 2 * count - 1; step >= 0; --step) {
    const int64_t row = step % count;
    if (kept[static_cast<size_t>(row)]) next = row;
    window_.source[static_cast<size_t>(row)] = next;
  }
  if (count > 0 && next < 0) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("no row of a window of {} is left", count),
                                    .why = fmt::format("every norm is more than {} times the median {:.4g}",
                                                       options_.filter.norm_ratio, median_norm_),
                                    .suggestion = "use a larger --source.exclude.norm_ratio, or 0"});
  }
}

void LiveSource::read(Split split, int64_t first, Matrix<float> into, RowLabels* labels) {
  const SampleOrder& order = order_of(split);
  require(into.shape[0] == 0 || order.rows() > 0, "the split has rows");
  require(split == Split::kTrain || first + into.shape[0] <= order.rows(),
          "held-out samples end with the split");
  if (labels != nullptr) *labels = {};
  if (gives_text(split) && first + into.shape[0] <= order.rows()) {
    run_tokens(first, first + into.shape[0], [&](int64_t token, const float* row) {
      std::copy_n(row, d_model(), into.row(token - first));
      if (labels != nullptr) TextLabels::append_label(text_, token, *labels);
    });
    return;
  }
  for (int64_t i = 0; i < into.shape[0]; ++i) {
    const int64_t pass = (first + i) / order.rows();
    const int64_t index = (first + i) % order.rows();
    const bool same_pass =
        window_.layout != nullptr && window_.split == split && window_.layout->pass == pass;
    const auto layout = same_pass ? window_.layout : std::make_shared<const PassLayout>(order.layout(pass));
    const int64_t window = layout->window_of(index);
    if (!same_pass || window_.index != window) load_window(split, layout, window);
    const int64_t place = index - layout->first_rows[static_cast<size_t>(window)];
    const int64_t row = window_.source[static_cast<size_t>(window_.order ? (*window_.order)(place) : place)];
    std::copy_n(window_rows_.view().row(row), d_model(), into.row(i));
    if (labels != nullptr) TextLabels::append_label(text_, window_.tokens[static_cast<size_t>(row)], *labels);
  }
}

bool LiveSource::gives_text(Split split) const {
  return !order_of(split).shuffles() && order_of(split).rows() == text_.tokens() &&
         options_.filter.norm_ratio == 0;
}

void LiveSource::read_labels(Split split, int64_t first, int64_t count, RowLabels& labels) {
  const SampleOrder& order = order_of(split);
  require(!order.shuffles() && first >= 0 && first + count <= order.rows(), "labels are read in text order");
  labels = {};
  const RowSet& drawn = set_of(split);
  int64_t sample = gives_text(split) ? first : 0;
  for (int64_t token = sample; sample < first + count; ++token) {
    if (!drawn.contains(token)) continue;
    if (sample >= first) TextLabels::append_label(text_, token, labels);
    ++sample;
  }
}

int64_t count_live_source(const Source& config, Memory& memory, Memory& model_memory,
                          kernels::Precision precision) {
  require_all_given(config);
  Stream stream;
  const std::unique_ptr<ModelFile> file = open_model_file(config.model());
  const HookPoint hook = parse_hook(config.hook(), file->config().layers);
  const Weights weights = load_weights(*file, blocks_needed({&hook, 1}), model_memory, stream, precision);
  const RunState state(model_memory, weights, limits_of(config.context(), kForwardTokens));
  const int64_t d_model = weights.config.d_model;
  const Tensor<float, 2> tapped(model_memory, "taps", {state.limits.tokens, d_model});
  const Tensor<float, 2> window(memory, "source window", {LiveSourceOptions{}.window_rows, d_model});
  return d_model;
}

std::unique_ptr<ActivationSource> open_live_source(const Source& config, uint64_t seed, Memory& memory,
                                                   Memory& model_memory, Log& log,
                                                   kernels::Precision precision) {
  require_all_given(config);
  const std::unique_ptr<Tokenizer> tokenizer = open_tokenizer(config.model());
  TokenRows text(
      {.path = config.text(),
       .field = config.text_field(),
       .split = text_split_from_name(config.text_split())},
      {.context = config.context(), .tokens = config.tokens(), .bos = config.bos(), .pack = config.pack()},
      tokenizer.get());
  warn_of_invalid_utf8(log, config.text(), text.counts().invalid_utf8);
  return open_live_source(config, std::move(text), seed, memory, model_memory, precision);
}

std::unique_ptr<ActivationSource> open_live_source(const Source& config, TokenRows text, uint64_t seed,
                                                   Memory& memory, Memory& model_memory,
                                                   kernels::Precision precision) {
  require_all_given(config);
  Stream stream(model_memory.device());
  const HookPoint hook = parse_hook(config.hook(), open_model_file(config.model())->config().layers);
  LanguageModel model =
      open_language_model(config.model(), "", blocks_needed({&hook, 1}), model_memory, stream, precision);
  check_rows(text, config.text(), model.weights.config.context_length);
  LiveSourceOptions options{.filter = {}, .shuffle = config.shuffle(), .seed = seed};
  options.filter.token_ids = {config.exclude().token_ids().begin(), config.exclude().token_ids().end()};
  options.filter.positions = {config.exclude().positions().begin(), config.exclude().positions().end()};
  if (options.filter.positions.empty()) options.filter.positions = {0};
  options.filter.norm_ratio = config.exclude().norm_ratio();
  options.filter.holdout = config.holdout();
  return std::make_unique<LiveSource>(std::move(model), std::move(text), hook, options, memory, model_memory);
}

}  // namespace orthant::models
