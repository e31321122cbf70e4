// What a model of any task is to whoever trains, stores or rounds it: a set of parameters.
#pragma once

#include <cstdint>
#include <functional>

#include "base/thread_pool.h"
#include "kernels/product.h"
#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

/// A network answers through a const `forward` of its own, whose inputs and outputs are its task's. Before it answers
/// its weights are packed by `prepare`; from then on any number of threads may use it at once, until somebody calls
/// what is not const.
class Network {
 public:
  virtual ~Network() = default;

  /// Seeded initial values of all weights.
  virtual void initialise(std::uint64_t seed) = 0;
  /// Every parameter once, always in the same order.
  virtual void visit(const ParameterVisitor& visitor) = 0;
  /// The same for who only reads.
  void read_parameters(const std::function<void(const Parameter&)>& reader) const {
    const_cast<Network*>(this)->visit([&](Parameter& p) { reader(p); });
  }
  /// Those that a model of lower precision stores in it: the matrices that products multiply by, and the embedding's
  /// table.
  virtual void visit_matrices(const ParameterVisitor& visitor) = 0;
  /// To be called after the weights changed: they are packed anew by the next `prepare`.
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
