#include "runtime/job/cell_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>

#include "runtime/core/error.h"
#include "runtime/storage/file.h"

namespace orthant {
namespace {

constexpr std::string_view kSuffix = ".json";

}  // namespace

CellRecords::CellRecords(std::string folder) : folder_(std::move(folder)) {
  make_directory(folder_);
}

std::string CellRecords::path_of(const std::string& key) const {
  return fmt::format("{}/{}{}", folder_, key, kSuffix);
}

bool CellRecords::has(const std::string& key) const {
  return std::filesystem::exists(path_of(key));
}

int64_t CellRecords::count() const {
  return static_cast<int64_t>(keys().size());
}

std::vector<std::string> CellRecords::keys() const {
  std::vector<std::string> keys;
  for (const std::string& name : names_in(folder_)) {
    if (name.ends_with(kSuffix)) keys.push_back(name.substr(0, name.size() - kSuffix.size()));
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::optional<boost::json::object> CellRecords::read(const std::string& key) const {
  if (!has(key)) return std::nullopt;
  boost::json::error_code failed;
  boost::json::value record = boost::json::parse(read_file(path_of(key)), failed);
  if (!failed && record.is_object()) return record.get_object();
  throw Error(ExitCode::kData, {.problem = fmt::format("'{}' is damaged", path_of(key)),
                                .why = failed ? failed.message() : "it is no JSON object",
                                .suggestion = "Remove it: its cell is then run again, or read again."});
}

void CellRecords::write(const std::string& key, const boost::json::object& record) const {
  replace_file(path_of(key), boost::json::serialize(record) + "\n");
}

void CellRecords::remove(const std::string& key) const {
  remove_path(path_of(key));
}

}  // namespace orthant
