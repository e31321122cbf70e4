// Probabilities of classes from logits, softened or sharpened by one temperature (Guo et al. 2017, section 4.2).
#pragma once

#include <vector>

namespace mnemo {

/// softmax(logits / temperature) by rows, or with multi_label sigmoid of each: [N, classes], worked out in double.
std::vector<float> apply_temperature(const std::vector<float>& logits, int classes, double temperature,
                                     bool multi_label);

}  // namespace mnemo
