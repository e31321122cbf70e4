// Probabilities of classes from logits, softened or sharpened by one temperature (Guo et al. 2017, section 4.2).
#pragma once

#include <vector>

namespace mnemo {

/// The range of temperatures that a model may have, well beyond those that fitting gives (measure/calibration.h). Far
/// from 1, probabilities are all equal, or 0 and 1.
inline constexpr double kLeastTemperature = 0.01, kMostTemperature = 100.0;

/// softmax(logits / temperature) by rows, or with multi_label the sigmoid of each: [N, classes], computed in double.
std::vector<float> apply_temperature(const std::vector<float>& logits, int classes, double temperature,
                                     bool multi_label);

}  // namespace mnemo
