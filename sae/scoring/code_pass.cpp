#include "sae/scoring/code_pass.h"

#include <algorithm>

#include "runtime/job/faults.h"
#include "sae/dictionary/inference.h"

namespace orthant::sae {
namespace {

constexpr uint64_t kStop = 1;
constexpr uint64_t kSave = 2;

int64_t largest_block(std::span<const int64_t> offsets) {
  int64_t largest = 0;
  for (size_t b = 1; b < offsets.size(); ++b) largest = std::max(largest, offsets[b] - offsets[b - 1]);
  return largest;
}

// Reads and encodes blocks on this rank.
class BlockEncoder {
 public:
  BlockEncoder(const CodePass& pass, Memory& memory)
      : pass_(&pass),
        x_(memory, "score", {largest_block(pass.blocks), pass.dictionary->d_model}),
        inference_(memory, *pass.dictionary, largest_block(pass.blocks), *pass.grid->dictionary,
                   pass.virtual_shards) {}

  void read(int64_t block) {
    first_ = pass_->blocks[static_cast<size_t>(block)];
    rows_ = pass_->blocks[static_cast<size_t>(block) + 1] - first_;
    pass_->source->read(Split::kTrain, first_, x_.view().rows(0, rows_), &labels_);
  }

  // Collective over the shards.
  [[nodiscard]] EncodedBlock encode(int64_t block) {
    return {block, first_, inference_.encode(x_.view().rows(0, rows_)), &labels_};
  }

 private:
  const CodePass* pass_;
  Tensor<float, 2> x_;  // [rows of the largest block, d_model]
  RowLabels labels_;
  Inference inference_;
  int64_t first_ = 0;
  int64_t rows_ = 0;
};

}  // namespace

PassEnd run_code_pass(const CodePass& pass, int64_t first, Memory& memory) {
  ControlGroup& control = *pass.world->control;
  Communicator& replicas = *pass.grid->data;
  const auto blocks = static_cast<int64_t>(pass.blocks.size()) - 1;
  BlockEncoder encoder(pass, memory);
  for (int64_t done = first; done < blocks;) {
    fault_point("score.block");
    const int64_t own = done + replicas.rank();
    agree(control, "read activations", [&] {
      if (own < blocks) encoder.read(own);
    });
    const EncodedBlock block = own < blocks ? encoder.encode(own) : EncodedBlock{};
    agree(control, "keep what was encoded", [&] {
      if (own < blocks) pass.encoded(block);
    });
    done = std::min(done + replicas.size(), blocks);
    uint64_t word = pass.stop_wanted() ? kStop : 0;
    if (control.rank() == 0 && pass.save_due(done)) word |= kSave;
    word = control.bit_or(word);
    pass.shown(done);
    if (word == 0 && done < blocks) continue;
    pass.merge(done);
    pass.save();
    if ((word & kStop) != 0 && done < blocks) return PassEnd::kStopped;
  }
  return PassEnd::kFinished;
}

}  // namespace orthant::sae
