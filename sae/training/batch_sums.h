// Sums of f64 over the rows of a whole batch, each replica giving those of its own rows. Rows are added in
// their order, so the bits depend neither on the number of replicas nor on threads. Memory is allocated at
// construction. Collective over the replicas unless it says "local"; not thread-safe.
#pragma once

#include "runtime/device/host_copy.h"
#include "runtime/device/tensor.h"
#include "sae/training/replica_exchange.h"

namespace orthant::sae {

class BatchSums {
 public:
  BatchSums(Memory& memory, int64_t d_model, ReplicaExchange& exchange);

  // Local. One value for each row of this replica, to be written before total().
  [[nodiscard]] Vector<double> own_values();
  // The sum of the values of all rows.
  [[nodiscard]] double total(Stream& stream);

  // Local. The sum over the rows of `matrix` [rows, d_model]; valid until the next call of this object.
  [[nodiscard]] Vector<double> columns(Matrix<const float> matrix, Stream& stream);

  // Sum over the batch of the squared distance of a row to the mean row; `own` [own rows, d_model] are this
  // replica's rows.
  [[nodiscard]] double variance(Matrix<const float> own, Stream& stream);
  // The same where the sum of all rows of the batch, `sums` [d_model], is known.
  [[nodiscard]] double variance(Matrix<const float> own, Vector<const double> sums, Stream& stream);

 private:
  ReplicaExchange* exchange_;
  Tensor<double, 1> row_values_;   // [batch rows]
  Tensor<double, 1> column_sums_;  // [d_model]
  HostCopy values_on_host_;
};

}  // namespace orthant::sae
