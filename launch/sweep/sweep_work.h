// The work of a sweep: cells are claimed, run and recorded, by any number of groups of ranks in any number of
// jobs, until every cell has a record.
//
// A claim is the lock of the cell's run directory, which dies with its process, so that a cell whose job was
// killed is taken over and continued from its checkpoint. Groups do not wait for each other but for the
// records. Trainings that read the same data are run together: they take turns, a step each, on one reading.
// Collective over the world of the sweep; main thread only.
#pragma once

#include "launch/sweep/sweep_cells.h"
#include "runtime/job/cell_records.h"
#include "runtime/job/sweep.pb.h"

namespace orthant::launch {

// Returns kDone when every cell has a record, kStopped when a stop was asked for before. A cell that throws
// is recorded as failed and the others go on; throws only what keeps the sweep itself from going on. `pack`:
// most cells that are run together (Sweep.pack).
[[nodiscard]] ExitCode work_on_cells(Invocation& invocation, const SweepCells& cells,
                                     const CellRecords& records, int pack);

}  // namespace orthant::launch
