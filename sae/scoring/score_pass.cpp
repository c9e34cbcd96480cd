#include "sae/scoring/score_pass.h"

#include <algorithm>

#include "runtime/job/faults.h"
#include "sae/dictionary/inference.h"
#include "sae/scoring/sequence_blocks.h"

namespace orthant::sae {
namespace {

constexpr uint64_t kStop = 1;
constexpr uint64_t kSave = 2;

int64_t largest_block(std::span<const int64_t> offsets) {
  int64_t largest = 0;
  for (size_t b = 1; b < offsets.size(); ++b) largest = std::max(largest, offsets[b] - offsets[b - 1]);
  return largest;
}

// Reads, encodes and adds blocks on this rank.
class BlockScorer {
 public:
  BlockScorer(const ScorePass& pass, ScoreSums& sums, Memory& memory)
      : pass_(&pass),
        sums_(&sums),
        x_(memory, "score", {largest_block(pass.blocks), pass.dictionary->d_model}),
        masks_(memory, "score", {largest_block(pass.blocks)}),
        inference_(memory, *pass.dictionary, largest_block(pass.blocks), *pass.grid->dictionary,
                   pass.virtual_shards) {}

  void read(int64_t block) {
    first_ = pass_->blocks[static_cast<size_t>(block)];
    rows_ = pass_->blocks[static_cast<size_t>(block) + 1] - first_;
    pass_->source->read(Split::kTrain, first_, x_.view().rows(0, rows_), &labels_);
    const std::vector<int64_t> offsets = sequence_offsets(labels_);
    for (size_t s = 0; s + 1 < offsets.size(); ++s) {
      const auto begin = static_cast<size_t>(offsets[s]);
      const auto tokens = static_cast<size_t>(offsets[s + 1]) - begin;
      pass_->marker->mark(std::span(labels_.token_ids).subspan(begin, tokens),
                          masks_.view().span().subspan(begin, tokens));
    }
  }

  // Collective over the shards.
  void score(int64_t block) {
    const kernels::CodesView codes = inference_.encode(x_.view().rows(0, rows_));
    sums_->add(codes, masks_.view().rows(0, rows_), first_);
    pass_->encoded({block, first_, codes, &labels_});
  }

 private:
  const ScorePass* pass_;
  ScoreSums* sums_;
  Tensor<float, 2> x_;         // [rows of the largest block, d_model]
  Tensor<uint64_t, 1> masks_;  // [rows of the largest block]
  RowLabels labels_;
  Inference inference_;
  int64_t first_ = 0;
  int64_t rows_ = 0;
};

}  // namespace

ScorePassEnd run_score_pass(const ScorePass& pass, ScoreSums& sums, Memory& memory) {
  ControlGroup& control = *pass.world->control;
  Communicator& replicas = *pass.grid->data;
  const auto blocks = static_cast<int64_t>(pass.blocks.size()) - 1;
  BlockScorer scorer(pass, sums, memory);
  for (int64_t done = sums.blocks_done(); done < blocks;) {
    fault_point("score.block");
    const int64_t own = done + replicas.rank();
    agree(control, "read activations", [&] {
      if (own < blocks) scorer.read(own);
    });
    if (own < blocks) scorer.score(own);
    done = std::min(done + replicas.size(), blocks);
    uint64_t word = pass.stop_wanted() ? kStop : 0;
    if (control.rank() == 0 && pass.save_due(done)) word |= kSave;
    word = control.bit_or(word);
    pass.shown(done);
    if (word == 0 && done < blocks) continue;
    sums.merge(replicas, done);
    pass.save();
    if ((word & kStop) != 0 && done < blocks) return ScorePassEnd::kStopped;
  }
  return ScorePassEnd::kFinished;
}

}  // namespace orthant::sae
