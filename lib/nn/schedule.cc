#include "nn/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mnemo {

double Schedule::rate(std::int64_t step) const {
  const double r = options_.learning_rate, end = options_.end_factor * r;
  const auto s = static_cast<double>(step), w = static_cast<double>(options_.warmup);
  if (step <= options_.warmup) return state.scale * r * s / w;
  const double rest = std::max(1.0, static_cast<double>(options_.steps) - w);
  const double p = std::clamp((s - w) / rest, 0.0, 1.0);
  switch (options_.kind) {
    case ScheduleKind::kLinear:
      return r * (1.0 - p) + end * p;
    case ScheduleKind::kCosine:
      return end + (r - end) * 0.5 * (1.0 + std::cos(std::numbers::pi * p));
    case ScheduleKind::kInverseSqrt:
      return r * std::sqrt(std::max(1.0, w) / s);
    case ScheduleKind::kConstant:
    case ScheduleKind::kPlateau:
      break;
  }
  return state.scale * r;
}

void Schedule::evaluated(bool better) {
  if (options_.kind != ScheduleKind::kPlateau) return;
  state.waited = better ? 0 : state.waited + 1;
  if (state.waited < options_.patience) return;
  state.scale *= options_.factor;
  state.waited = 0;
}

}  // namespace mnemo
