#include "launch/sparsity/request_records.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace orthant::launch {
namespace {

namespace json = boost::json;

json::object record_of(const std::string& key, const json::array& requests) {
  return {{"key", key}, {"requests", requests}};
}

}  // namespace

RequestRecords::RequestRecords(const std::string& folder, ControlGroup& control) : control_(control) {
  std::string known;
  agree(control, "read the records", [&] {
    if (folder.empty() || control.rank() != 0) return;
    files_.emplace(folder);
    json::array all;
    for (const std::string& key : files_->keys()) {
      if (const auto record = files_->read(key)) all.emplace_back(*record);
    }
    known = json::serialize(all);
  });
  control.broadcast(known, 0);
  if (known.empty()) return;
  const json::value all = json::parse(known);
  for (const json::value& record : all.as_array())
    records_.emplace(record.at("key").as_string(), record.at("requests").as_array());
}

void RequestRecords::add(const std::string& key, const json::array& requests) {
  const std::string own = key.empty() ? "" : json::serialize(record_of(key, requests));
  const std::vector<std::string> all = control_.gather_all(own);
  agree(control_, "keep the records", [&] {
    for (const std::string& text : all) keep(text);
  });
}

void RequestRecords::keep(const std::string& text) {
  if (text.empty()) return;
  const json::value record = json::parse(text);
  const std::string key(record.at("key").as_string());
  if (files_) files_->write(key, record.as_object());
  // As it is read back from the file, on every rank and in every attempt: reading may round the last digit.
  records_.emplace(key, json::parse(json::serialize(record)).at("requests").as_array());
}

}  // namespace orthant::launch
