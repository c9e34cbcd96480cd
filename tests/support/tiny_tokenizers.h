// Small tokenizer.json files for tests.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace orthant::testing {

inline void write_text(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

struct TinyTokenizerJson {
  std::vector<std::string> tokens;  // by id
  boost::json::array merges;
  boost::json::array added;
  boost::json::value normalizer = nullptr;
  boost::json::value pre_tokenizer = nullptr;
  boost::json::value post_processor = nullptr;
  boost::json::value decoder = nullptr;
  boost::json::object model_options;

  void add(const std::string& content, int64_t id) {
    added.push_back(
        {{"id", id}, {"content", content}, {"special", true}, {"lstrip", false}, {"rstrip", false}});
  }
  [[nodiscard]] std::string text() const {
    boost::json::object vocabulary;
    for (size_t id = 0; id < tokens.size(); ++id) vocabulary[tokens[id]] = id;
    boost::json::object model = model_options;
    model["type"] = "BPE";
    model["vocab"] = vocabulary;
    model["merges"] = merges;
    return boost::json::serialize(boost::json::object{{"version", "1.0"},
                                                      {"added_tokens", added},
                                                      {"normalizer", normalizer},
                                                      {"pre_tokenizer", pre_tokenizer},
                                                      {"post_processor", post_processor},
                                                      {"decoder", decoder},
                                                      {"model", model}});
  }
};

}  // namespace orthant::testing
