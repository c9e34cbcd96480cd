// The real test model, loaded once for all tests of a binary, and golden documents of the shared folder.
#pragma once

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_to.hpp>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "models/tokenizer/tokenizer.h"
#include "models/transformer/forward.h"
#include "tests/support/shared_files.h"
#include "tests/support/test_model.h"

namespace orthant::testing {

inline boost::json::value golden(const std::string& name) {
  std::ifstream file(shared_folder() / "golden/smollm2_135m" / name);
  return boost::json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

template <typename T>
std::vector<T> list_of(const boost::json::value& value) {
  return boost::json::value_to<std::vector<T>>(value);
}

inline Memory& test_memory() {
  static Memory memory;
  return memory;
}

inline const models::Weights& golden_weights() {
  static const models::Weights weights = [] {
    Stream stream;
    return models::load_weights(*models::open_model_file(test_model()), {}, test_memory(), stream);
  }();
  return weights;
}

inline const models::Tokenizer& golden_tokenizer() {
  static const std::unique_ptr<models::Tokenizer> tokenizer = models::open_tokenizer(test_model());
  return *tokenizer;
}

}  // namespace orthant::testing

#define ORTHANT_NEEDS_GOLDEN() \
  ORTHANT_NEEDS_TEST_MODEL();  \
  ORTHANT_NEEDS_SHARED("golden/smollm2_135m")
