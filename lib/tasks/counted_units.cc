#include "tasks/counted_units.h"

#include <fmt/format.h>

namespace mnemo {

std::int64_t LengthCounts::size() const {
  std::int64_t out = 0;
  for (const auto& [length, count] : texts) out += count;
  return out;
}

std::string LengthCounts::shown() const {
  const std::int64_t size = this->size();
  const auto quantile = [&](double q) {
    std::int64_t before = std::min(size - 1, static_cast<std::int64_t>(q * static_cast<double>(size)));
    for (const auto& [length, count] : texts)
      if ((before -= count) < 0) return length;
    return texts.rbegin()->first;
  };
  return fmt::format("length min {}, median {}, 90% {}, 99% {}, max {}; unknown units {:.2f}%", quantile(0),
                     quantile(0.5), quantile(0.9), quantile(0.99), texts.rbegin()->first,
                     100.0 * static_cast<double>(unknown) / static_cast<double>(std::max<std::int64_t>(1, units)));
}

}  // namespace mnemo
