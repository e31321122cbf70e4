// Commands that several processes run together, as mpirun has started them.
#pragma once

#include <functional>

#include "parallel/transport.h"

namespace mnemo {

/// Calls `run` with what connects this process to the others that a launcher has started with it, or with null if there
/// are none. Process 0 alone prints. Errors before the processes have agreed to begin, and those that all have alike,
/// are reported once; another one ends all processes.
int run_together(const std::function<int(Transport*)>& run);

/// Throws UsageError if a launcher has started other processes with this one, for what one does alone.
void refuse_together(const char* what);

/// What the programs of all processes must have in common.
std::vector<Fact> program_facts();

}  // namespace mnemo
