// Writes small GGUF files for tests.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace orthant::testing {

class GgufBuilder {
 public:
  template <typename T>
  GgufBuilder& value(std::string_view key, const T& content) {
    put_string(metadata_, key);
    put(metadata_, type_number<T>());
    put_element(metadata_, content);
    ++values_;
    return *this;
  }
  GgufBuilder& value(std::string_view key, const char* content) { return value(key, std::string(content)); }

  template <typename T>
  GgufBuilder& array(std::string_view key, const std::vector<T>& content) {
    put_string(metadata_, key);
    put(metadata_, uint32_t{9});
    put(metadata_, type_number<T>());
    put(metadata_, uint64_t{content.size()});
    for (const T& element : content) put_element(metadata_, element);
    ++values_;
    return *this;
  }

  // `shape` outermost first.
  GgufBuilder& tensor(std::string_view name, const std::vector<int64_t>& shape, uint32_t type,
                      std::string bytes) {
    put_string(tensors_, name);
    put(tensors_, static_cast<uint32_t>(shape.size()));
    for (auto extent = shape.rbegin(); extent != shape.rend(); ++extent) put(tensors_, *extent);
    put(tensors_, type);
    data_.resize((data_.size() + 31) / 32 * 32);
    put(tensors_, uint64_t{data_.size()});
    data_ += bytes;
    ++tensor_count_;
    return *this;
  }
  GgufBuilder& tensor_f32(std::string_view name, const std::vector<int64_t>& shape,
                          const std::vector<float>& content) {
    return tensor(name, shape, 0,
                  std::string(reinterpret_cast<const char*>(content.data()), content.size() * sizeof(float)));
  }

  [[nodiscard]] std::string bytes(uint32_t version = 3) const {
    std::string file = "GGUF";
    put(file, version);
    put(file, tensor_count_);
    put(file, values_);
    file += metadata_ + tensors_;
    file.resize((file.size() + 31) / 32 * 32);
    return file + data_;
  }
  void write(const std::string& path) const { std::ofstream(path, std::ios::binary) << bytes(); }

 private:
  template <typename T>
  static constexpr uint32_t type_number() {
    if constexpr (std::is_same_v<T, bool>) return 7;
    if constexpr (std::is_same_v<T, uint32_t>) return 4;
    if constexpr (std::is_same_v<T, int32_t>) return 5;
    if constexpr (std::is_same_v<T, float>) return 6;
    if constexpr (std::is_same_v<T, uint64_t>) return 10;
    return 8;
  }
  template <typename T>
  static void put(std::string& into, T content) {
    into.append(reinterpret_cast<const char*>(&content), sizeof(content));
  }
  static void put_string(std::string& into, std::string_view content) {
    put(into, uint64_t{content.size()});
    into += content;
  }
  template <typename T>
  static void put_element(std::string& into, const T& content) {
    if constexpr (std::is_same_v<T, std::string>) {
      put_string(into, content);
    } else {
      put(into, content);
    }
  }

  std::string metadata_;
  std::string tensors_;
  std::string data_;
  uint64_t values_ = 0;
  uint64_t tensor_count_ = 0;
};

}  // namespace orthant::testing
