// The instruction sets that the kernels were compiled for and that this processor has.
#pragma once

#include <string>
#include <vector>

namespace mnemo::kernels {

/// Names of the usable instruction sets, best first: "AVX-512", "AVX2", "NEON", "scalar".
std::vector<std::string> available_targets();

/// The instruction set in use.
std::string current_target();

/// How much of what AVX-512 has for bfloat16 and int8 is used, where the processor has it.
enum class NarrowProducts { kNone, kVectors, kTiles };

/// Uses one of `available_targets()` from now on, in the whole process; throws UsageError for another name. Less than
/// all narrow products is what older processors have.
/// Matrices packed before must be packed anew: the width of a panel belongs to the instruction set.
void use_target(const std::string& name, NarrowProducts narrow = NarrowProducts::kTiles);

/// Whether the processor's own products of bfloat16 (vdpbf16ps) and of int8 (vpdpbusd) are in use.
bool bfloat16_instructions();
bool int8_instructions();
/// Whether products of bfloat16 go by tiles (AMX).
bool bfloat16_tiles();

}  // namespace mnemo::kernels
