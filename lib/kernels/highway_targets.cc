// What Highway's headers take from its library, which measures the processor's clock for milliseconds whenever it is
// loaded: a program that answers one line would wait for that. Elsewhere than on x86 the library itself serves.
#include "kernels/highway.h"
// After highway.h, which says what is compiled.
#include <hwy/targets.h>

#if defined(__x86_64__)

namespace hwy {
namespace {

std::int64_t allowed_for_test = 0;

// The instruction sets of kernels/highway.h, with all that the compiler may use for each (F16C, of which not every
// compiler can ask, came before AVX2).
std::int64_t detect() {
  __builtin_cpu_init();
  std::int64_t targets = HWY_STATIC_TARGET;
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
  if (!avx2) return targets;
  targets |= HWY_AVX2;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd"))
    targets |= HWY_AVX3;
  return targets;
}

}  // namespace

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

std::int64_t SupportedTargets() {
  if (allowed_for_test != 0) return allowed_for_test;
  const std::int64_t targets = detect();
  GetChosenTarget().Update(targets);
  return targets;
}

void SetSupportedTargetsForTest(std::int64_t targets) {
  allowed_for_test = targets;
  GetChosenTarget().DeInit();
}

}  // namespace hwy

#endif
