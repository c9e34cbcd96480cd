// `orthant score` on real models against a slow implementation in double: a random ReLU dictionary, GSM8K's
// questions, words of several tokens, windows that overlap, rows that end within words.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "launch/source/open_source.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/comm/self.h"
#include "runtime/core/rng.h"
#include "runtime/storage/safetensors.h"
#include "sae/dictionary/dictionary_file.h"
#include "tests/support/program.h"
#include "tests/support/shared_files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_model.h"

namespace orthant {
namespace {

constexpr const char* kText = "data/gsm8k/test.jsonl";
constexpr int64_t kLatents = 300;
constexpr int kContext = 61;
constexpr int64_t kTokens = 700;
constexpr int64_t kLeft = 2;
constexpr int64_t kRight = 3;
const std::vector<std::vector<std::string>> kWords = {{" how", " How", "How"},
                                                      {" how many", " How many", "How many"},
                                                      {" does", " dollars"},
                                                      {" twice as", " half"}};

// Activations of the hook in text order, with their labels.
struct Rows {
  int64_t width = 0;
  std::vector<float> values;  // [rows, width]
  RowLabels labels;
};

Rows read_rows(const std::string& model, const std::string& hook, const std::string& text) {
  Source config;
  config.set_model(model);
  config.set_text(text);
  config.set_text_field("question");
  config.set_hook(hook);
  config.set_context(kContext);
  config.set_tokens(kTokens);
  config.set_bos(true);
  config.set_shuffle(false);
  config.set_holdout(0.0);
  config.mutable_exclude()->add_positions(-1);
  config.mutable_exclude()->set_norm_ratio(0.0);
  World world = make_self_world();
  Memory memory;
  Log log(0, LogLevel::kOff);
  const auto source = launch::open_source(config, 0, world, memory, memory, log);
  const int64_t count = source->rows(Split::kTrain);
  Rows rows{.width = source->d_model(), .values = {}, .labels = {}};
  rows.values.resize(static_cast<size_t>(count * rows.width));
  source->read(Split::kTrain, 0, {rows.values.data(), {count, rows.width}, kCpu}, &rows.labels);
  return rows;
}

// The scale of biases is that of the activations, so that about every tenth latent fires.
sae::Dictionary random_relu(const Rows& rows, Memory& memory) {
  double squares = 0.0;
  int64_t counted = 0;
  for (size_t r = 0; r < rows.labels.positions.size(); ++r) {
    if (rows.labels.positions[r] == 0) continue;
    ++counted;
    for (int64_t c = 0; c < rows.width; ++c) {
      const double value = rows.values[r * static_cast<size_t>(rows.width) + static_cast<size_t>(c)];
      squares += value * value;
    }
  }
  const double norm = std::sqrt(squares / static_cast<double>(counted));
  const double width = std::sqrt(static_cast<double>(rows.width));
  sae::Conventions conventions;
  conventions.architecture = sae::Architecture::kStandard;
  conventions.encoder_bias = true;
  conventions.latents = kLatents;
  sae::Dictionary d = sae::allocate_dictionary(conventions, rows.width, {0, kLatents}, memory);
  const auto fill = [](std::span<float> values, uint32_t stream, double mean, double deviation) {
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(mean + deviation * random_normal(7, Purpose::kTest, stream, i));
    }
  };
  fill(d.encoder.view().span(), 1, 0.0, 1.0 / width);
  fill(d.decoder.view().span(), 2, 0.02, 0.5 / width);
  for (int64_t i = 0; i < kLatents; ++i) {  // norms of rows differ
    for (int64_t c = 0; c < rows.width; ++c)
      d.decoder.view().row(i)[c] *= 0.2f + 0.01f * static_cast<float>(i);
  }
  fill(d.encoder_bias.view().span(), 3, -1.3 * norm / width, 0.2 * norm / width);
  fill(d.decoder_bias.view().span(), 4, 0.0, 0.1 * norm / width);
  return d;
}

// Which of the words' windows and the two others each row lies in, by the definition: [kWords + 2][rows].
std::vector<std::vector<bool>> windows_of(const Rows& rows, const models::Tokenizer& tokenizer) {
  const auto& ids = rows.labels.token_ids;
  const auto count = static_cast<int64_t>(ids.size());
  std::vector<int64_t> sequence;  // number of each row's sequence
  for (int64_t r = 0; r < count; ++r) {
    const bool begins = rows.labels.positions[static_cast<size_t>(r)] == 0;
    sequence.push_back((sequence.empty() ? -1 : sequence.back()) + (begins ? 1 : 0));
  }
  const auto is_special = [&](int64_t r) {
    const int32_t id = ids[static_cast<size_t>(r)];
    return id == tokenizer.bos() || id == tokenizer.eos();
  };
  std::vector<std::vector<bool>> windows(kWords.size() + 2, std::vector<bool>(ids.size(), false));
  for (size_t g = 0; g < kWords.size(); ++g) {
    for (const std::string& form : kWords[g]) {
      const std::vector<int32_t> tokens = tokenizer.encode(form);
      const auto length = static_cast<int64_t>(tokens.size());
      for (int64_t at = 0; at + length <= count; ++at) {
        bool occurs = true;
        for (int64_t i = 0; i < length; ++i) {
          occurs = occurs && ids[static_cast<size_t>(at + i)] == tokens[static_cast<size_t>(i)] &&
                   sequence[static_cast<size_t>(at + i)] == sequence[static_cast<size_t>(at)];
        }
        for (int64_t t = at - kLeft; occurs && t < at + length + kRight; ++t) {
          if (t < 0 || t >= count || is_special(t)) continue;
          if (sequence[static_cast<size_t>(t)] == sequence[static_cast<size_t>(at)]) {
            windows[g][static_cast<size_t>(t)] = true;
          }
        }
      }
    }
  }
  for (int64_t r = 0; r < count; ++r) {
    bool near = false;
    for (size_t g = 0; g < kWords.size(); ++g) near = near || windows[g][static_cast<size_t>(r)];
    windows[kWords.size()][static_cast<size_t>(r)] = near;
    windows[kWords.size() + 1][static_cast<size_t>(r)] = !near && !is_special(r);
  }
  return windows;
}

struct Expected {
  std::vector<double> near, far, entropy, score;  // [latents] near and far: shares of all latents' means
  std::vector<int64_t> counts;
};

Expected slow_scores(const Rows& rows, const sae::Dictionary& d, const models::Tokenizer& tokenizer) {
  const std::vector<std::vector<bool>> windows = windows_of(rows, tokenizer);
  const size_t groups = kWords.size();
  std::vector<std::vector<double>> means(windows.size(), std::vector<double>(kLatents, 0.0));
  Expected expected;
  for (const auto& window : windows) {
    expected.counts.push_back(std::count(window.begin(), window.end(), true));
  }
  for (size_t r = 0; r < rows.labels.token_ids.size(); ++r) {
    for (int64_t i = 0; i < kLatents; ++i) {
      double activation = d.encoder_bias.data()[i], norm = 0.0;
      for (int64_t c = 0; c < rows.width; ++c) {
        const double x = rows.values[r * static_cast<size_t>(rows.width) + static_cast<size_t>(c)];
        activation += (x - d.decoder_bias.data()[c]) * d.encoder.view().row(i)[c];
        norm += static_cast<double>(d.decoder.view().row(i)[c]) * d.decoder.view().row(i)[c];
      }
      if (activation <= 0.0) continue;
      for (size_t g = 0; g < windows.size(); ++g) {
        if (windows[g][r]) means[g][static_cast<size_t>(i)] += activation * std::sqrt(norm);
      }
    }
  }
  for (size_t g = 0; g < windows.size(); ++g) {
    for (double& mean : means[g]) mean /= static_cast<double>(std::max<int64_t>(expected.counts[g], 1));
  }
  const auto shares = [&](const std::vector<double>& of) {
    double total = 1e-12;
    for (const double mean : of) total += mean;
    std::vector<double> found = of;
    for (double& share : found) share /= total;
    return found;
  };
  expected.near = shares(means[groups]);
  expected.far = shares(means[groups + 1]);
  for (size_t i = 0; i < kLatents; ++i) {
    double total = 1e-12, entropy = 0.0;
    for (size_t g = 0; g < groups; ++g) total += means[g][i];
    for (size_t g = 0; g < groups; ++g) {
      const double p = means[g][i] / total;
      if (p > 0.0) entropy -= p * std::log(p);
    }
    expected.entropy.push_back(std::max(0.0, entropy / std::log(static_cast<double>(groups))));
    expected.score.push_back(expected.near[i] * std::pow(expected.entropy[i], 0.7) - expected.far[i]);
  }
  return expected;
}

std::vector<double> read_f64(const SafetensorsReader& file, const char* name) {
  const std::span<const std::byte> bytes = file.data(file.entry(name));
  std::vector<double> values(bytes.size() / sizeof(double));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

void expect_equal_to_the_slow_way(const std::string& model, const std::string& hook) {
  const testing::TempDir dir;
  const std::string text = (testing::shared_folder() / kText).string();
  const Rows rows = read_rows(model, hook, text);
  Memory memory;
  Stream stream;
  const sae::Dictionary d = random_relu(rows, memory);
  const auto self = make_self_communicator();
  sae::write_dictionary_file(d, {}, dir.file("sae.safetensors"), *self, true, stream);
  std::ofstream vocabulary(dir.file("words.textproto"));
  for (const std::vector<std::string>& word : kWords) {
    vocabulary << "group { name: \"" << word[0] << '"';
    for (const std::string& form : word) vocabulary << " form: \"" << form << '"';
    vocabulary << " }\n";
  }
  vocabulary.close();
  const auto tokenizer = models::open_tokenizer(model);
  const Expected expected = slow_scores(rows, d, *tokenizer);
  // A word may be absent from the text: its mean is 0.
  EXPECT_GT(std::count_if(expected.counts.begin(), expected.counts.end(), [](int64_t n) { return n > 0; }),
            3);
  bool has_long_form = false;
  for (const std::string& form : kWords[1]) has_long_form |= tokenizer->encode(form).size() > 1;
  EXPECT_TRUE(has_long_form);
  for (const char* const selection : {"reason", "difference"}) {
    const std::string command = fmt::format(
        "{} score --model={} --text={} --text_field=question --hook={} --sae={} --vocabulary={} --context={} "
        "--tokens={} --bos --selection={} --block_tokens=300 --top=20 --progress=none --contexts.latents=0 "
        "--out={}",
        ORTHANT_PROGRAM, model, text, hook, dir.file("sae.safetensors"), dir.file("words.textproto"),
        kContext, kTokens, selection, dir.file(selection));
    const testing::Outcome outcome = testing::run_command(command);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const SafetensorsReader file(dir.file(std::string(selection) + "/scores.safetensors"));
    EXPECT_EQ(file.read_integers(file.entry("counts")), expected.counts);
    const std::vector<double> scores = read_f64(file, "scores"), entropy = read_f64(file, "entropy");
    const bool is_reason = std::string(selection) == "reason";
    for (size_t i = 0; i < kLatents; ++i) {
      // Of what the score is the difference of; of the mean share where a latent hardly fires, and then by
      // little more than the f32 product rounds.
      const double scale = expected.near[i] + expected.far[i] + 1.0 / kLatents;
      const double wanted = is_reason ? expected.score[i] : expected.near[i] - expected.far[i];
      EXPECT_NEAR(scores[i], wanted, 1e-6 * scale) << selection << " of latent " << i;
      if (expected.near[i] > 0.0) {
        EXPECT_NEAR(entropy[i], expected.entropy[i], 1e-6 * scale / expected.near[i]) << "of latent " << i;
      }
    }
  }
}

TEST(ScoreReference, EqualOnStories260K) {
  ORTHANT_NEEDS_SHARED("data/models/stories260K/stories260K.bin");
  ORTHANT_NEEDS_SHARED(kText);
  expect_equal_to_the_slow_way(
      (testing::shared_folder() / "data/models/stories260K/stories260K.bin").string(),
      "blocks.2.hook_resid_post");
}

TEST(ScoreReference, EqualOnTheTestModel) {
  ORTHANT_NEEDS_TEST_MODEL();
  ORTHANT_NEEDS_SHARED(kText);
  expect_equal_to_the_slow_way(testing::test_model(), "blocks.15.hook_resid_post");
}

}  // namespace
}  // namespace orthant
