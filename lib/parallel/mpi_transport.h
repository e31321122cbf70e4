// Processes that an MPI launcher has started: mpirun, or srun of Slurm.
#pragma once

#include <memory>

#include "parallel/transport.h"

namespace mnemo {

/// What the environment says of a launcher.
struct Launched {
  int rank = 0, ranks = 1;  ///< ranks 0: a launcher that does not say how many
};
Launched launched();

/// Opens libmnemo-mpi.so, which lies beside the program or in ../lib/mnemo, and joins the other processes. Null if the
/// launcher has started this process alone. Throws Error if the module is missing, or of another MPI than the launcher.
std::unique_ptr<Transport> join_launched(const Launched& by);

}  // namespace mnemo
