#include "nn/convolution.h"

#include "nn/activation.h"
#include "nn/rows.h"

namespace mnemo {

double convolution_parameters(const ConvolutionOptions& options, Index input) {
  double out = 0;
  for (const Index width : options.widths)
    out += static_cast<double>(options.filters) * (static_cast<double>(width) * static_cast<double>(input) + 1);
  return out;
}

Convolution::Convolution(const std::string& name, const ConvolutionOptions& options, Index input)
    : widths_(options.widths) {
  for (std::size_t k = 0; k < widths_.size(); ++k)
    layers_.emplace_back(name + std::to_string(k), widths_[k] * input, options.filters);
}

void Convolution::initialise(Initialiser initialiser, std::uint64_t seed) {
  for (Linear& layer : layers_) layer.initialise(initialiser, seed);
}

void Convolution::visit(const ParameterVisitor& visitor) {
  for (Linear& layer : layers_) layer.visit(visitor);
}

void Convolution::visit_matrices(const ParameterVisitor& visitor) {
  for (Linear& layer : layers_) visitor(layer.weight);
}

void Convolution::weights_changed() {
  for (Linear& layer : layers_) layer.weights_changed();
}

void Convolution::set_precision(kernels::Precision precision) {
  for (Linear& layer : layers_) layer.set_precision(precision);
}

void Convolution::prepare(ThreadPool& pool) {
  for (Linear& layer : layers_) layer.prepare(pool);
}

void Convolution::prepare(Tape& tape) {
  for (Linear& layer : layers_) layer.prepare(tape);
}

Activation Convolution::forward(Tape& tape, const Packing& packing, const Activation& x) const {
  std::vector<Columns> parts;
  for (std::size_t k = 0; k < layers_.size(); ++k) {
    parts.push_back({layers_[k].forward(tape, windows(tape, packing, x, widths_[k])), {}});
    relu_in_place(tape, parts.back().x);
  }
  return parts.size() == 1 ? parts.front().x : side_by_side(tape, x.rows, parts);
}

}  // namespace mnemo
