#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/targets.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/targets.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace {
std::int64_t this_target() { return HWY_TARGET; }
}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "base/error.h"
#include "kernels/product_amx.h"
#include "kernels/product_left.h"

namespace mnemo::kernels {

HWY_EXPORT(this_target);

namespace {
std::string name_of(std::int64_t target) {
  if (target == HWY_AVX3) return "AVX-512";
  if (target == HWY_AVX2) return "AVX2";
  if (target == HWY_EMU128 || target == HWY_SCALAR) return "scalar";
  return hwy::TargetName(target);
}

NarrowProducts allowed = NarrowProducts::kTiles;

bool avx512_with(NarrowProducts products, bool (*has)()) {
  return allowed >= products && HWY_DYNAMIC_DISPATCH(this_target)() == HWY_AVX3 && has();
}

std::int64_t usable() { return hwy::SupportedTargets() & HWY_TARGETS; }
}  // namespace

std::vector<std::string> available_targets() {
  hwy::SetSupportedTargetsForTest(0);
  std::vector<std::string> names;
  for (int bit = 0; bit < 63; ++bit) {
    const std::int64_t target = std::int64_t{1} << bit;
    if (usable() & target) names.push_back(name_of(target));
  }
  return names;
}

std::string current_target() { return name_of(HWY_DYNAMIC_DISPATCH(this_target)()); }

bool bfloat16_instructions() { return avx512_with(NarrowProducts::kVectors, avx512::has_bfloat16); }
bool int8_instructions() { return avx512_with(NarrowProducts::kVectors, avx512::has_vnni); }
bool bfloat16_tiles() { return bfloat16_instructions() && avx512_with(NarrowProducts::kTiles, amx::has_bfloat16); }

void use_target(const std::string& name, NarrowProducts narrow) {
  allowed = narrow;
  hwy::SetSupportedTargetsForTest(0);
  for (int bit = 0; bit < 63; ++bit) {
    const std::int64_t target = std::int64_t{1} << bit;
    if (!(usable() & target) || name_of(target) != name) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    return;
  }
  throw UsageError(fmt::format("no instruction set '{}' here: this processor and build have {}", name,
                               fmt::join(available_targets(), ", ")));
}

}  // namespace mnemo::kernels
#endif
