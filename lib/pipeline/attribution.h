// How much each unit of a text weighs in one number that a model computes from it.
//
// The number F is a function of the units' vectors x_t as the recurrent layers are given them; the baseline of all
// methods is no input, x = 0.
//   gradient    dF/dx_t x_t (Shrikumar et al. 2016, gradient times input)
//   integrated  x_t times the mean of dF/dx_t on the straight way from 0 to x (Sundararajan, Taly & Yan 2017), by
//               Gauss-Legendre quadrature, of ever shorter stretches of the way where one does not do; the weights
//               add up to F(x) - F(0)
//   occlusion   F(x) - F(x with x_t = 0) (Zeiler & Fergus 2014)
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/index.h"
#include "nn/attribution.h"
#include "pipeline/text_model.h"

namespace mnemo {

/// The parts of an Attribution that differ between models: the number F.
class Attributed {
 public:
  virtual ~Attributed() = default;

  /// What F is, in words: "logit of positive".
  virtual std::string name() const = 0;
  /// The units that are weighed, T of them, and the name of the network that reads them.
  virtual const std::vector<std::string>& units() const = 0;
  virtual const char* network() const = 0;
  /// Records on the tape a batch of `copies` of the text, all T units long; F of each. In training the gradient of
  /// their sum is set. It must outlive the tape's backward.
  virtual std::vector<double> forward(Tape& tape, std::int64_t copies) = 0;
};

enum class AttributionMethod { kGradient, kIntegrated, kOcclusion };
std::optional<AttributionMethod> attribution_method(const std::string& name);

struct AttributionOptions {
  AttributionMethod method = AttributionMethod::kIntegrated;
  int steps = 50;  ///< of the quadrature over the whole way
  /// Occlusion: a text of more units than this is searched for the weightiest ones, and the others have no weight.
  std::size_t most_occluded = std::numeric_limits<std::size_t>::max();
  bool deletion = true;  ///< whether the deletion curve is made
};

Attribution attribute(Attributed& attributed, const AttributionOptions& options, ThreadPool& pool);

/// Nodes and weights of Gauss-Legendre quadrature on [0, 1]; n at least 1.
std::vector<std::pair<double, double>> gauss_legendre(int n);

}  // namespace mnemo
