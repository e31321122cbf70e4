#include "nn/input_trace.h"

#include "base/error.h"
#include "kernels/elementwise.h"

namespace mnemo {

Activation traced_input(Tape& tape, const std::string& network, const Activation& x) {
  if (!tape.input_trace || tape.input_trace->network != network || tape.input_trace->given.value) return x;
  InputTrace& trace = *tape.input_trace;
  if (std::ssize(trace.factors) != x.rows) fail("{} factors for {} rows of input", trace.factors.size(), x.rows);
  const Activation y = tape.allocate(x.rows, x.columns);
  for (Index row = 0; row < x.rows; ++row)
    for (Index j = 0; j < x.columns; ++j)
      y.value[row * x.columns + j] = trace.factors[row] * x.value[row * x.columns + j];
  trace.given = x;
  trace.scaled = y;
  if (x.gradient)
    tape.record([x, y, &trace] {
      for (Index row = 0; row < x.rows; ++row)
        kernels::add_scaled(trace.factors[row], y.gradient + row * x.columns, x.gradient + row * x.columns, x.columns);
    });
  return y;
}

}  // namespace mnemo
