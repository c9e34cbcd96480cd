#include "launch/verb.h"

namespace orthant::launch {

// One declaration and one entry a verb; each is defined in launch/<verb>.cpp.
Verb completion_verb();
Verb help_verb();
Verb train_verb();

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = {
      train_verb(),
      completion_verb(),
      help_verb(),
  };
  return all;
}

}  // namespace orthant::launch
