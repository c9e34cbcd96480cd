#include "models/formats/gguf.h"

#include <fmt/format.h>

#include <bit>
#include <limits>

#include "models/formats/byte_cursor.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr int kMaximumNesting = 4;
constexpr uint32_t kMaximumDimensions = 4;
constexpr uint64_t kDefaultAlignment = 32;

// The numbers are part of the format.
enum class ValueType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

[[noreturn]] void throw_damaged(const ByteCursor& cursor, std::string why) {
  throw Error(ExitCode::kData, {.problem = fmt::format("{} is not a sound GGUF file at byte {}",
                                                       cursor.path(), cursor.offset()),
                                .why = std::move(why),
                                .suggestion = "fetch the file again"});
}

std::string_view read_string(ByteCursor& cursor, std::string_view what) {
  const auto size = cursor.value<uint64_t>(what);
  return cursor.text(size, what);
}

int64_t read_integer(ByteCursor& cursor, ValueType type) {
  switch (type) {
    case ValueType::kU8:
      return cursor.value<uint8_t>("a value");
    case ValueType::kI8:
      return cursor.value<int8_t>("a value");
    case ValueType::kU16:
      return cursor.value<uint16_t>("a value");
    case ValueType::kI16:
      return cursor.value<int16_t>("a value");
    case ValueType::kU32:
      return cursor.value<uint32_t>("a value");
    case ValueType::kI32:
      return cursor.value<int32_t>("a value");
    case ValueType::kBool:
      return cursor.value<uint8_t>("a value") != 0 ? 1 : 0;
    case ValueType::kU64:
      return std::bit_cast<int64_t>(cursor.value<uint64_t>("a value"));
    case ValueType::kI64:
      return cursor.value<int64_t>("a value");
    default:
      throw_damaged(cursor, fmt::format("unknown value type {}", static_cast<uint32_t>(type)));
  }
}

double read_real(ByteCursor& cursor, ValueType type) {
  return type == ValueType::kF32 ? cursor.value<float>("a value") : cursor.value<double>("a value");
}

bool is_real(ValueType type) {
  return type == ValueType::kF32 || type == ValueType::kF64;
}

GgufValue read_array(ByteCursor& cursor, int depth) {
  const auto type = static_cast<ValueType>(cursor.value<uint32_t>("an array's type"));
  const auto count = cursor.value<uint64_t>("an array's length");
  // Every element takes at least a byte, so a damaged length cannot ask for more memory than the file has.
  if (count > cursor.remaining()) throw_damaged(cursor, fmt::format("an array of {} elements", count));
  if (type == ValueType::kString) {
    std::vector<std::string_view> texts;
    for (uint64_t i = 0; i < count; ++i) texts.push_back(read_string(cursor, "an array of strings"));
    return texts;
  }
  if (type == ValueType::kArray) {
    if (depth >= kMaximumNesting) throw_damaged(cursor, "arrays are nested too deep");
    for (uint64_t i = 0; i < count; ++i) (void)read_array(cursor, depth + 1);
    return std::vector<int64_t>{};
  }
  if (is_real(type)) {
    std::vector<double> reals;
    for (uint64_t i = 0; i < count; ++i) reals.push_back(read_real(cursor, type));
    return reals;
  }
  std::vector<int64_t> integers;
  for (uint64_t i = 0; i < count; ++i) integers.push_back(read_integer(cursor, type));
  return integers;
}

GgufValue read_value(ByteCursor& cursor) {
  const auto type = static_cast<ValueType>(cursor.value<uint32_t>("a value's type"));
  if (type == ValueType::kString) return read_string(cursor, "a string value");
  if (type == ValueType::kArray) return read_array(cursor, 0);
  if (type == ValueType::kBool) return read_integer(cursor, type) != 0;
  if (type == ValueType::kU64) return std::bit_cast<uint64_t>(read_integer(cursor, type));
  if (is_real(type)) return read_real(cursor, type);
  return read_integer(cursor, type);
}

uint32_t read_version(ByteCursor& cursor) {
  if (cursor.text(kMagic.size(), "the magic number") != kMagic) {
    throw_damaged(cursor, "it does not begin with \"GGUF\"");
  }
  const auto version = cursor.value<uint32_t>("the version");
  if (version == 2 || version == 3) return version;
  const bool swapped = version >= 1u << 24 && version % (1u << 24) == 0;
  throw Error(ExitCode::kData,
              {.problem = swapped ? fmt::format("{} is a big-endian GGUF file", cursor.path())
                                  : fmt::format("{} is GGUF version {}", cursor.path(), version),
               .why = "little-endian files of version 2 or 3 are read",
               .suggestion = "convert the model again with current tools"});
}

GgufTensor read_tensor_info(ByteCursor& cursor, const std::string& name) {
  const auto dimensions = cursor.value<uint32_t>("a tensor's number of dimensions");
  if (dimensions == 0 || dimensions > kMaximumDimensions) {
    throw_damaged(cursor, fmt::format("tensor {} has {} dimensions", name, dimensions));
  }
  GgufTensor tensor;
  tensor.shape.resize(dimensions);
  uint64_t elements = 1;
  for (uint32_t i = 0; i < dimensions; ++i) {
    const auto extent = cursor.value<uint64_t>("a tensor's shape");
    constexpr uint64_t kLimit = std::numeric_limits<int64_t>::max() / 256;
    if (extent == 0 || extent > kLimit / elements) {
      throw_damaged(cursor, fmt::format("tensor {} has an impossible extent {}", name, extent));
    }
    elements *= extent;
    tensor.shape[dimensions - 1 - i] = static_cast<int64_t>(extent);  // stored innermost first
  }
  tensor.type = static_cast<GgmlType>(cursor.value<uint32_t>("a tensor's type"));
  tensor.offset = cursor.value<uint64_t>("a tensor's offset");
  return tensor;
}

