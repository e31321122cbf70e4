// The instruction sets that the kernels are compiled for. To be included first by every source that uses Highway.
// x86 gets AVX-512, AVX2 and a scalar form for everything else; vectors of unknown size (SVE) cannot be kept in arrays,
// so AArch64 uses NEON.
#pragma once

#include <hwy/detect_targets.h>

#undef HWY_DISABLED_TARGETS
#if defined(__x86_64__)
#ifdef HWY_SSE2
#define MNEMO_HWY_SSE2 HWY_SSE2
#else
#define MNEMO_HWY_SSE2 0
#endif
#ifdef HWY_AVX3_SPR
#define MNEMO_HWY_SPR HWY_AVX3_SPR
#else
#define MNEMO_HWY_SPR 0
#endif
#ifdef HWY_AVX3_ZEN4
#define MNEMO_HWY_ZEN4 HWY_AVX3_ZEN4
#else
#define MNEMO_HWY_ZEN4 0
#endif
#define HWY_DISABLED_TARGETS (MNEMO_HWY_SSE2 | HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | MNEMO_HWY_ZEN4 | MNEMO_HWY_SPR)
#else
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif
