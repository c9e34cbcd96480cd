// The arguments of a training of 20 steps with a checkpoint every 5, for tests of the program from outside.
#pragma once

#include <string>

namespace orthant::testing {

inline std::string small_train_command(const std::string& out, const std::string& more = "") {
  return "train --source.synthetic.features=40 --source.synthetic.d_model=16 --source.synthetic.l0=4 "
         "--sae.latents=48 --sae.k=4 --train.batch_tokens=64 --train.tokens=1280 --train.holdout_rows=256 "
         "--progress=none --log_level=warning --json --checkpoint.every_steps=5 --out=" +
         out + " " + more;
}

}  // namespace orthant::testing
