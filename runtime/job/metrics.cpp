#include "runtime/job/metrics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "runtime/core/error.h"
#include "runtime/job/event_file.h"

namespace orthant {
namespace {

namespace json = boost::json;

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The records of steps below some step.
struct Kept {
  int64_t bytes = 0;
  double seconds = 0.0;  // as the last of them says
};

// A torn last line is not counted.
Kept records_before(const std::string& path, int64_t first_step) {
  std::ifstream file(path);
  Kept kept;
  std::string line;
  while (std::getline(file, line) && !file.eof()) {
    boost::system::error_code failed;
    const json::value value = json::parse(line, failed);
    if (failed || !value.is_object() || !value.as_object().contains("step")) break;
    if (value.at("step").to_number<int64_t>() >= first_step) break;
    kept.bytes += static_cast<int64_t>(line.size()) + 1;
    const json::value* seconds = value.as_object().if_contains("seconds");
    if (seconds != nullptr && seconds->is_number()) kept.seconds = seconds->to_number<double>();
  }
  return kept;
}

std::FILE* open_for_append(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "ab");
  if (file != nullptr) return file;
  throw Error(ExitCode::kIo, {.problem = fmt::format("cannot write '{}'", path),
                              .why = std::strerror(errno),
                              .suggestion = "Make it writable, or choose another --out."});
}

}  // namespace

MetricsWriter::MetricsWriter(const std::string& folder, int64_t first_step, bool writes) {
  if (!writes) return;
  const std::string path = folder + "/metrics.jsonl";
  if (std::filesystem::exists(path)) {
    const Kept kept = records_before(path, first_step);
    std::filesystem::resize_file(path, static_cast<uintmax_t>(kept.bytes));
    seconds_before_ = kept.seconds;
  }
  lines_ = open_for_append(path);
  const double now = wall_seconds();
  events_ = open_for_append(fmt::format("{}/events.out.tfevents.{}.{}.{}", folder, static_cast<int64_t>(now),
                                        first_step, getpid()));
  const std::string record = event_record(version_event(now));
  std::fwrite(record.data(), 1, record.size(), events_);
  std::fflush(events_);
}

MetricsWriter::~MetricsWriter() {
  if (lines_ != nullptr) std::fclose(lines_);
  if (events_ != nullptr) std::fclose(events_);
}

void MetricsWriter::write(int64_t step, int64_t tokens, double seconds, const Scalars& scalars) {
  if (lines_ == nullptr) return;
  json::object line = {{"step", step}, {"tokens", tokens}, {"seconds", seconds_before_ + seconds}};
  for (const auto& [name, value] : scalars) {
    line[name] = std::isfinite(value) ? json::value(value) : json::value(nullptr);
  }
  const std::string text = json::serialize(line) + "\n";
  std::fwrite(text.data(), 1, text.size(), lines_);
  std::fflush(lines_);
  const std::string record = event_record(scalar_event(wall_seconds(), step, scalars));
  std::fwrite(record.data(), 1, record.size(), events_);
  std::fflush(events_);
}

}  // namespace orthant
