// One step of each optimiser for one weight, in double precision, as PyTorch's torch.optim defines them: w the weight,
// g its gradient, t the step counted from 1.
#pragma once

#include <cmath>

namespace mnemo::reference {

/// An optimiser's state for one weight. All values start at 0.
struct OptimizerState {
  double momentum = 0.0;  // SGD and RMSProp: the velocity; Adam: the mean of the gradient
  double square = 0.0;    // Adam and RMSProp: the mean of the squared gradient
};

/// torch.optim.SGD(lr, momentum, weight_decay), dampening 0, not Nesterov:
///   g' = g + weight_decay w;  v = momentum v + g';  w = w - lr v
inline double sgd_step(double w, double g, OptimizerState& state, double lr, double momentum, double weight_decay) {
  state.momentum = momentum * state.momentum + g + weight_decay * w;
  return w - lr * state.momentum;
}

/// torch.optim.Adam(lr, betas, eps) without weight decay (Kingma & Ba 2015, algorithm 1):
///   m = beta1 m + (1 - beta1) g;  s = beta2 s + (1 - beta2) g^2
///   w = w - lr (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + eps)
inline double adam_step(double w, double g, OptimizerState& state, int t, double lr, double beta1, double beta2,
                        double epsilon) {
  state.momentum = beta1 * state.momentum + (1.0 - beta1) * g;
  state.square = beta2 * state.square + (1.0 - beta2) * g * g;
  const double mean = state.momentum / (1.0 - std::pow(beta1, t));
  const double square = state.square / (1.0 - std::pow(beta2, t));
  return w - lr * mean / (std::sqrt(square) + epsilon);
}

/// torch.optim.Adam with weight_decay: the decay joins the gradient, and so passes through both means.
///   g' = g + weight_decay w, then adam_step with g'
inline double adam_l2_step(double w, double g, OptimizerState& state, int t, double lr, double beta1, double beta2,
                           double epsilon, double weight_decay) {
  return adam_step(w, g + weight_decay * w, state, t, lr, beta1, beta2, epsilon);
}

/// torch.optim.AdamW (Loshchilov & Hutter 2019): the decay acts on the weight alone, before the step.
///   w' = w - lr weight_decay w, then adam_step from w' with g
inline double adamw_step(double w, double g, OptimizerState& state, int t, double lr, double beta1, double beta2,
                         double epsilon, double weight_decay) {
  return adam_step(w - lr * weight_decay * w, g, state, t, lr, beta1, beta2, epsilon);
}

/// torch.optim.RMSprop(lr, alpha, eps, weight_decay, momentum), not centred (Tieleman & Hinton 2012, lecture 6.5):
///   g' = g + weight_decay w;  s = alpha s + (1 - alpha) g'^2
///   v = momentum v + g' / (sqrt(s) + eps);  w = w - lr v
inline double rmsprop_step(double w, double g, OptimizerState& state, double lr, double alpha, double epsilon,
                           double weight_decay, double momentum) {
  const double gradient = g + weight_decay * w;
  state.square = alpha * state.square + (1.0 - alpha) * gradient * gradient;
  state.momentum = momentum * state.momentum + gradient / (std::sqrt(state.square) + epsilon);
  return w - lr * state.momentum;
}

}  // namespace mnemo::reference
