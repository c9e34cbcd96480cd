// A small JSON document that carries its own hash: `{"hash": "...",` and then one field a line.
//
// The hash is of all bytes after the first line, and the first line has one spelling only, so that any change
// of any byte is found. Other programs read the file as plain JSON. Thread-safe.
#pragma once

#include <boost/json.hpp>
#include <string>

namespace orthant {

// Atomically replaces `path`.
void write_sealed_json(const std::string& path, const boost::json::object& fields);
// The fields without "hash". Throws Error(kData) when the document is damaged, Error(kIo) when it cannot be
// read.
[[nodiscard]] boost::json::object read_sealed_json(const std::string& path);

}  // namespace orthant
