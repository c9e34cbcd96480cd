#include "launch/source/open_source.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/core/error.h"
#include "runtime/storage/safetensors.h"
#include "tests/support/temp_dir.h"

namespace orthant::launch {
namespace {

using testing::TempDir;

class OpenSource : public ::testing::Test {
 protected:
  // [rows, 3] with `first` in the first element, in file order.
  std::string array(const char* name, float first) {
    std::vector<float> rows(5 * 3, 1.0f);
    rows[0] = first;
    const std::string path = folder_.file(name);
    write_safetensors(path, {{.name = "activations", .shape = {5, 3}, .data = rows.data()}});
    return path;
  }
  std::unique_ptr<ActivationSource> open(const Source& config, uint64_t seed = 0) {
    return open_source(config, seed, world_, memory_, memory_, log_);
  }
  // The exit code and message with which `config` is refused.
  std::pair<ExitCode, std::string> refused(const Source& config) {
    try {
      (void)open(config);
    } catch (const Error& error) {
      return {error.code(), error.what()};
    }
    ADD_FAILURE() << config.ShortDebugString() << " was opened";
    return {ExitCode::kDone, ""};
  }

  TempDir folder_;
  World world_ = make_self_world();
  Memory memory_;
  Log log_{0, LogLevel::kOff};
};

TEST_F(OpenSource, RefusesNoneAndNamesTheFields) {
  const auto [code, message] = refused({});
  EXPECT_EQ(code, ExitCode::kConfig);
  for (const char* field : {"source.store", "source.array", "source.model", "source.synthetic"}) {
    EXPECT_NE(message.find(field), std::string::npos) << field;
  }
}

TEST_F(OpenSource, RefusesEveryTwo) {
  const auto give = [&](int kind, Source& config) {
    if (kind == 0) config.add_store(folder_.file("store"));
    if (kind == 1) config.set_array(array("rows", 1.0f));
    if (kind == 2) config.set_model("model.gguf");
    if (kind == 3) config.mutable_synthetic()->set_features(10);
  };
  for (int one = 0; one < 4; ++one) {
    for (int other = one + 1; other < 4; ++other) {
      Source config;
      give(one, config);
      give(other, config);
      const auto [code, message] = refused(config);
      EXPECT_EQ(code, ExitCode::kConfig);
      EXPECT_NE(message.find("several"), std::string::npos) << message;
    }
  }
}

TEST_F(OpenSource, OpensAnArrayInTheOrderOfTheFile) {
  Source config;
  config.set_array(array("rows", 1.5f));
  config.set_shuffle(false);
  config.set_holdout(0.0);
  const auto source = open(config);
  EXPECT_EQ(source->d_model(), 3);
  EXPECT_EQ(source->rows(Split::kTrain), 5);
  Tensor<float, 2> row(memory_, "test", {1, 3});
  source->read(Split::kTrain, 0, row.view(), nullptr);
  EXPECT_EQ(row.data()[0], 1.5f);
}

TEST_F(OpenSource, DrawsASyntheticSourceFromTheSeed) {
  Source config;
  config.mutable_synthetic()->set_features(40);
  config.mutable_synthetic()->set_d_model(8);
  config.mutable_synthetic()->set_l0(5);
  const auto rows_of = [&](uint64_t seed) {
    const auto source = open(config, seed);
    EXPECT_EQ(source->d_model(), 8);
    Tensor<float, 2> rows(memory_, "test", {6, 8});
    source->read(Split::kTrain, 0, rows.view(), nullptr);
    return std::vector<float>(rows.data(), rows.data() + 48);
  };
  EXPECT_EQ(rows_of(1), rows_of(1));
  EXPECT_NE(rows_of(1), rows_of(2));
}

TEST_F(OpenSource, SaysWhyAFileCannotBeOpened) {
  Source missing;
  missing.set_array(folder_.file("absent.safetensors"));
  EXPECT_EQ(refused(missing).first, ExitCode::kIo);
  EXPECT_NE(refused(missing).second.find("absent.safetensors"), std::string::npos);

  const std::vector<float> line(3, 0.0f);
  write_safetensors(folder_.file("line.safetensors"),
                    {{.name = "activations", .shape = {3}, .data = line.data()}});
  Source flat;
  flat.set_array(folder_.file("line.safetensors"));
  EXPECT_EQ(refused(flat).first, ExitCode::kData);
}

TEST_F(OpenSource, RefusesALiveModelWithoutTextOrHook) {
  Source config;
  config.set_model(folder_.file("absent.gguf"));
  EXPECT_EQ(refused(config).first, ExitCode::kConfig);
}

}  // namespace
}  // namespace orthant::launch
