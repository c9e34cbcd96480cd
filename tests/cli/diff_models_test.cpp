// `orthant diff kl|activation|pca|match` over language models from outside: any number of ranks, kills, what
// is refused. On tiny models of letters.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "runtime/comm/self.h"
#include "runtime/storage/safetensors.h"
#include "sae/dictionary/dictionary_file.h"
#include "tests/support/program.h"
#include "tests/support/tiny_gguf.h"
#include "tests/support/zero_dictionary.h"

namespace orthant {
namespace {

namespace json = boost::json;

constexpr int64_t kWidth = 24;  // of the tiny model

// The tiny model with its weights times `factor`, and `layers` blocks.
void write_model(const std::string& path, float factor, int64_t layers = 2) {
  models::ModelConfig config = testing::tiny_config();
  config.layers = layers;
  testing::TinyWeights weights = testing::tiny_weights(config);
  for (auto& [name, tensor] : weights) {
    if (name.find("mlp") == std::string::npos) continue;
    for (float& value : tensor.values) value *= factor;
  }
  testing::GgufBuilder builder = testing::gguf_metadata(config);
  testing::add_gguf_letters(builder);
  testing::add_gguf_weights(builder, config, weights);
  builder.write(path);
}

// Latents of one coordinate each, in the order of `from`.
void write_dictionary(const std::string& path, const std::vector<int64_t>& from,
                      const std::map<std::string, std::string>& metadata = {}) {
  Memory memory;
  Stream stream;
  sae::Conventions c;
  c.architecture = sae::Architecture::kStandard;
  c.latents = static_cast<int64_t>(from.size());
  sae::Dictionary d = testing::zero_dictionary(c, kWidth, {0, c.latents}, memory);
  for (int64_t i = 0; i < c.latents; ++i) {
    d.encoder.view().row(i)[from[static_cast<size_t>(i)]] = 1.0f;
    d.decoder.view().row(i)[from[static_cast<size_t>(i)]] = 1.0f;
  }
  const auto self = make_self_communicator();
  sae::write_dictionary_file(d, metadata, path, *self, true, stream);
}

class DiffModels : public ::testing::Test {
 protected:
  DiffModels() {
    write_model(file("a.gguf"), 1.0f);
    write_model(file("b.gguf"), 1.25f);
    std::ofstream text(file("text.jsonl"));
    for (int d = 0; d < 40; ++d) {
      std::string letters;
      for (int i = 0; i < 3 + d; ++i) letters += static_cast<char>('a' + (i * i + d * 3 + i * d) % 8);
      text << "{\"text\":\"" << letters << "\"}\n";
    }
  }
  [[nodiscard]] std::string file(const std::string& name) const { return dir_.file(name); }
  // Of two models over the text.
  [[nodiscard]] std::string pair(const std::string& verb, const std::string& more = "") const {
    return fmt::format(
        "diff {} --model={} --other_model={} --text={} --context=16 --block_tokens=60 --threads=1 "
        "--progress=none --json {}",
        verb, file("a.gguf"), file("b.gguf"), file("text.jsonl"), more);
  }
  // Without what differs from run to run.
  static json::object result_of(const testing::Outcome& outcome) {
    EXPECT_TRUE(testing::ended(outcome, 0));
    json::object result = outcome.code == 0 ? json::parse(outcome.out).as_object() : json::object{};
    result.erase("seconds");
    result.erase("tokens_per_second");
    return result;
  }
  void expect_same_on_any_ranks(const std::string& command) const {
    const json::object one = result_of(testing::run_orthant(command));
    for (const int ranks : {2, 3, 4}) {
      EXPECT_EQ(result_of(testing::run_orthant(command, fmt::format("mpirun -n {}", ranks))), one) << ranks;
    }
  }
  // Killed after some blocks on two ranks, and repeated on one and on three.
  void expect_same_after_kills(const std::string& command) const {
    const json::object whole = result_of(testing::run_orthant(command));
    const std::string with_out = command + " --checkpoint.every_steps=1 --out=" + file("killed");
    const auto killed = testing::run_command("ORTHANT_FAULT=diff.block:0:3:kill " +
                                             testing::orthant_command(with_out, "mpirun -n 2").substr(5));
    EXPECT_NE(killed.code, 0);
    EXPECT_FALSE(std::filesystem::exists(file("killed/result.json")));
    const auto again = testing::run_command("ORTHANT_FAULT=diff.block:0:2:kill " +
                                            testing::orthant_command(with_out, "mpirun -n 3").substr(5));
    EXPECT_NE(again.code, 0);
    EXPECT_EQ(result_of(testing::run_orthant(with_out)), whole);
    const auto run = json::parse(testing::content_of(file("killed/run.json"))).as_object();
    EXPECT_GT(run.at("attempts").as_array().back().at("start_block").as_int64(), 0) << "it went on";
  }
  testing::TempDir dir_;
};

TEST_F(DiffModels, KlIsTheSameOnAnyNumberOfRanks) {
  expect_same_on_any_ranks(pair("kl"));
}

TEST_F(DiffModels, KlGoesOnAfterBeingKilled) {
  expect_same_after_kills(pair("kl"));
}

TEST_F(DiffModels, KlTellsOfBothDirectionsAndWritesEveryToken) {
  const json::object found = result_of(testing::run_orthant(pair("kl", "--out=" + file("kl"))));
  const auto number = [&](const char* name) { return found.at(name).to_number<double>(); };
  EXPECT_GT(number("kl"), 0.0);
  EXPECT_GT(number("reverse_kl"), 0.0);
  EXPECT_GT(number("kl_stderr"), 0.0);
  EXPECT_NEAR(number("ce_difference"), number("other_ce") - number("ce"), 1e-9);
  EXPECT_EQ(found.at("documents").as_int64(), 40);
  EXPECT_EQ(found.at("largest").as_array().size(), 20u);
  // The mean of the written tokens is the mean told.
  const SafetensorsReader tokens(file("kl/tokens.safetensors"));
  const auto& entry = tokens.entry("divergences");
  std::vector<float> values(static_cast<size_t>(entry.elements()));
  tokens.read(entry, values);
  double sum = 0.0, count = 0.0;
  for (size_t i = 0; i < values.size(); i += 2) {
    if (std::isnan(values[i])) continue;
    sum += values[i];
    count += 1.0;
  }
  EXPECT_EQ(count, number("tokens"));
  EXPECT_NEAR(sum / count, number("kl"), 1e-6 * number("kl"));
  const std::string table =
      testing::run_orthant(fmt::format("diff kl --model={} --other_model={} --text={} --context=16",
                                       file("a.gguf"), file("b.gguf"), file("text.jsonl")))
          .out;
  EXPECT_NE(table.find("reverse_kl"), std::string::npos);
}

TEST_F(DiffModels, KlOfAModelFromItselfIsZero) {
  const json::object found = result_of(
      testing::run_orthant(fmt::format("diff kl --model={0} --other_model={0} --text={1} --context=16 --json",
                                       file("a.gguf"), file("text.jsonl"))));
  EXPECT_EQ(found.at("kl").to_number<double>(), 0.0);
  EXPECT_EQ(found.at("agreement").to_number<double>(), 1.0);
}

TEST_F(DiffModels, ActivationIsTheSameOnAnyNumberOfRanks) {
  expect_same_on_any_ranks(pair("activation"));
}

TEST_F(DiffModels, ActivationGoesOnAfterBeingKilled) {
  expect_same_after_kills(pair("activation"));
}

TEST_F(DiffModels, ActivationOfStoresIsThatOfTheModels) {
  const json::object live =
      result_of(testing::run_orthant(pair("activation", "--hook=blocks.1.hook_resid_post")));
  for (const char* const model : {"a", "b"}) {
    ASSERT_TRUE(testing::ended(
        testing::run_orthant(fmt::format("harvest --model={} --text={} --hook=blocks.1.hook_resid_post "
                                         "--context=16 --dtype=f32 --out={}",
                                         file(std::string(model) + ".gguf"), file("text.jsonl"),
                                         file(std::string(model) + ".store"))),
        0));
  }
  const json::object stored = result_of(
      testing::run_orthant(fmt::format("diff activation --store={} --other_store={} --block_tokens=77 --json",
                                       file("a.store"), file("b.store"))));
  EXPECT_EQ(stored.at("counted_tokens"), live.at("counted_tokens"));
  const auto& of_live = live.at("layers").as_array()[0].as_object();
  const auto& of_stored = stored.at("layers").as_array()[0].as_object();
  for (const char* const name :
       {"norm", "cosine", "relative_difference", "explained_of_other", "correlation"}) {
    const double value = of_live.at(name).to_number<double>();
    EXPECT_NEAR(of_stored.at(name).to_number<double>(), value, 1e-12 * std::abs(value)) << name;
  }
  EXPECT_LT(of_live.at("cosine").to_number<double>(), 1.0);
}

TEST_F(DiffModels, ActivationComparesHooksOfOneModelInOneForward) {
  const json::object found = result_of(testing::run_orthant(fmt::format(
      "diff activation --model={} --text={} --context=16 --hook=blocks.0.hook_resid_post,"
      "blocks.1.hook_resid_pre --other_hook=blocks.1.hook_resid_post,blocks.0.hook_resid_post --json",
      file("a.gguf"), file("text.jsonl"))));
  const auto& layers = found.at("layers").as_array();
  EXPECT_LT(layers[0].at("cosine").to_number<double>(), 1.0);
  EXPECT_EQ(layers[1].at("difference_norm").to_number<double>(), 0.0) << "the same place by two names";
}

TEST_F(DiffModels, PcaIsTheSameOnAnyNumberOfRanks) {
  expect_same_on_any_ranks(pair("pca"));
}

TEST_F(DiffModels, PcaGoesOnAfterBeingKilled) {
  expect_same_after_kills(pair("pca"));
}

TEST_F(DiffModels, PcaWritesOrthonormalComponents) {
  const json::object found =
      result_of(testing::run_orthant(pair("pca", "--components=5 --out=" + file("pca"))));
  const auto& layer = found.at("layers").as_array()[1].as_object();
  EXPECT_EQ(layer.at("variance").as_array().size(), 5u);
  EXPECT_NEAR(layer.at("share_of_first").at("20").to_number<double>(), 1.0, 0.1);
  const SafetensorsReader file_of(file("pca/components.safetensors"));
  const int64_t shape[] = {5, kWidth};
  const auto& entry = file_of.entry("blocks.1.hook_resid_post.components", shape);
  std::vector<float> axes(5 * kWidth);
  file_of.read(entry, axes);
  for (size_t i = 0; i < 5; ++i) {
    for (size_t j = 0; j < 5; ++j) {
      double product = 0.0;
      for (size_t c = 0; c < kWidth; ++c) product += axes[i * kWidth + c] * axes[j * kWidth + c];
      EXPECT_NEAR(product, i == j ? 1.0 : 0.0, 1e-6);
    }
  }
  const json::object alone = result_of(
      testing::run_orthant(fmt::format("diff pca --of=activations --model={} --text={} --context=16 --json",
                                       file("a.gguf"), file("text.jsonl"))));
  EXPECT_EQ(alone.at("layers").as_array().size(), 2u);
}

TEST_F(DiffModels, MatchScoresHowPairsFire) {
  std::vector<int64_t> order(kWidth), other(kWidth);
  for (int64_t i = 0; i < kWidth; ++i) {
    order[static_cast<size_t>(i)] = i;
    other[static_cast<size_t>(i)] = (i * 5 + 3) % kWidth;
  }
  write_dictionary(file("one.safetensors"), order);
  write_dictionary(file("two.safetensors"), other);
  const auto command = [&](const std::string& more) {
    return fmt::format(
        "diff match --reference={} --other={} --text={} --context=16 --block_tokens=60 --threads=1 "
        "--model={} "
        "--hook=blocks.0.hook_resid_post --latents=2,5 --random=3 --json {}",
        file("one.safetensors"), file("two.safetensors"), file("text.jsonl"), file("a.gguf"), more);
  };
  // The same latents in another order fire on the same tokens.
  const json::object same = result_of(testing::run_orthant(command("")));
  for (int64_t i = 0; i < kWidth; ++i) {
    const auto at = static_cast<size_t>(i);
    EXPECT_EQ(other[static_cast<size_t>(same.at("assigned").as_array()[at].as_int64())], i);
    const int64_t fired = same.at("fired").as_array()[at].as_int64();
    EXPECT_NEAR(same.at("matching_score").as_array()[at].to_number<double>(), fired > 0 ? 1.0 : 0.0, 1e-12);
    EXPECT_EQ(same.at("both_fired").as_array()[at].as_int64(), fired);
  }
  EXPECT_EQ(same.at("groups").as_array().size(), 3u);
  // At another hook they fire otherwise.
  const json::object apart =
      result_of(testing::run_orthant(command("--other_hook=blocks.1.hook_resid_post")));
  const auto all = [](const json::object& found) {
    return found.at("groups").as_array()[0].at("mean_matching_score").to_number<double>();
  };
  EXPECT_LT(all(apart), 0.99 * all(same));
  EXPECT_GT(all(apart), 0.0);
  expect_same_on_any_ranks(command("--other_model=" + file("b.gguf")));
}

TEST_F(DiffModels, MatchWarnsOfAHookThatADictionaryWasNotTrainedOn) {
  write_dictionary(file("one.safetensors"), {0, 1}, {{"hook_name", "blocks.1.hook_resid_post"}});
  const auto found =
      testing::run_orthant(fmt::format("diff match --reference={0} --other={0} --text={1} --context=16 "
                                       "--model={2} --hook=blocks.0.hook_resid_post "
                                       "--other_hook=blocks.1.hook_resid_post --json",
                                       file("one.safetensors"), file("text.jsonl"), file("a.gguf")));
  EXPECT_TRUE(testing::ended(found, 0));
  EXPECT_NE(found.err.find("--reference was trained on blocks.1.hook_resid_post and encodes "
                           "blocks.0.hook_resid_post"),
            std::string::npos);
  EXPECT_EQ(found.err.find("--other was"), std::string::npos);
}

TEST_F(DiffModels, MatchGoesOnAfterBeingKilled) {
  write_dictionary(file("one.safetensors"), {0, 1, 2, 3});
  expect_same_after_kills(
      fmt::format("diff match --reference={0} --other={0} --text={1} --context=16 --block_tokens=60 "
                  "--threads=1 --model={2} "
                  "--hook=blocks.0.hook_resid_post --json",
                  file("one.safetensors"), file("text.jsonl"), file("a.gguf")));
}

TEST_F(DiffModels, RefuseModelsOfOtherTokens) {
  // b of another tokenizer: the pair ab is one token there no longer.
  models::ModelConfig config = testing::tiny_config();
  testing::GgufBuilder builder = testing::gguf_metadata(config);
  builder.value("tokenizer.ggml.model", "gpt2").value("tokenizer.ggml.pre", "gpt-2");
  builder.array("tokenizer.ggml.tokens",
                std::vector<std::string>{"<s>", "</s>", "ba", "a", "b", "c", "d", "e", "f", "g", "h"});
  builder.array("tokenizer.ggml.token_type", std::vector<int32_t>{3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  builder.array("tokenizer.ggml.merges", std::vector<std::string>{"b a"});
  builder.value("tokenizer.ggml.bos_token_id", uint32_t{0}).value("tokenizer.ggml.eos_token_id", uint32_t{1});
  testing::add_gguf_weights(builder, config, testing::tiny_weights(config));
  builder.write(file("b.gguf"));
  std::ofstream(file("text.jsonl")) << "{\"text\":\"cde\"}\n{\"text\":\"dcabc\"}\n";
  for (const char* const verb : {"kl", "activation", "pca"}) {
    EXPECT_TRUE(testing::refused(testing::run_orthant(pair(verb)), 78, "different tokens",
                                 "position 2 of row 1 (document 1)", "token 2 'ab' and token 3 'a'"));
  }
  EXPECT_TRUE(testing::refused(testing::run_orthant(pair("kl"), "mpirun -n 2"), 78, "different tokens"));
}

TEST_F(DiffModels, RefuseStoresOfOtherTokens) {
  const auto harvest = [&](const std::string& text, const std::string& out) {
    std::ofstream(file(out + ".jsonl")) << "{\"text\":\"" << text << "\"}\n";
    ASSERT_TRUE(testing::ended(testing::run_orthant(fmt::format(
                                   "harvest --model={} --text={} --hook=blocks.0.hook_resid_post --out={}",
                                   file("a.gguf"), file(out + ".jsonl"), file(out))),
                               0));
  };
  harvest("cdefgh", "one");
  harvest("cdeegh", "two");
  harvest("cdef", "short");
  const auto command = [&](const char* verb, const char* other) {
    return testing::run_orthant(
        fmt::format("diff {} --store={} --other_store={}", verb, file("one"), file(other)));
  };
  EXPECT_TRUE(testing::refused(command("activation", "two"), 78, "first in row 3", "token 8", "token 7"));
  EXPECT_TRUE(testing::refused(command("pca", "short"), 78, "first in row 4", "6 and 4 rows"));
  EXPECT_TRUE(testing::refused(testing::run_orthant(fmt::format("diff activation --store={}", file("one"))),
                               78, "0 other stores"));
  EXPECT_TRUE(testing::refused(
      testing::run_orthant(fmt::format(
          "diff activation --store={0} --other_store={0} --exclude_positions=0,1,2,3,4,5", file("one"))),
      78, "no token counts"));
}

TEST_F(DiffModels, RefuseWhatIsMissingOrDoesNotFit) {
  write_model(file("deep.gguf"), 1.0f, 3);
  const auto run = [&](const std::string& arguments) {
    return testing::run_orthant(fmt::format("diff {} --text={} --context=16", arguments, file("text.jsonl")));
  };
  const std::string a = file("a.gguf");
  EXPECT_TRUE(testing::refused(run("kl --model=" + a), 78, "other_model"));
  EXPECT_TRUE(testing::refused(run("kl --other_model=" + a), 78, "--model"));
  EXPECT_TRUE(testing::refused(run("activation --model=" + a), 78, "other_model", "other_hook"));
  EXPECT_TRUE(
      testing::refused(run(fmt::format("activation --model={} --other_model={}", a, file("deep.gguf"))), 78,
                       "2 and 3 blocks"));
  EXPECT_TRUE(testing::refused(
      run(fmt::format("activation --model={} --other_model={} --hook=blocks.2.hook_resid_post",
                      file("deep.gguf"), a)),
      78, "blocks.2"));
  EXPECT_TRUE(testing::refused(
      run(fmt::format("pca --model={} --hook=blocks.0.hook_resid_post --other_hook=blocks.0.hook_resid_post,"
                      "blocks.1.hook_resid_post",
                      a)),
      78, "1 hooks", "2 other hooks"));
  EXPECT_TRUE(testing::refused(testing::run_orthant(fmt::format("diff kl --model={0} --other_model={0}", a)),
                               78, "text"));
  write_dictionary(file("one.safetensors"), {0, 1});
  const std::string match =
      fmt::format("match --reference={0} --other={0} --model={1}", file("one.safetensors"), a);
  EXPECT_TRUE(testing::refused(run(match), 78, "0 hooks", "--hook"));
  EXPECT_TRUE(testing::refused(testing::run_orthant("diff " + match), 78, "no text"));
  EXPECT_TRUE(
      testing::refused(run(match + " --hook=blocks.0.hook_resid_post --latents=2"), 78, "no latent 2"));
}

}  // namespace
}  // namespace orthant
