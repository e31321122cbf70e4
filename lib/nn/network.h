// The interface of a model of any task for training, storing and rounding it: a set of parameters.
#pragma once

#include <cstdint>
#include <functional>

#include "base/thread_pool.h"
#include "kernels/product.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

/// A network answers through a const `forward` of its own, with the inputs and outputs of its task. Its weights must be
/// packed by `prepare` first; from then on any number of threads may use it at once, until a non-const function is
/// called.
class Network {
 public:
  virtual ~Network() = default;

  /// Seeded initial values of all weights.
  virtual void initialise(std::uint64_t seed) = 0;
  /// Every parameter once, always in the same order.
  virtual void visit(const ParameterVisitor& visitor) = 0;
  /// The same for read-only access.
  void read_parameters(const std::function<void(const Parameter&)>& reader) const {
    const_cast<Network*>(this)->visit([&](Parameter& p) { reader(p); });
  }
  /// Those that a model of lower precision stores in that precision: the matrices of products, and the embedding's
  /// table.
  virtual void visit_matrices(const ParameterVisitor& visitor) = 0;
  /// To be called after the weights changed: the next `prepare` packs them again.
  virtual void weights_changed() = 0;
  /// Precision of the products in inference: kFloat32, kBfloat16Weights or kInt8.
  virtual void set_precision(kernels::Precision precision) = 0;
  /// Packs what changed, for inference.
  virtual void prepare(ThreadPool& pool) = 0;

 protected:
  Network() = default;
  Network(const Network&) = default;
  Network& operator=(const Network&) = default;
};

}  // namespace mnemo
