// How often each gate is closed and open, as Karpathy, Johnson & Fei-Fei (2015), "Visualizing and Understanding
// Recurrent Networks", count it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/cell_trace.h"
#include "report/findings.h"

namespace mnemo {

class Saturation {
 public:
  static constexpr float kClosed = 0.1f, kOpen = 0.9f;
  /// A unit's gate counts as always open, or as never, if it is at all but this share of the steps.
  static constexpr double kRest = 0.01;

  /// Counts the gates of a batch.
  void add(const CellTrace& trace);

  /// The share of steps below kClosed and above kOpen: by gate in a table, by unit in the data and as a scatter plot.
  /// Throws UsageError if there were no gates.
  Findings findings(const std::string& title) const;

 private:
  struct Gate {
    std::string network, direction, name, title;
    Index layer = 0;
    std::int64_t steps = 0;
    std::vector<std::int64_t> closed, open;  // [units]
  };
  std::vector<Gate> gates_;
};

}  // namespace mnemo
