// How long a rank may wait for the others before the run is given up.
#pragma once

#include <chrono>

namespace orthant {

// `startup` holds until ControlGroup::end_startup(): first steps touch cold files and fresh pages.
struct Deadlines {
  std::chrono::milliseconds startup{std::chrono::seconds(300)};
  std::chrono::milliseconds collective{std::chrono::seconds(120)};
};

}  // namespace orthant
