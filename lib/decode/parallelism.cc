#include "decode/parallelism.h"

#include <cmath>

namespace mnemo {

CentredVectors::CentredVectors(const Parameter& table, const std::vector<bool>& counted)
    : columns_(table.row_size()), rows_(table.value.data(), table.value.data() + table.size()) {
  std::vector<double> mean(columns_, 0.0);
  double count = 0;
  for (std::size_t v = 0; v < counted.size(); ++v) {
    if (!counted[v]) continue;
    ++count;
    for (Index e = 0; e < columns_; ++e) mean[e] += static_cast<double>(rows_[static_cast<Index>(v) * columns_ + e]);
  }
  for (std::size_t v = 0; v < counted.size(); ++v) {
    float* row = rows_.data() + static_cast<Index>(v) * columns_;
    double square = 0;
    for (Index e = 0; e < columns_; ++e) {
      row[e] -= static_cast<float>(mean[e] / std::max(1.0, count));
      square += static_cast<double>(row[e]) * static_cast<double>(row[e]);
    }
    for (Index e = 0; e < columns_; ++e) row[e] /= static_cast<float>(std::sqrt(square) + 1e-12);
  }
}

double CentredVectors::cosine(std::int32_t a, std::int32_t b) const {
  double out = 0;
  for (Index e = 0; e < columns_; ++e)
    out += static_cast<double>(rows_[a * columns_ + e]) * static_cast<double>(rows_[b * columns_ + e]);
  return out;
}

double parallelism(const CentredVectors& vectors, std::span<const std::int32_t> first,
                   std::span<const std::int32_t> second) {
  double sum = 0;
  for (std::size_t i = 0; i < first.size() && i < second.size(); ++i)
    if (first[i] != second[i]) sum += vectors.cosine(first[i], second[i]);
  return first.empty() ? 0 : sum / static_cast<double>(first.size());
}

std::vector<std::size_t> parallel_couplets(const PoemForm& form) {
  if (form.lines.size() != 8 || form.is_tune()) return {};
  return {2, 4};
}

}  // namespace mnemo
