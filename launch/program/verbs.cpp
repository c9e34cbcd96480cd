#include "launch/program/verb.h"

namespace orthant::launch {

// One declaration and one entry a verb; each is defined in launch/<verb>.cpp.
Verb completion_verb();
Verb diff_activation_verb();
Verb diff_crosscoder_verb();
Verb diff_kl_verb();
Verb diff_match_verb();
Verb diff_pca_verb();
Verb diff_presence_verb();
Verb diff_rotation_verb();
Verb diff_saediff_verb();
Verb evaluate_verb();
Verb export_verb();
Verb harvest_verb();
Verb help_verb();
Verb import_verb();
Verb inspect_verb();
Verb lm_generate_verb();
Verb lm_perplexity_verb();
Verb lm_score_verb();
Verb lm_tokenize_verb();
Verb plan_harvest_verb();
Verb plan_train_verb();
Verb report_verb();
Verb score_verb();
Verb sparsity_verb();
Verb sweep_verb();
Verb train_verb();
Verb verify_verb();

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = {
      lm_tokenize_verb(),     lm_perplexity_verb(), lm_score_verb(),      lm_generate_verb(),
      harvest_verb(),         train_verb(),         sweep_verb(),         evaluate_verb(),
      score_verb(),           diff_presence_verb(), diff_rotation_verb(), diff_match_verb(),
      diff_crosscoder_verb(), diff_saediff_verb(),  diff_kl_verb(),       diff_activation_verb(),
      diff_pca_verb(),        sparsity_verb(),      plan_train_verb(),    plan_harvest_verb(),
      report_verb(),          export_verb(),        import_verb(),        inspect_verb(),
      verify_verb(),          completion_verb(),    help_verb(),
  };
  return all;
}

}  // namespace orthant::launch
