#include "nn/tape.h"

#include <algorithm>

#include "kernels/elementwise.h"

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

std::string Tape::not_finite() const {
  for (const auto& [layer, output] : watched_)
    if (kernels::has_non_finite(output.value, output.size())) return std::string("the output of ") + layer;
  for (auto it = watched_.rbegin(); it != watched_.rend(); ++it)
    if (kernels::has_non_finite(it->second.gradient, it->second.size()))
      return std::string("the gradient of the output of ") + it->first;
  return "";
}

}  // namespace mnemo
