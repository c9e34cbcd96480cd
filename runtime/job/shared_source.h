// One reading of a source for several readers: what one of them has read, the others get from memory.
//
// Readers that take turns and ask for the same samples cost one reading; what was read longest ago makes way.
// What a source gives is a pure function of the sample number, so no reader can tell. Rows that are asked for
// with labels are read anew. One thread at a time; not Collective.
#pragma once

#include <deque>

#include "runtime/device/memory.h"
#include "runtime/device/tensor.h"
#include "runtime/job/activation_source.h"

namespace orthant {

class SharedSource : public ActivationSource {
 public:
  // Keeps up to `room_rows` rows in `memory`, on the host. `source` outlives this one.
  SharedSource(ActivationSource& source, int64_t room_rows, Memory& memory);

  [[nodiscard]] int64_t d_model() const override { return source_.d_model(); }
  [[nodiscard]] int64_t rows(Split split) const override { return source_.rows(split); }
  void read(Split split, int64_t first, Matrix<float> into, RowLabels* labels) override;
  void read_labels(Split split, int64_t first, int64_t count, RowLabels& labels) override {
    source_.read_labels(split, first, count, labels);
  }
  [[nodiscard]] int64_t model_tokens() const override { return source_.model_tokens(); }
  [[nodiscard]] ExcludedRows excluded() const override { return source_.excluded(); }
  [[nodiscard]] std::string identity() const override { return source_.identity(); }

  // Rows that were read of the source, and that readers got.
  [[nodiscard]] int64_t rows_read() const { return rows_read_; }
  [[nodiscard]] int64_t rows_given() const { return rows_given_; }

 private:
  // Samples [first, first + count) of `split`, which lie in room_ from row `place` on.
  struct Kept {
    Split split;
    int64_t first;
    int64_t count;
    int64_t place;
  };
  [[nodiscard]] const Kept* find(Split split, int64_t first, int64_t count) const;
  // Makes room for `count` rows and returns where.
  int64_t make_room(int64_t count);

  ActivationSource& source_;
  Tensor<float, 2> room_;  // [room rows, d_model], filled in a ring
  std::deque<Kept> kept_;  // oldest first
  int64_t end_ = 0;        // of what was filled last
  int64_t rows_read_ = 0;
  int64_t rows_given_ = 0;
};

}  // namespace orthant
