// Convolutions over the steps of sequences: the local n-grams beside what a recurrent layer carries along.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/linear.h"
#include "nn/packing.h"
#include "nn/tape.h"

namespace mnemo {

struct ConvolutionOptions {
  std::vector<Index> widths;  ///< in steps; empty: no convolution
  Index filters = 0;          ///< F, of each width
  bool before = false;        ///< the recurrent layers read its output beside its input; else it stands beside them

  Index output() const { return std::ssize(widths) * filters; }
  /// Columns that it adds to the recurrent layers' input, and to their output.
  Index added_before() const { return before ? output() : 0; }
  Index added_after() const { return before ? 0 : output(); }
};

/// The number of its weights; a double, as the options of a damaged file may be anything.
double convolution_parameters(const ConvolutionOptions& options, Index input);

/// For each width w and step t (Kim 2014, "Convolutional Neural Networks for Sentence Classification"):
///   y_t = max(0, W [x_{t - floor(w / 2)}; ...; x_{t + ceil(w / 2) - 1}] + b),  W [F, w C], b [F]
/// with zeros for steps outside the sequence, so that there are as many steps as before.
class Convolution {
 public:
  Convolution(const std::string& name, const ConvolutionOptions& options, Index input);

  void initialise(Initialiser initialiser, std::uint64_t seed);
  void visit(const ParameterVisitor& visitor);
  void visit_matrices(const ParameterVisitor& visitor);
  void weights_changed();
  void set_precision(kernels::Precision precision);
  void prepare(ThreadPool& pool);
  void prepare(Tape& tape);

  /// x [N, C] -> y [N, widths * F]. `packing` must outlive the tape's backward. Call after `prepare`.
  Activation forward(Tape& tape, const Packing& packing, const Activation& x) const;

 private:
  std::vector<Index> widths_;
  std::vector<Linear> layers_;
};

}  // namespace mnemo
