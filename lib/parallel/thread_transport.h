// Processes of a run that are threads of one process: for tests, and for the thread sanitizer.
#pragma once

#include <memory>
#include <vector>

#include "parallel/transport.h"

namespace mnemo {

/// The ends of `ranks` threads, by rank. One that is destroyed or calls `end_all` is lost to the others: an exchange
/// with it throws Error.
std::vector<std::unique_ptr<Transport>> connected_threads(int ranks);

}  // namespace mnemo
