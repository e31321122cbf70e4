// Losses of a classifier. Both return the mean over the batch and add its gradient to the logits'.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nn/tape.h"

namespace mnemo {

/// Cross-entropy of softmax(logits [B, K]) with one label each:
///   loss = sum_b w[y_b] * -(sum_k q_bk log p_bk) / sum_b w[y_b],  q = (1 - s) onehot(y) + s / K
/// with class weights w (empty: all 1) and label smoothing s (Szegedy et al. 2016). All terms of a record have the
/// weight of its true class, also under smoothing. A label of -1 is not among the K: its record is left out.
double softmax_cross_entropy(const Activation& logits, std::span<const std::int32_t> labels,
                             std::span<const float> class_weights, float smoothing);

/// Sum over the K labels of binary cross-entropies of sigmoid(logits), mean over records; `targets` [B, K] in {0, 1},
/// smoothed to s/2 and 1 - s/2. A class's weight multiplies its terms where the target is 1.
double sigmoid_cross_entropy(const Activation& logits, std::span<const float> targets,
                             std::span<const float> class_weights, float smoothing);

}  // namespace mnemo
