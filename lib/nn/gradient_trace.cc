#include "nn/gradient_trace.h"

#include <algorithm>
#include <cmath>

#include "nn/recurrent_layer.h"

namespace mnemo {
namespace {

double norm_of(const float* values, Index count) {
  double squares = 0;
  for (Index j = 0; j < count; ++j) squares += static_cast<double>(values[j]) * static_cast<double>(values[j]);
  return std::sqrt(squares);
}

}  // namespace

void keep_last_steps(const Packing& packing, Index directions, const Activation& y) {
  const Index P = y.columns / directions;
  for (Index b = 0; b < packing.sequences(); ++b)
    for (Index t = 0; t < packing.length(b); ++t)
      for (Index d = 0; d < directions; ++d)
        if (t != (d == 0 ? packing.length(b) - 1 : 0))
          std::fill_n(y.gradient + packing.row(b, t) * y.columns + d * P, P, 0.0f);
}

void trace_gradients(const LayerRun& run, const std::string& network, Index layer, GradientTrace& trace) {
  const Packing& packing = *run.packing;
  for (Index i = 0; i < run.directions(); ++i) {
    const DirectionRun& d = run.direction[i];
    GradientTrace::Layer& out = trace.layers.emplace_back();
    out.network = network;
    out.layer = layer;
    out.direction = i;
    for (Index b = 0; b < packing.sequences(); ++b) {
      std::vector<double> h, c;
      for (Index lag = 0; lag < packing.length(b); ++lag) {
        const Index row = packing.row(b, i == 0 ? packing.length(b) - 1 - lag : lag);
        h.push_back(norm_of(d.total_dh + row * run.output(), run.output()));
        if (d.carried_dc) c.push_back(norm_of(d.carried_dc + row * run.hidden(), run.hidden()));
      }
      out.h.push_back(std::move(h));
      if (d.carried_dc) out.c.push_back(std::move(c));
    }
  }
}

}  // namespace mnemo
