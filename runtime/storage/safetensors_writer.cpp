#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>

#include "runtime/core/error.h"
#include "runtime/storage/safetensors.h"
#include "runtime/storage/safetensors_types.h"

namespace orthant {
namespace {

namespace json = boost::json;

int64_t bytes_of_tensor(const SafetensorsTensor& tensor) {
  int64_t bytes = bytes_of(tensor.dtype);
  for (const int64_t extent : tensor.shape) bytes *= extent;
  return bytes;
}

void sort_as_python_does(std::vector<SafetensorsTensor>& tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const SafetensorsTensor& a, const SafetensorsTensor& b) {
    const int order_a = stored_type_of(a.dtype).order;
    const int order_b = stored_type_of(b.dtype).order;
    return order_a != order_b ? order_a > order_b : a.name < b.name;
  });
}

// The header with its length in front; tensors in their order in the file.
std::string header_of(const std::vector<SafetensorsTensor>& tensors, const TensorMetadata& metadata) {
  json::object header;
  if (!metadata.empty()) {
    json::object labels;
    for (const auto& [key, value] : metadata) labels[key] = value;
    header["__metadata__"] = std::move(labels);
  }
  int64_t begin = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    const int64_t end = begin + bytes_of_tensor(tensor);
    json::object fields;
    fields["dtype"] = json::string_view(safetensors_type(tensor.dtype));
    fields["shape"] = json::array(tensor.shape.begin(), tensor.shape.end());
    fields["data_offsets"] = json::array({begin, end});
    header[tensor.name] = std::move(fields);
    begin = end;
  }
  std::string text = json::serialize(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

}  // namespace

std::string_view safetensors_type(Dtype dtype) {
  return stored_type_of(dtype).name;
}

SafetensorsWriter::SafetensorsWriter(const std::string& path, std::vector<SafetensorsTensor> tensors,
                                     const TensorMetadata& metadata)
    : path_(path), temporary_(fmt::format("{}.tmp.{}", path, ::getpid())), file_(File::create(temporary_)) {
  try {
    begin(std::move(tensors), metadata);
  } catch (...) {
    ::unlink(temporary_.c_str());
    throw;
  }
}

void SafetensorsWriter::begin(std::vector<SafetensorsTensor> tensors, const TensorMetadata& metadata) {
  sort_as_python_does(tensors);
  const std::string header = header_of(tensors, metadata);
  auto offset = static_cast<int64_t>(header.size());
  file_.write_at(header.data(), offset, 0);
  for (const SafetensorsTensor& tensor : tensors) {
    const int64_t bytes = bytes_of_tensor(tensor);
    require(places_.emplace(tensor.name, Place{.offset = offset, .bytes = bytes}).second,
            "the names of the tensors differ");
    if (tensor.data != nullptr) write(tensor.name, tensor.data, bytes);
    offset += bytes;
  }
}

SafetensorsWriter::~SafetensorsWriter() {
  if (!finished_) ::unlink(temporary_.c_str());
}

void SafetensorsWriter::write(std::string_view name, const void* data, int64_t bytes) {
  const auto found = places_.find(name);
  require(found != places_.end(), "the tensor was announced");
  Place& place = found->second;
  require(place.written + bytes <= place.bytes, "no more bytes come than the tensor has");
  file_.write_at(data, bytes, place.offset + place.written);
  place.written += bytes;
}

void SafetensorsWriter::finish() {
  for (const auto& [name, place] : places_) {
    require(place.written == place.bytes, "every tensor was written completely: " + name);
  }
  file_.sync();
  file_.close();
  rename_path(temporary_, path_);
  finished_ = true;
  sync_directory(parent_of(path_));
}

void write_safetensors(const std::string& path, const std::vector<SafetensorsTensor>& tensors,
                       const TensorMetadata& metadata) {
  for (const SafetensorsTensor& tensor : tensors) {
    require(tensor.data != nullptr || bytes_of_tensor(tensor) == 0, "every tensor has its data");
  }
  SafetensorsWriter(path, tensors, metadata).finish();
}

}  // namespace orthant
