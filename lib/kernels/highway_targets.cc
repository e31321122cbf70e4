// The functions that Highway's headers need from its library, which spends milliseconds on measuring the processor's
// clock whenever it is loaded: a program that answers one line would wait for that. On other processors than x86 the
// library itself is used.
#include "kernels/highway.h"
// After highway.h, which sets the targets.
#include <hwy/targets.h>

#if defined(__x86_64__)

namespace hwy {
namespace {

std::int64_t allowed_for_test = 0;

// The instruction sets of kernels/highway.h, with every extension that the compiler may use for each (F16C, which not
// every compiler can test for, came before AVX2).
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
