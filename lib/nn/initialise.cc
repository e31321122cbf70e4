#include "nn/initialise.h"

#include <cmath>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace mnemo {
namespace {

// FNV-1a (Fowler, Noll & Vo), 64 bits.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325ull;
  for (unsigned char byte : text) value = (value ^ byte) * 0x100000001b3ull;
  return value;
}

RandomStream stream(const Parameter& parameter, Index begin, std::uint64_t seed) {
  return RandomStream(seed, Purpose::kInitialise, hash(parameter.name), static_cast<std::uint32_t>(begin) & 0xffffffu);
}

}  // namespace

void initialise_uniform(Parameter& parameter, float bound, std::uint64_t seed) {
  RandomStream random = stream(parameter, 0, seed);
  for (Index i = 0; i < parameter.size(); ++i)
    parameter.value[i] = static_cast<float>((2.0 * random.uniform() - 1.0) * static_cast<double>(bound));
}

void initialise_normal(Parameter& parameter, float deviation, std::uint64_t seed) {
  RandomStream random = stream(parameter, 0, seed);
  for (Index i = 0; i < parameter.size(); ++i)
    parameter.value[i] = static_cast<float>(random.normal() * static_cast<double>(deviation));
}

void initialise_glorot(Parameter& parameter, Index begin, Index rows, std::uint64_t seed) {
  RandomStream random = stream(parameter, begin, seed);
  const Index columns = parameter.row_size();
  const double bound = std::sqrt(6.0 / static_cast<double>(rows + columns));
  for (Index i = begin * columns; i < (begin + rows) * columns; ++i)
    parameter.value[i] = static_cast<float>((2.0 * random.uniform() - 1.0) * bound);
}

void initialise_orthogonal(Parameter& parameter, Index begin, std::uint64_t seed) {
  RandomStream random = stream(parameter, begin, seed);
  const Index n = parameter.row_size();
  std::vector<double> rows(n * n);
  for (Index r = 0; r < n; ++r) {
    double* row = rows.data() + r * n;
    for (Index j = 0; j < n; ++j) row[j] = random.normal();
    // Twice is enough (Kahan, Parlett): the second pass removes the rounding errors of the first.
    for (int pass = 0; pass < 2; ++pass)
      for (Index q = 0; q < r; ++q) {
        const double* other = rows.data() + q * n;
        double dot = 0;
        for (Index j = 0; j < n; ++j) dot += row[j] * other[j];
        for (Index j = 0; j < n; ++j) row[j] -= dot * other[j];
      }
    double norm = 0;
    for (Index j = 0; j < n; ++j) norm += row[j] * row[j];
    norm = std::sqrt(norm);
    for (Index j = 0; j < n; ++j) row[j] /= norm;
  }
  for (Index i = 0; i < n * n; ++i) parameter.value[begin * n + i] = static_cast<float>(rows[i]);
}

void initialise_chrono(Parameter& parameter, Index begin, Index rows, double range, std::uint64_t seed) {
  RandomStream random(seed, Purpose::kChrono, hash(parameter.name));
  for (Index i = begin; i < begin + rows; ++i)
    parameter.value[i] = static_cast<float>(std::log(1.0 + (range - 2.0) * random.uniform()));
}

}  // namespace mnemo
