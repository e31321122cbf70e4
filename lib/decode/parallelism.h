// How alike the two lines of a couplet are built.
#pragma once

#include <span>
#include <vector>

#include "decode/poem_form.h"
#include "nn/parameter.h"

namespace mnemo {

/// Vectors of units from which what all have in common is taken away, of length 1.
class CentredVectors {
 public:
  /// Of a table [V, E]; `counted` [V] says which rows the mean is of.
  CentredVectors(const Parameter& table, const std::vector<bool>& counted);

  /// The cosine of two rows, -1 to 1.
  double cosine(std::int32_t a, std::int32_t b) const;

 private:
  Index columns_;
  std::vector<float> rows_;
};

/// The mean cosine of the characters that stand at the same place of the two lines; a character that stands in both
/// counts 0, as it makes no couplet.
double parallelism(const CentredVectors& vectors, std::span<const std::int32_t> first,
                   std::span<const std::int32_t> second);

/// The first lines of the couplets that a form wants parallel: the second and the third of eight lines.
std::vector<std::size_t> parallel_couplets(const PoemForm& form);

}  // namespace mnemo
