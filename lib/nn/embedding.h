// A table of vectors, looked up by weighted bags of rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nn/parameter.h"
#include "nn/tape.h"

namespace mnemo {

/// The rows of the table that each of N tokens consists of, and their weights: token n has entries
/// [starts[n], starts[n + 1]).
struct Bags {
  std::vector<std::int32_t> starts{0};  // [N + 1]
  std::vector<std::int32_t> rows;
  std::vector<float> weights;

  Index tokens() const { return static_cast<Index>(starts.size()) - 1; }
};

/// y[n] = sum over the bag of weight * table[row]. The gradient, and so the optimiser's work, touches only rows that
/// occur in the batch, unless the table is `dense`, as a table that is also the output's weight must be.
class Embedding {
 public:
  Embedding(const std::string& name, Index rows, Index dimension, bool dense = false);

  /// Normal with deviation 1 / sqrt(dimension) would make the inputs' variance shrink with width; like PyTorch's
  /// nn.Embedding the table starts standard normal times `deviation`.
  void initialise(float deviation, std::uint64_t seed);
  void visit(const ParameterVisitor& visitor) { visitor(weight); }

  /// Extra rows that are never trained and not part of `weight`: row weight.rows() + i is `rows[i * dimension]`.
  void set_frozen_rows(std::span<const float> rows) { frozen_ = rows; }

  /// `bags` must outlive the tape's backward. May be called several times in one pass: the gradients add up.
  Activation forward(Tape& tape, const Bags& bags) const;

  Index dimension() const { return weight.row_size(); }

  Parameter weight;  // [rows, E]

 private:
  const float* row(std::int32_t index) const;

  std::span<const float> frozen_;  // [extra rows, E]
};

/// The distinct rows of a batch that are below `limit`, ascending.
std::vector<std::int32_t> distinct_rows(const Bags& bags, Index limit);

}  // namespace mnemo
