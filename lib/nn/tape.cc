#include "nn/tape.h"

#include <algorithm>

namespace mnemo {

Activation Tape::allocate(Index rows, Index columns) {
  Activation out{arena.allocate(rows * columns), nullptr, rows, columns};
  if (training()) {
    out.gradient = arena.allocate(out.size());
    std::fill_n(out.gradient, out.size(), 0.0f);
  }
  return out;
}

void Tape::backward() {
  while (!closures_.empty()) {
    closures_.back()();
    closures_.pop_back();
  }
}

}  // namespace mnemo
