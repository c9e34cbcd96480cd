#include "launch/score/attended_pass.h"

#include "runtime/job/signals.h"

namespace orthant::launch {

AttendedPass::AttendedPass(Invocation& call, const std::string& folder, std::vector<Checkpointable*> objects)
    : call_(call),
      objects_(std::move(objects)),
      schedule_(call.common.checkpoint(), call.common.stop_before()) {
  if (folder.empty()) return;
  checkpoints_ =
      std::make_unique<Checkpoints>(folder, call.common.checkpoint().keep(), *call.world.control, call.log);
}

bool AttendedPass::load() {
  return checkpoints_ != nullptr && checkpoints_->load(objects_).has_value();
}

sae::PassEnd AttendedPass::run(sae::CodePass pass, int64_t first, const std::function<int64_t()>& blocks_done,
                               const std::function<sae::PassEnd(const sae::CodePass&)>& run_pass) {
  const auto rows_before = [&](int64_t block) { return pass.blocks[static_cast<size_t>(block)]; };
  schedule_.saved(first);
  Progress progress(progress_style(call_.common.progress(), call_.world.rank()), "token");
  const auto start = std::chrono::steady_clock::now();
  pass.stop_wanted = [&] { return stop_requested() || (call_.world.rank() == 0 && schedule_.stop_due()); };
  pass.save_due = [&](int64_t done) { return checkpoints_ != nullptr && schedule_.due(done); };
  pass.save = [&] {
    if (checkpoints_ == nullptr) return;
    if (checkpoints_->save({.step = blocks_done(), .values = {}}, objects_)) schedule_.saved(blocks_done());
  };
  pass.shown = [&](int64_t done) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    const int64_t rows = rows_before(done);
    const double rate = static_cast<double>(rows - rows_before(first)) / elapsed.count();
    progress.show({.done = rows,
                   .total = pass.blocks.back(),
                   .text = "",
                   .tokens_per_second = rate,
                   .seconds_left = static_cast<double>(pass.blocks.back() - rows) / rate});
  };
  const sae::PassEnd end = run_pass(pass);
  seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  rows_ = rows_before(blocks_done()) - rows_before(first);
  return end;
}

}  // namespace orthant::launch
