// How replicas deal out the rows of a batch, and what they send each other where codes travel: every replica
// ends with the rows and codes of the whole batch, in the order of the rows. Collective over the replicas
// unless it says "local"; not thread-safe.
#pragma once

#include <span>
#include <vector>

#include "kernels/codes/codes.h"
#include "runtime/comm/communicator.h"
#include "runtime/core/share.h"
#include "sae/training/data_parallel.h"

namespace orthant::sae {

class ReplicaExchange {
 public:
  // `rows` rows a batch, dealt over the replicas in order.
  ReplicaExchange(int64_t rows, DataParallel way, Communicator& replicas);

  // Local. Rows of the batch that this replica works on.
  [[nodiscard]] Share own_rows() const { return share_of(rows_, replicas_->size(), replicas_->rank()); }
  // Local. Rows of the batch that this replica keeps inputs and gradients of: all of them where codes travel.
  [[nodiscard]] Share held_rows() const { return codes_travel() ? Share{0, rows_} : own_rows(); }
  // Local. This replica's rows among those held: `held` [held rows, width] -> [own rows, width].
  [[nodiscard]] Matrix<float> own(Matrix<float> held) const {
    return held.rows(own_rows().first - held_rows().first, own_rows().count);
  }
  [[nodiscard]] int64_t batch_rows() const { return rows_; }
  [[nodiscard]] bool codes_travel() const { return way_ == DataParallel::kCodes; }
  [[nodiscard]] Communicator& replicas() const { return *replicas_; }

  // `all` [rows, width] holds this replica's rows in their place and receives the others'.
  void gather_rows(Matrix<float> all, Stream& stream);
  // `own` [own rows] -> `all` [rows]; the same memory where there is one replica.
  void gather_values(Vector<double> all, Stream& stream);

  // The codes of all rows, with the gradient of each value. `own_gradients` [entries]. Returns views of `all`
  // and `all_gradients`, or of the arguments where there is one replica.
  struct GatheredCodes {
    kernels::CodesView codes;
    Vector<const float> value_gradients;
  };
  [[nodiscard]] GatheredCodes gather_codes(kernels::CodesView own, Vector<const float> own_gradients,
                                           kernels::CodesView all, Vector<float> all_gradients,
                                           Stream& stream);

 private:
  // Elements that each replica brings of rows of `width`; valid until the next call.
  [[nodiscard]] std::span<const int64_t> row_counts(int64_t width);
  int64_t rows_;
  DataParallel way_;
  Communicator* replicas_;
  std::vector<int64_t> counts_;   // [replicas] elements that each brings to an exchange
  std::vector<int64_t> offsets_;  // [rows + 1] of the codes of all replicas, on the host; or [0]
};

}  // namespace orthant::sae
