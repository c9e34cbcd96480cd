#include "runtime/storage/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>

#include "runtime/core/error.h"
#include "runtime/storage/safetensors.h"

namespace orthant {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct NpyType {
  std::string_view descriptor;
  Dtype dtype;
};
constexpr std::array<NpyType, 12> kTypes = {{{"<f8", Dtype::kF64},
                                             {"<f4", Dtype::kF32},
                                             {"<f2", Dtype::kF16},
                                             {"<i8", Dtype::kI64},
                                             {"<i4", Dtype::kI32},
                                             {"<i2", Dtype::kI16},
                                             {"|i1", Dtype::kI8},
                                             {"<u8", Dtype::kU64},
                                             {"<u4", Dtype::kU32},
                                             {"<u2", Dtype::kU16},
                                             {"|u1", Dtype::kU8},
                                             {"|b1", Dtype::kU8}}};

[[noreturn]] void damaged(const std::string& path, const std::string& problem, const std::string& why) {
  throw Error(ExitCode::kData, {.problem = fmt::format("{}: {}", path, problem),
                                .why = why,
                                .suggestion = "Copy or make the file again."});
}

// The text of `key`'s value in the header, a Python dictionary literal: from after the colon.
std::string_view value_of(std::string_view header, std::string_view key, const std::string& path) {
  const size_t at = header.find(fmt::format("'{}'", key));
  const size_t colon = at == std::string_view::npos ? at : header.find(':', at);
  if (colon == std::string_view::npos)
    damaged(path, fmt::format("no '{}' in the .npy header", key), "all three keys are required");
  std::string_view value = header.substr(colon + 1);
  const size_t begin = value.find_first_not_of(' ');
  return begin == std::string_view::npos ? std::string_view{} : value.substr(begin);
}

std::vector<int64_t> shape_of(std::string_view text, const std::string& path) {
  const size_t close = text.find(')');
  if (!text.starts_with("(") || close == std::string_view::npos)
    damaged(path, "the shape is no tuple", "as in (2, 3)");
  std::vector<int64_t> shape;
  std::string_view rest = text.substr(1, close - 1);
  while (true) {
    const size_t begin = rest.find_first_not_of(" ,");
    if (begin == std::string_view::npos) return shape;
    rest.remove_prefix(begin);
    int64_t extent = 0;
    const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), extent);
    if (parsed.ec != std::errc{} || extent < 0)
      damaged(path, "the shape is no tuple of whole numbers", std::string(text.substr(0, close)));
    shape.push_back(extent);
    rest.remove_prefix(static_cast<size_t>(parsed.ptr - rest.data()));
  }
}

// Elements of a shape, or -1 when the bytes leave 64 bits.
int64_t elements_of(const std::vector<int64_t>& shape, Dtype dtype) {
  int64_t elements = 1;
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(elements, extent, &elements)) return -1;
  }
  int64_t bytes = 0;
  return __builtin_mul_overflow(elements, bytes_of(dtype), &bytes) ? -1 : elements;
}

template <typename Number>
std::vector<int64_t> integers_in(std::span<const std::byte> from) {
  std::vector<int64_t> integers(from.size() / sizeof(Number));
  for (size_t i = 0; i < integers.size(); ++i) {
    Number value;
    std::memcpy(&value, from.data() + i * sizeof(Number), sizeof(Number));
    integers[i] = static_cast<int64_t>(value);
  }
  return integers;
}

std::string header_of(Dtype dtype, const std::vector<int64_t>& shape) {
  std::string_view descriptor;
  for (const NpyType& type : kTypes) {
    if (type.dtype == dtype && descriptor.empty()) descriptor = type.descriptor;
  }
  if (descriptor.empty()) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("{} has no .npy type", name_of(dtype)),
                                    .why = "NumPy has no such element",
                                    .suggestion = "Use f32 or f16, or write safetensors."});
  }
  std::string dictionary = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                       descriptor, fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  // NumPy aligns the data to 64 bytes; 10 bytes come before the dictionary, a newline ends it.
  const size_t padded = (10 + dictionary.size() + 1 + 63) / 64 * 64;
  dictionary.resize(padded - 11, ' ');
  dictionary += '\n';
  const auto length = static_cast<uint16_t>(dictionary.size());
  std::string header(kMagic);
  header += '\x01';
  header += '\x00';
  header.append(reinterpret_cast<const char*>(&length), sizeof length);
  return header + dictionary;
}

}  // namespace

