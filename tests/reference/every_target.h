// Tests of kernels once for each instruction set of this processor.
#pragma once

#include <string>

#include "kernels/targets.h"
#include "tests/catch.h"

/// Calls `body` with each available instruction set in use, and leaves the best one in use.
template <class Body>
void on_every_target(const Body& body) {
  using namespace mnemo::kernels;
  for (const std::string& target : available_targets()) {
    use_target(target);
    INFO("instruction set " << target);
    body();
  }
  use_target(available_targets().front());
}
