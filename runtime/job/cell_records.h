// What is known of the cells of a sweep: one file a finished cell, written once, by rename. The result of a
// sweep is a function of these records alone, whoever wrote them. Thread-safe between processes that write
// records of different cells.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

namespace orthant {

class CellRecords {
 public:
  // Makes `folder` where it is missing. Throws Error(kIo).
  explicit CellRecords(std::string folder);

  // Whether the cell has a record. Asks the file system.
  [[nodiscard]] bool has(const std::string& key) const;
  [[nodiscard]] int64_t count() const;
  [[nodiscard]] std::vector<std::string> keys() const;  // of all records, in order
  // Nothing where there is none; Error(kData) where it is damaged.
  [[nodiscard]] std::optional<boost::json::object> read(const std::string& key) const;
  void write(const std::string& key, const boost::json::object& record) const;
  // Forgets it, so that the cell runs again.
  void remove(const std::string& key) const;

 private:
  [[nodiscard]] std::string path_of(const std::string& key) const;
  std::string folder_;
};

}  // namespace orthant