NpyReader::NpyReader(const std::string& path) : file_(path) {
  const auto bytes = file_.bytes();
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  if (bytes.size() < 12 || std::string_view(text, kMagic.size()) != kMagic) {
    damaged(path, "no .npy file", "it does not begin with \\x93NUMPY");
  }
  const int version = static_cast<int>(bytes[6]);
  if (version < 1 || version > 3) damaged(path, fmt::format(".npy version {}", version), "1 to 3 are known");
  const int64_t length_bytes = version == 1 ? 2 : 4;
  uint32_t header_bytes = 0;
  std::memcpy(&header_bytes, text + 8, static_cast<size_t>(length_bytes));
  data_start_ = 8 + length_bytes + header_bytes;
  if (data_start_ > file_.size()) {
    damaged(path, fmt::format("the header ends at offset {}", data_start_),
            fmt::format("the file ends at {}", file_.size()));
  }
  parse_header(std::string(text + 8 + length_bytes, header_bytes));
  const int64_t count = elements_of(shape_, dtype_);
  if (count < 0 || data_start_ + count * bytes_of(dtype_) != file_.size()) {
    damaged(path, fmt::format("the file ends at offset {}", file_.size()),
            fmt::format("{} elements [{}] of {} from offset {} need another size", count,
                        fmt::join(shape_, ","), name_of(dtype_), data_start_));
  }
}

void NpyReader::parse_header(const std::string& header) {
  const std::string_view order = value_of(header, "fortran_order", path());
  if (!order.starts_with("False"))
    damaged(path(), "Fortran order", "only C order is read; save numpy.ascontiguousarray(x)");
  const std::string_view quoted = value_of(header, "descr", path());
  const std::string_view descriptor = quoted.size() < 4 ? std::string_view{} : quoted.substr(1, 3);
  bool known = false;
  for (const NpyType& type : kTypes) {
    if (type.descriptor != descriptor) continue;
    dtype_ = type.dtype;
    known = true;
  }
  if (!known)
    damaged(path(), fmt::format("element type {}", quoted.substr(0, 12)),
            "little-endian f2, f4, f8, i1 to i8, u1 to u8 are read");
  shape_ = shape_of(value_of(header, "shape", path()), path());
}

int64_t NpyReader::elements() const {
  return elements_of(shape_, dtype_);
}

std::span<const std::byte> NpyReader::data() const {
  return file_.bytes().subspan(static_cast<size_t>(data_start_));
}

void NpyReader::read(int64_t first, std::span<float> into) const {
  require(first >= 0 && first + static_cast<int64_t>(into.size()) <= elements(),
          "the elements lie in the array");
  widen_stored(safetensors_type(dtype_), data().data() + first * bytes_of(dtype_), into);
}

std::vector<int64_t> NpyReader::read_integers() const {
  switch (dtype_) {
    case Dtype::kI64:
      return integers_in<int64_t>(data());
    case Dtype::kI32:
      return integers_in<int32_t>(data());
    case Dtype::kI16:
      return integers_in<int16_t>(data());
    case Dtype::kI8:
      return integers_in<int8_t>(data());
    case Dtype::kU64:
      return integers_in<uint64_t>(data());
    case Dtype::kU32:
      return integers_in<uint32_t>(data());
    case Dtype::kU16:
      return integers_in<uint16_t>(data());
    case Dtype::kU8:
      return integers_in<uint8_t>(data());
    default:
      damaged(path(), fmt::format("elements are {}", name_of(dtype_)), "integers are expected");
  }
}

NpyWriter::NpyWriter(const std::string& path, Dtype dtype, const std::vector<int64_t>& shape)
    : path_(path),
      temporary_(fmt::format("{}.tmp.{}", path, ::getpid())),
      file_(File::create(temporary_)),
      missing_bytes_(elements_of(shape, dtype) * bytes_of(dtype)) {
  try {
    const std::string header = header_of(dtype, shape);
    file_.write(header.data(), static_cast<int64_t>(header.size()));
  } catch (...) {
    ::unlink(temporary_.c_str());
    throw;
  }
}

NpyWriter::~NpyWriter() {
  if (!finished_) ::unlink(temporary_.c_str());
}

void NpyWriter::write(const void* data, int64_t bytes) {
  require(bytes <= missing_bytes_, "no more bytes come than the array has");
  file_.write(data, bytes);
  missing_bytes_ -= bytes;
}

void NpyWriter::finish() {
  require(missing_bytes_ == 0, "the array was written completely");
  file_.sync();
  file_.close();
  rename_path(temporary_, path_);
  finished_ = true;
  sync_directory(parent_of(path_));
}

void write_npy(const std::string& path, Dtype dtype, const std::vector<int64_t>& shape, const void* data) {
  NpyWriter writer(path, dtype, shape);
  writer.write(data, elements_of(shape, dtype) * bytes_of(dtype));
  writer.finish();
}

}  // namespace orthant
