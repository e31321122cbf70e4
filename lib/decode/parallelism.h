// How parallel the two lines of a couplet are.
#pragma once

#include <span>
#include <vector>

#include "decode/poem_form.h"
#include "nn/parameter.h"

namespace mnemo {

/// Unit vectors of a table's rows after their common mean is subtracted.
class CentredVectors {
 public:
  /// From a table [V, E]; `counted` [V] marks the rows that the mean is taken over.
  CentredVectors(const Parameter& table, const std::vector<bool>& counted);

  /// The cosine of two rows, -1 to 1.
  double cosine(std::int32_t a, std::int32_t b) const;

 private:
  Index columns_;
  std::vector<float> rows_;
};

/// The mean cosine of the characters at the same place of the two lines; a place with the same character in both counts
/// as 0, as it makes no couplet.
double parallelism(const CentredVectors& vectors, std::span<const std::int32_t> first,
                   std::span<const std::int32_t> second);

/// The first lines of the couplets that a form requires to be parallel: the second and third couplets of eight lines.
std::vector<std::size_t> parallel_couplets(const PoemForm& form);

}  // namespace mnemo
