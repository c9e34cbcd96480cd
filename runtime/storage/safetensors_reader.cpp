#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstring>

#include "runtime/core/error.h"
#include "runtime/storage/safetensors.h"
#include "runtime/storage/safetensors_types.h"

namespace orthant {
namespace {

namespace json = boost::json;

constexpr int64_t kLengthBytes = 8;
constexpr int64_t kLargestOffset = int64_t{1} << 62;
constexpr int64_t kLargestHeader = 100'000'000;

[[noreturn]] void damaged(const std::string& path, const std::string& problem, const std::string& why) {
  throw Error(ExitCode::kData, {.problem = fmt::format("{} is no valid safetensors file: {}", path, problem),
                                .why = why,
                                .suggestion = "Copy or make the file again."});
}

std::vector<int64_t> integers_of(const json::value* value, const std::string& path, std::string_view tensor) {
  std::vector<int64_t> integers;
  if (value == nullptr || !value->is_array()) {
    damaged(path, fmt::format("tensor '{}'", tensor), "shape and data_offsets are arrays");
  }
  for (const json::value& item : value->get_array()) {
    boost::system::error_code error;
    const auto integer = item.to_number<int64_t>(error);
    if (error || integer < 0) {
      damaged(path, fmt::format("tensor '{}'", tensor), "shape and data_offsets are whole numbers from 0");
    }
    integers.push_back(integer);
  }
  return integers;
}

// Bytes of a tensor, or -1 when the product leaves 64 bits.
int64_t bytes_of_shape(const std::vector<int64_t>& shape, Dtype dtype) {
  int64_t bytes = bytes_of(dtype);
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(bytes, extent, &bytes)) return -1;
  }
  return bytes;
}

TensorMetadata metadata_of(const json::object& fields, const std::string& path) {
  TensorMetadata metadata;
  for (const auto& [label, content] : fields) {
    if (!content.is_string()) {
      damaged(path, fmt::format("metadata '{}'", std::string(label)), "metadata values are strings");
    }
    metadata[std::string(label)] = std::string(content.get_string());
  }
  return metadata;
}

SafetensorsEntry entry_of(const std::string& name, const json::object& fields, int64_t data_start,
                          const std::string& path) {
  const std::string tensor = fmt::format("tensor '{}'", name);
  const json::value* type_name = fields.if_contains("dtype");
  if (type_name == nullptr || !type_name->is_string()) damaged(path, tensor, "it has no dtype");
  const std::string type_text(type_name->get_string());
  const StoredType* type = stored_type_named(type_text);
  if (type == nullptr) damaged(path, tensor, fmt::format("unknown dtype '{}'", type_text));

  SafetensorsEntry entry;
  entry.name = name;
  entry.type = type_text;
  entry.dtype = type->dtype;
  entry.shape = integers_of(fields.if_contains("shape"), path, name);
  const std::vector<int64_t> range = integers_of(fields.if_contains("data_offsets"), path, name);
  if (range.size() != 2 || range[1] < range[0] || range[1] > kLargestOffset) {
    damaged(path, fmt::format("{} has data_offsets [{}]", tensor, fmt::join(range, ",")),
            "a begin and an end");
  }
  entry.offset = data_start + range[0];
  entry.bytes = range[1] - range[0];
  if (bytes_of_shape(entry.shape, entry.dtype) != entry.bytes) {
    damaged(
        path, fmt::format("{} holds {} bytes", tensor, entry.bytes),
        fmt::format("dtype {} and shape [{}] need another number", type_text, fmt::join(entry.shape, ",")));
  }
  return entry;
}

template <typename Number>
void widen_numbers(const std::byte* from, std::span<float> into) {
  for (size_t i = 0; i < into.size(); ++i) {
    Number value;
    std::memcpy(&value, from + i * sizeof(Number), sizeof(Number));
    into[i] = static_cast<float>(value);
  }
}

