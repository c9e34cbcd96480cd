// Small run directories with the files that verbs write, for tests of the report.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace orthant::testing {

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

// A finished training of `coefficient`, whose explained variance is `variance` and which logged `lines`
// steps.
inline void write_training_run(const std::filesystem::path& folder, const std::string& coefficient,
                               double variance, int lines) {
  write_text(folder / "run.json",
             R"({"verb":"train","version":"0.1.0","git_hash":"abcdef012345",)"
             R"("command_line":["orthant","train","--out=a b","--sae.k=32"],"hosts":["one","one"],"world":2,)"
             R"("mesh":{"data":1,"dictionary":2},"threads":1,"begun":"2026-01-02T03:04:05Z",)"
             R"("exit":{"code":0,"reason":"finished"},"attempts":[{"start_step":0}]})");
  write_text(folder / "config.textproto",
             "# orthant train\nout: \"" + folder.string() +
                 "\"\nsae {\n  preset: \"ortsae\"\n  k: 32\n  orthogonality {\n    coefficient: " +
                 coefficient + "\n  }\n}\ntrain {\n  tokens: 40960\n}\n");
  std::string metrics;
  for (int step = 0; step < lines; ++step) {
    metrics += "{\"step\":" + std::to_string(step) + ",\"tokens\":" + std::to_string(4096 * (step + 1)) +
               ",\"seconds\":1.5,\"losses/loss\":" + std::to_string(1.0 / (step + 1)) +
               ",\"metrics/explained_variance\":" + std::to_string(variance * step / lines) +
               ",\"sparsity/l0\":32,\"details/lr\":0.001}\n";
  }
  write_text(folder / "metrics.jsonl", metrics);
  write_text(folder / "result.json", "{\"explained_variance\":" + std::to_string(variance) +
                                         ",\"l0\":31.5,\"dead_fraction\":0.0125,\"mean_max_cosine\":0.31,"
                                         "\"tokens\":40960,\"tokens_per_second\":54321}");
}

inline void write_evaluation_run(const std::filesystem::path& folder) {
  write_text(folder / "run.json", R"({"verb":"evaluate","version":"0.1.0"})");
  write_text(folder / "result.json",
             R"({"core":{"explained_variance":0.6543,"l0":30.25},"geometry":{"mean_max_cosine":0.2987,)"
             R"("chance_mean_cosine":0.1234},"ce":{"ce_loss_score":0.9876}})");
  write_text(folder / "histograms.json", R"({"log10_density":{"edges":[-6,-4,-2,0],"counts":[10,80,10]},)"
                                         R"("max_cosine":{"edges":[0,0.25,0.5],"counts":[60,40]}})");
  write_text(folder / "contexts.jsonl",
             R"({"latent":7,"density":0.02,"max_activation":4.0,"contexts":[{"tokens":["The"," <cat>","\n"],)"
             R"("activations":[0,4.0,1.0],"peak":1,"document":3,"position":17}]})"
             "\n"
             R"({"latent":9,"density":0.5,"max_activation":2.5,"contexts":[{"tokens":["a"," & b"],)"
             R"("activations":[0.5,2.5]}]})"
             "\n");
}

}  // namespace orthant::testing
