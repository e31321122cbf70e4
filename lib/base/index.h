// The type of every size and position in tables of numbers.
#pragma once

#include <cstdint>

namespace mnemo {

/// Signed, so that differences and loops downwards are safe; 64 bits, as products of sizes are.
using Index = std::int64_t;

}  // namespace mnemo