template <typename Number>
void append_integers(std::span<const std::byte> from, std::vector<int64_t>& into) {
  for (size_t i = 0; i < from.size(); i += sizeof(Number)) {
    Number value;
    std::memcpy(&value, from.data() + i, sizeof(Number));
    into.push_back(static_cast<int64_t>(value));
  }
}

// The tables of `widen` want aligned elements; files promise nothing.
void widen_half(Dtype dtype, const std::byte* from, std::span<float> into) {
  if (reinterpret_cast<uintptr_t>(from) % 2 == 0) return widen(dtype, from, into);
  std::vector<uint16_t> aligned(into.size());
  std::memcpy(aligned.data(), from, into.size() * 2);
  widen(dtype, aligned.data(), into);
}

}  // namespace

SafetensorsReader::SafetensorsReader(const std::string& path) : file_(path) {
  if (file_.size() < kLengthBytes) {
    damaged(path, fmt::format("it has {} bytes", file_.size()), "the header length alone takes 8");
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file_.bytes().data(), sizeof header_bytes);
  if (header_bytes > static_cast<uint64_t>(kLargestHeader)) {
    damaged(path, fmt::format("its header claims {} bytes", header_bytes), "at most 100000000 are allowed");
  }
  const int64_t data_start = kLengthBytes + static_cast<int64_t>(header_bytes);
  if (data_start > file_.size()) {
    damaged(path, fmt::format("its header ends at offset {}", data_start),
            fmt::format("the file ends at {}", file_.size()));
  }
  const auto* text = reinterpret_cast<const char*>(file_.bytes().data()) + kLengthBytes;
  parse_header({text, static_cast<size_t>(header_bytes)}, data_start);
  check_layout(data_start);
}

void SafetensorsReader::parse_header(std::string_view text, int64_t data_start) {
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error);
  if (error || !parsed.is_object()) {
    damaged(path(), "the header at offset 8 is no JSON object",
            error ? error.message() : "another JSON value");
  }
  for (const auto& [key, value] : parsed.get_object()) {
    if (!value.is_object())
      damaged(path(), fmt::format("entry '{}'", std::string(key)), "an object is expected");
    if (key == "__metadata__") {
      metadata_ = metadata_of(value.get_object(), path());
    } else {
      entries_.push_back(entry_of(std::string(key), value.get_object(), data_start, path()));
    }
  }
  std::stable_sort(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
}

void SafetensorsReader::check_layout(int64_t data_start) const {
  int64_t end = data_start;
  for (const SafetensorsEntry& entry : entries_) {
    if (entry.offset != end) {
      damaged(path(), fmt::format("tensor '{}' begins at offset {}", entry.name, entry.offset),
              fmt::format("the tensor before it ends at {}", end));
    }
    end += entry.bytes;
  }
  if (end != file_.size()) {
    damaged(path(), fmt::format("the last tensor ends at offset {}", end),
            fmt::format("the file ends at {}", file_.size()));
  }
}

bool SafetensorsReader::has(std::string_view name) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.name == name; });
}

const SafetensorsEntry& SafetensorsReader::entry(std::string_view name) const {
  std::string known;
  for (const SafetensorsEntry& candidate : entries_) {
    if (candidate.name == name) return candidate;
    if (known.size() < 400) known += fmt::format("{}{}", known.empty() ? "" : ", ", candidate.name);
  }
  throw Error(ExitCode::kData, {.problem = fmt::format("{} has no tensor '{}'", path(), name),
                                .why = fmt::format("it holds {} tensors: {}", entries_.size(), known),
                                .suggestion = "Give the file that holds it."});
}

const SafetensorsEntry& SafetensorsReader::entry(std::string_view name,
                                                 std::span<const int64_t> shape) const {
  const SafetensorsEntry& found = entry(name);
  bool equal = found.shape.size() == shape.size();
  for (size_t i = 0; equal && i < shape.size(); ++i) equal = shape[i] < 0 || shape[i] == found.shape[i];
  if (!equal) {
    throw Error(ExitCode::kData, {.problem = fmt::format("{}: tensor '{}' has shape [{}]", path(), name,
                                                         fmt::join(found.shape, ",")),
                                  .why = fmt::format("[{}] is expected", fmt::join(shape, ",")),
                                  .suggestion = "Give a file whose tensors belong together."});
  }
  return found;
}

