#include "models/tasks/harness/response.h"

namespace orthant::models {

std::string_view text_before_stops(std::string_view text, std::span<const std::string> stops) {
  for (const std::string& stop : stops) text = text.substr(0, stop.empty() ? text.npos : text.find(stop));
  return text;
}

std::vector<std::string> stop_texts(const TaskSpec& task, const Tokenizer& tokenizer) {
  std::vector<std::string> stops = task.stops;
  if (const auto eos = tokenizer.eos()) stops.push_back(tokenizer.decode({&*eos, 1}));
  std::erase(stops, "");
  return stops;
}

bool has_stop(std::span<const std::string> stops, const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  const std::string text = tokenizer.decode(ids);
  return text_before_stops(text, stops).size() < text.size();
}

std::string response_text(std::span<const std::string> stops, const Tokenizer& tokenizer,
                          std::span<const int32_t> ids) {
  return std::string(text_before_stops(plain_text(tokenizer, ids), stops));
}

}  // namespace orthant::models
