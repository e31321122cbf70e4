// The instruction sets that the kernels were compiled for and that this processor has.
#pragma once

#include <string>
#include <vector>

namespace mnemo::kernels {

/// Names of the usable instruction sets, best first: "AVX-512", "AVX2", "NEON", "scalar".
std::vector<std::string> available_targets();

/// The instruction set in use.
std::string current_target();

/// Uses one of `available_targets()` from now on, in the whole process; throws UsageError for another name. Without
/// `narrow` AVX-512 is used without its products of bfloat16 and int8, as older processors have it.
/// Matrices packed before must be packed anew: the width of a panel belongs to the instruction set.
void use_target(const std::string& name, bool narrow = true);

/// Whether the processor's own products of bfloat16 (vdpbf16ps) and of int8 (vpdpbusd) are in use.
bool bfloat16_instructions();
bool int8_instructions();

}  // namespace mnemo::kernels
