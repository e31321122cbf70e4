// The instruction sets that the kernels were compiled for and this processor has.
#pragma once

#include <string>
#include <vector>

namespace mnemo::kernels {

/// Names of the usable instruction sets, best first: "AVX-512", "AVX2", "NEON", "scalar".
std::vector<std::string> available_targets();

/// The instruction set in use.
std::string current_target();

/// Which of AVX-512's products of bfloat16 and int8 are used, where the processor has them.
enum class NarrowProducts { kNone, kVectors, kTiles };

/// Uses one of `available_targets()` from here on, in the whole process; throws UsageError for another name. `narrow`
/// below kTiles emulates older processors.
/// Matrices packed before must be packed again: the width of a panel depends on the instruction set.
void use_target(const std::string& name, NarrowProducts narrow = NarrowProducts::kTiles);

/// Whether the processor's own products of bfloat16 (vdpbf16ps) and of int8 (vpdpbusd) are in use.
bool bfloat16_instructions();
bool int8_instructions();
/// Whether products of bfloat16 use tiles (AMX).
bool bfloat16_tiles();

}  // namespace mnemo::kernels
