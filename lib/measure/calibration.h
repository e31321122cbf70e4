// Calibration of probabilities: one temperature for all classes, fitted on held-out records.
#pragma once

#include <cstdint>
#include <vector>

namespace mnemo {

inline constexpr double kMinTemperature = 0.05;
inline constexpr double kMaxTemperature = 20.0;

/// The temperature T in [kMinTemperature, kMaxTemperature] that minimises the log loss of softmax(logits / T), or with
/// multi_label of sigmoid(logits / T) (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2). The
/// loss is convex in 1/T; the result is exact to a relative 1e-9.
/// 1 if nothing can be learnt: no record, a single class in gold (with multi_label: every class always or never), or
/// every answer right, when the loss has no minimum but keeps falling as T goes to 0.
/// `logits` [N, classes], `gold` [N] as in Predictions. Throws Error if the sizes do not match or a logit is not
/// finite.
double fit_temperature(const std::vector<float>& logits, int classes,
                       const std::vector<std::vector<std::int32_t>>& gold, bool multi_label);

}  // namespace mnemo
