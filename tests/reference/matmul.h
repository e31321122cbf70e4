// Matrix products as plain loops in double precision: the slow twins of lib/kernels' products.
// All matrices are row-major and dense. M rows of the result, N columns, K summed over.
#pragma once

#include <cstddef>
#include <vector>

namespace mnemo::reference {

/// C[m,n] = sum_k A[m,k] B[k,n], with A [M, K] and B [K, N]. Returns C [M, N].
inline std::vector<double> matmul(const std::vector<double>& a, const std::vector<double>& b, std::size_t rows,
                                  std::size_t columns, std::size_t depth) {
  std::vector<double> c(rows * columns, 0.0);
  for (std::size_t m = 0; m < rows; ++m) {
    for (std::size_t n = 0; n < columns; ++n) {
      for (std::size_t k = 0; k < depth; ++k) c[m * columns + n] += a[m * depth + k] * b[k * columns + n];
    }
  }
  return c;
}

/// C[m,n] = sum_k A[k,m] B[k,n], with A [K, M] and B [K, N]: the gradient of a weight. Returns C [M, N].
inline std::vector<double> matmul_transposed_a(const std::vector<double>& a, const std::vector<double>& b,
                                               std::size_t rows, std::size_t columns, std::size_t depth) {
  std::vector<double> c(rows * columns, 0.0);
  for (std::size_t m = 0; m < rows; ++m) {
    for (std::size_t n = 0; n < columns; ++n) {
      for (std::size_t k = 0; k < depth; ++k) c[m * columns + n] += a[k * rows + m] * b[k * columns + n];
    }
  }
  return c;
}

/// C[m,n] = sum_k A[m,k] B[n,k], with A [M, K] and B [N, K]: rows times a weight in PyTorch's layout. Returns C [M, N].
inline std::vector<double> matmul_transposed_b(const std::vector<double>& a, const std::vector<double>& b,
                                               std::size_t rows, std::size_t columns, std::size_t depth) {
  std::vector<double> c(rows * columns, 0.0);
  for (std::size_t m = 0; m < rows; ++m) {
    for (std::size_t n = 0; n < columns; ++n) {
      for (std::size_t k = 0; k < depth; ++k) c[m * columns + n] += a[m * depth + k] * b[n * depth + k];
    }
  }
  return c;
}

}  // namespace mnemo::reference
