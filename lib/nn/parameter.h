// The weights of a model.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/index.h"

namespace mnemo {

/// A named tensor of weights with its gradient.
///
/// A dense parameter has a gradient of its own size. A sparse one (an embedding) is a table of rows, and has a gradient
/// only for the rows that occur in the batch: row `touched[i]` of the table has its gradient in row i of `gradient`.
struct Parameter {
  /// The values are not set: an initialiser or a file does that.
  Parameter(std::string its_name, std::vector<Index> its_shape, bool is_sparse = false);

  Index size() const;
  Index rows() const { return shape.front(); }
  Index row_size() const { return size() / rows(); }

  /// Sets the gradient to zero and forgets the touched rows.
  void clear_gradient();

  std::string name;
  std::vector<Index> shape;
  bool sparse;
  bool frozen = false;  ///< the optimiser leaves it alone
  float rate = 1.0f;    ///< factor of the optimiser's rate, but not of weight decay; 0: the values stay as they are
  AlignedVector value;
  AlignedVector gradient;                // dense: [shape]; sparse: [touched, row_size]
  std::vector<std::uint8_t> fixed_rows;  ///< sparse: where 1, the row is not trained; empty: all are
  std::vector<std::int32_t> touched;     // sparse: ascending
};

/// Visits each parameter of a layer or model once, always in the same order.
using ParameterVisitor = std::function<void(Parameter&)>;

}  // namespace mnemo