// Turns the offset within the data section into one in the file and finds the bytes.
void locate(const MappedFile& file, uint64_t data_start, const std::string& name, GgufTensor& tensor) {
  const uint64_t size = file.bytes().size();
  const kernels::BlockFormat format = kernels::block_format(tensor.type);
  int64_t elements = 1;
  for (const int64_t extent : tensor.shape) elements *= extent;
  const bool whole = format.values > 0 && tensor.shape.back() % format.values == 0;
  if (format.values > 0 && !whole) {
    throw Error(ExitCode::kData, {.problem = fmt::format("tensor {} of {} is damaged", name, file.path()),
                                  .why = fmt::format("rows of {} values do not fill blocks of {}",
                                                     tensor.shape.back(), format.values),
                                  .suggestion = "fetch the file again"});
  }
  const uint64_t bytes = whole ? static_cast<uint64_t>(elements / format.values * format.bytes) : 0;
  if (data_start > size || tensor.offset > size - data_start || bytes > size - data_start - tensor.offset) {
    throw Error(ExitCode::kData, {.problem = fmt::format("{} ends within tensor {}", file.path(), name),
                                  .why = fmt::format("its {} bytes begin at byte {} and the file has {}",
                                                     bytes, data_start + tensor.offset, size),
                                  .suggestion = "the file is truncated or damaged: fetch it again"});
  }
  tensor.offset += data_start;
  tensor.bytes = file.bytes().subspan(tensor.offset, bytes);
}

uint64_t align_up(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

bool is_gguf(std::span<const std::byte> bytes) {
  return bytes.size() >= kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

GgufFile::GgufFile(const std::string& path) : file_(path) {
  ByteCursor cursor(file_);
  version_ = read_version(cursor);
  const auto tensor_count = cursor.value<uint64_t>("the number of tensors");
  const auto value_count = cursor.value<uint64_t>("the number of metadata values");
  for (uint64_t i = 0; i < value_count; ++i) {
    std::string key(read_string(cursor, "a metadata key"));
    GgufValue value = read_value(cursor);
    if (!metadata_.emplace(std::move(key), std::move(value)).second) {
      throw_damaged(cursor, "a metadata key appears twice");
    }
  }
  for (uint64_t i = 0; i < tensor_count; ++i) {
    std::string name(read_string(cursor, "a tensor's name"));
    GgufTensor tensor = read_tensor_info(cursor, name);
    if (!tensors_.emplace(std::move(name), std::move(tensor)).second) {
      throw_damaged(cursor, "a tensor name appears twice");
    }
  }
  const int64_t alignment = integer("general.alignment").value_or(kDefaultAlignment);
  if (alignment <= 0 || alignment > (1 << 20)) throw_damaged(cursor, fmt::format("alignment {}", alignment));
  const uint64_t data_start = align_up(cursor.offset(), static_cast<uint64_t>(alignment));
  for (auto& [name, tensor] : tensors_) locate(file_, data_start, name, tensor);
}

template <typename T>
const T* GgufFile::find(std::string_view key, std::string_view kind) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) return nullptr;
  if (const T* value = std::get_if<T>(&found->second)) return value;
  throw Error(ExitCode::kData, {.problem = fmt::format("{} of {} is not {}", key, path(), kind),
                                .why = "the metadata value has another type",
                                .suggestion = "convert the model again with current tools"});
}

std::optional<int64_t> GgufFile::integer(std::string_view key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) return std::nullopt;
  if (const auto* wide = std::get_if<uint64_t>(&found->second)) {
    if (*wide <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return static_cast<int64_t>(*wide);
  }
  return *find<int64_t>(key, "an integer");
}

std::optional<double> GgufFile::real(std::string_view key) const {
  const double* value = find<double>(key, "a real number");
  return value == nullptr ? std::nullopt : std::optional<double>(*value);
}

std::optional<bool> GgufFile::boolean(std::string_view key) const {
  const bool* value = find<bool>(key, "a boolean");
  return value == nullptr ? std::nullopt : std::optional<bool>(*value);
}

std::optional<std::string_view> GgufFile::text(std::string_view key) const {
  const auto* value = find<std::string_view>(key, "a string");
  return value == nullptr ? std::nullopt : std::optional<std::string_view>(*value);
}

std::span<const std::string_view> GgufFile::texts(std::string_view key) const {
  const auto* value = find<std::vector<std::string_view>>(key, "an array of strings");
  return value == nullptr ? std::span<const std::string_view>() : std::span(*value);
}

std::span<const int64_t> GgufFile::integers(std::string_view key) const {
  const auto* value = find<std::vector<int64_t>>(key, "an array of integers");
  return value == nullptr ? std::span<const int64_t>() : std::span(*value);
}

std::span<const double> GgufFile::reals(std::string_view key) const {
  const auto* value = find<std::vector<double>>(key, "an array of real numbers");
  return value == nullptr ? std::span<const double>() : std::span(*value);
}

}  // namespace orthant::models
