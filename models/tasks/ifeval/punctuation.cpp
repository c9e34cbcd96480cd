#include "models/tasks/ifeval/checks.h"

namespace orthant::models {

bool lacks_commas(const Instruction& /*instruction*/, const std::string& response) {
  return response.find(',') == std::string::npos;
}

}  // namespace orthant::models