std::span<const std::byte> SafetensorsReader::data(const SafetensorsEntry& entry) const {
  return file_.bytes().subspan(static_cast<size_t>(entry.offset), static_cast<size_t>(entry.bytes));
}

void SafetensorsReader::read(const SafetensorsEntry& entry, std::span<float> into) const {
  require(static_cast<int64_t>(into.size()) == entry.elements(), "the destination has the tensor's elements");
  widen_stored(entry.type, data(entry).data(), into);
}

void SafetensorsReader::read_rows(const SafetensorsEntry& entry, int64_t first, int64_t count,
                                  std::span<float> into) const {
  require(first >= 0 && count >= 0 && first + count <= entry.rows(), "the rows lie in the tensor");
  if (count == 0) return;
  const int64_t row_bytes = entry.bytes / entry.rows();
  require(static_cast<int64_t>(into.size()) * bytes_of(entry.dtype) == count * row_bytes,
          "the destination has the elements of the rows");
  widen_stored(entry.type, data(entry).data() + first * row_bytes, into);
}

std::vector<int64_t> SafetensorsReader::read_integers(const SafetensorsEntry& entry) const {
  std::vector<int64_t> integers;
  integers.reserve(static_cast<size_t>(entry.elements()));
  const std::span<const std::byte> from = data(entry);
  switch (entry.type.starts_with("F") || entry.type.starts_with("B") ? Dtype::kF32 : entry.dtype) {
    case Dtype::kI64:
      append_integers<int64_t>(from, integers);
      break;
    case Dtype::kI32:
      append_integers<int32_t>(from, integers);
      break;
    case Dtype::kI16:
      append_integers<int16_t>(from, integers);
      break;
    case Dtype::kI8:
      append_integers<int8_t>(from, integers);
      break;
    case Dtype::kU64:
      append_integers<uint64_t>(from, integers);
      break;
    case Dtype::kU32:
      append_integers<uint32_t>(from, integers);
      break;
    case Dtype::kU16:
      append_integers<uint16_t>(from, integers);
      break;
    case Dtype::kU8:
      append_integers<uint8_t>(from, integers);
      break;
    default:
      throw Error(ExitCode::kData,
                  {.problem = fmt::format("{}: tensor '{}' is {}", path(), entry.name, entry.type),
                   .why = "integers are expected",
                   .suggestion = "Write it as I32 or I64."});
  }
  return integers;
}

void widen_stored(std::string_view type, const std::byte* from, std::span<float> into) {
  const StoredType* stored = stored_type_named(type);
  require(stored != nullptr, "the element type is one of the container's");
  if (type.starts_with("F8")) {
    throw Error(ExitCode::kData, {.problem = fmt::format("tensors of type {} cannot be read as f32", type),
                                  .why = "8-bit floats are not supported",
                                  .suggestion = "Use the file in F32, F16 or BF16."});
  }
  switch (stored->dtype) {
    case Dtype::kF32:
      std::memcpy(into.data(), from, into.size_bytes());
      return;
    case Dtype::kF16:
    case Dtype::kBF16:
      return widen_half(stored->dtype, from, into);
    case Dtype::kF64:
      return widen_numbers<double>(from, into);
    case Dtype::kI64:
      return widen_numbers<int64_t>(from, into);
    case Dtype::kI32:
      return widen_numbers<int32_t>(from, into);
    case Dtype::kI16:
      return widen_numbers<int16_t>(from, into);
    case Dtype::kI8:
      return widen_numbers<int8_t>(from, into);
    case Dtype::kU64:
      return widen_numbers<uint64_t>(from, into);
    case Dtype::kU32:
      return widen_numbers<uint32_t>(from, into);
    case Dtype::kU16:
      return widen_numbers<uint16_t>(from, into);
    case Dtype::kU8:
      return widen_numbers<uint8_t>(from, into);
  }
}

}  // namespace orthant
