#include "sae/scoring/score_pass.h"

#include "sae/scoring/sequence_blocks.h"

namespace orthant::sae {
namespace {

// What the rows of a block are.
class BlockMarker {
 public:
  BlockMarker(const ScorePass& pass, int64_t snippet_tokens)
      : pass_(&pass), snippet_tokens_(snippet_tokens) {}

  void mark(const RowLabels& labels, int64_t first_row) {
    const std::vector<int64_t> offsets = sequence_offsets(labels);
    masks_.assign(labels.token_ids.size(), 0);
    snippets_.clear(labels.token_ids.size());
    for (size_t s = 0; s + 1 < offsets.size(); ++s) {
      const Share sequence{offsets[s], offsets[s + 1] - offsets[s]};
      const bool is_scored = pass_->scored_rows == 0 || first_row + sequence.first < pass_->scored_rows;
      if (is_scored) mark_windows(labels, sequence);
      if (snippet_tokens_ > 0) cut_snippets(labels, sequence, is_scored);
    }
  }
  [[nodiscard]] Vector<const uint64_t> masks() const {
    return {masks_.data(), {static_cast<int64_t>(masks_.size())}, kCpu};
  }
  [[nodiscard]] const SnippetCut& snippets() const { return snippets_; }

 private:
  void mark_windows(const RowLabels& labels, Share sequence) {
    const auto begin = static_cast<size_t>(sequence.first), count = static_cast<size_t>(sequence.count);
    pass_->marker->mark(std::span(labels.token_ids).subspan(begin, count),
                        std::span(masks_).subspan(begin, count));
  }

  void cut_snippets(const RowLabels& labels, Share sequence, bool is_scored) {
    for (int64_t first = sequence.first; first + snippet_tokens_ <= sequence.end();
         first += snippet_tokens_) {
      bool has_word = false;
      for (int64_t row = first; row < first + snippet_tokens_; ++row) {
        has_word = has_word || (masks_[static_cast<size_t>(row)] >> pass_->marker->near_bit() & 1) != 0;
      }
      const bool is_contrasted = pass_->scored_rows > 0;
      const bool is_in_first_group = is_contrasted ? is_scored : has_word;
      snippets_.begin_snippet(is_in_first_group ? 0 : 1);
      for (int64_t row = first; row < first + snippet_tokens_; ++row) {
        const auto at = static_cast<size_t>(row);
        // The first token of a row has activations like no other, whatever it is.
        if (labels.positions[at] > 0 && !pass_->marker->is_special(labels.token_ids[at]))
          snippets_.add_row(at);
      }
    }
  }

  const ScorePass* pass_;
  int64_t snippet_tokens_;
  std::vector<uint64_t> masks_;  // [rows]
  SnippetCut snippets_;
};

}  // namespace

PassEnd run_score_pass(const ScorePass& pass, ScoreSums& sums, PooledMoments* pooled, Memory& memory) {
  BlockMarker marker(pass, pooled == nullptr ? 0 : pooled->snippet_tokens());
  Communicator& replicas = *pass.codes.grid->data;
  CodePass codes = pass.codes;
  codes.encoded = [&](const EncodedBlock& block) {
    marker.mark(*block.labels, block.first_row);
    sums.add(block.codes, marker.masks(), block.first_row);
    if (pooled != nullptr) pooled->add(block.codes, marker.snippets());
    pass.codes.encoded(block);
  };
  codes.merge = [&](int64_t blocks_done) {
    sums.merge(replicas, blocks_done);
    if (pooled != nullptr) pooled->merge(replicas);
  };
  return run_code_pass(codes, sums.blocks_done(), memory);
}

}  // namespace orthant::sae
