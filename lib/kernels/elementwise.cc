// Element-wise loops and reductions, compiled once for each instruction set. Ends of arrays go through a padded copy
// and the same vector code, so the result for an element depends neither on its place nor on how the array is cut.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/elementwise.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

namespace {

const hn::ScalableTag<float> kTag;
using Vector = decltype(hn::Zero(kTag));
constexpr Index kLanes = static_cast<Index>(HWY_LANES(float));

HWY_INLINE Vector set(float value) { return hn::Set(kTag, value); }

// Calls `body(at)` on whole vectors, then on copies of the rest: the arithmetic of an element is the same wherever it
// is. `arrays` are pointers of which the first `read_only` are only read.
template <int kArrays, class Body>
HWY_INLINE void for_vectors(float* const (&arrays)[kArrays], int read_only, Index count, const Body& body) {
  Index i = 0;
  float* at[kArrays];
  for (; i + kLanes <= count; i += kLanes) {
    for (int k = 0; k < kArrays; ++k) at[k] = arrays[k] + i;
    body(at);
  }
  if (i == count) return;
  HWY_ALIGN float copy[kArrays][kLanes] = {};
  for (int k = 0; k < kArrays; ++k) {
    std::memcpy(copy[k], arrays[k] + i, (count - i) * sizeof(float));
    at[k] = copy[k];
  }
  body(at);
  for (int k = read_only; k < kArrays; ++k) std::memcpy(arrays[k] + i, copy[k], (count - i) * sizeof(float));
}

void add_scaled(float factor, const float* x, float* y, Index count) {
  const Vector f = set(factor);
  for_vectors<2>({const_cast<float*>(x), y}, 1, count, [&](float* const* at) HWY_ATTR {
    hn::StoreU(hn::MulAdd(f, hn::LoadU(kTag, at[0]), hn::LoadU(kTag, at[1])), kTag, at[1]);
  });
}

void scale(float factor, float* y, Index count) {
  const Vector f = set(factor);
  for_vectors<1>({y}, 0, count,
                 [&](float* const* at) HWY_ATTR { hn::StoreU(hn::Mul(f, hn::LoadU(kTag, at[0])), kTag, at[0]); });
}

void round_to_bfloat16(float* y, Index count) {
  const hn::RebindToUnsigned<decltype(kTag)> bits_tag;
  for_vectors<1>({y}, 0, count, [&](float* const* at) HWY_ATTR {
    const Vector value = hn::LoadU(kTag, at[0]);
    const auto bits = hn::BitCast(bits_tag, value), one = hn::Set(bits_tag, 1U);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), one);
    const auto up = hn::Add(hn::Add(bits, hn::Set(bits_tag, 0x7fffU)), odd);
    const auto upper = hn::Set(bits_tag, 0xffff0000U);
    const Vector rounded = hn::BitCast(kTag, hn::And(up, upper));
    const Vector nan = hn::BitCast(kTag, hn::Or(hn::And(bits, upper), hn::Set(bits_tag, 0x400000U)));
    hn::StoreU(hn::IfThenElse(hn::IsNaN(value), nan, rounded), kTag, at[0]);
  });
}

void running_max(const float* x, std::int32_t row, float* largest, std::int32_t* at, Index count) {
  // Row numbers are handled as the bits of floats.
  const Vector row_bits = hn::BitCast(kTag, hn::Set(hn::RebindToSigned<decltype(kTag)>(), row));
  for_vectors<3>({const_cast<float*>(x), largest, reinterpret_cast<float*>(at)}, 1, count,
                 [&](float* const* pointers) HWY_ATTR {
                   const Vector value = hn::LoadU(kTag, pointers[0]), before = hn::LoadU(kTag, pointers[1]);
                   const auto larger = hn::Gt(value, before);
                   hn::StoreU(hn::IfThenElse(larger, value, before), kTag, pointers[1]);
                   hn::StoreU(hn::IfThenElse(larger, row_bits, hn::LoadU(kTag, pointers[2])), kTag, pointers[2]);
                 });
}

double sum_of_squares(const float* x, Index count) {
  double sum[16] = {};
  Index i = 0;
  for (; i + 16 <= count; i += 16)
    for (int k = 0; k < 16; ++k) sum[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
  for (int k = 0; i < count; ++i, ++k) sum[k] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double all = 0;
  for (double part : sum) all += part;
  return all;
}

bool has_non_finite(const float* x, Index count) {
  std::uint32_t found = 0;
  for (Index i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, x + i, sizeof(bits));
    found |= (bits & 0x7f800000u) == 0x7f800000u ? 1u : 0u;
  }
  return found != 0;
}

// Sixteen blocks at once, so that the compiler can vectorise the inner loops.
constexpr int kBlocks = 16;

void philox_blocks(const MaskStream& s, std::uint32_t first_block, std::uint32_t out[4][kBlocks]) {
  std::uint32_t c0[kBlocks], c1[kBlocks], c2[kBlocks], c3[kBlocks];
  for (int b = 0; b < kBlocks; ++b) {
    c0[b] = first_block + static_cast<std::uint32_t>(b);
    c1[b] = s.name[0];
    c2[b] = s.name[1];
    c3[b] = s.name[2];
  }
  std::uint32_t k0 = s.key[0], k1 = s.key[1];
  for (int round = 0; round < 10; ++round) {
    for (int b = 0; b < kBlocks; ++b) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0[b];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2[b];
      const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1[b] ^ k0;
      const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3[b] ^ k1;
      c0[b] = n0;
      c1[b] = static_cast<std::uint32_t>(p1);
      c2[b] = n2;
      c3[b] = static_cast<std::uint32_t>(p0);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  std::memcpy(out[0], c0, sizeof(c0));
  std::memcpy(out[1], c1, sizeof(c1));
  std::memcpy(out[2], c2, sizeof(c2));
  std::memcpy(out[3], c3, sizeof(c3));
}

void dropout_mask(const MaskStream& stream, Index first, Index count, std::uint32_t threshold, float factor,
                  float* mask) {
  std::uint32_t words[4][kBlocks];
  for (Index at = 0; at < count; at += 8 * kBlocks) {
    philox_blocks(stream, static_cast<std::uint32_t>((first + at) / 8), words);
    float values[kBlocks * 8];
    for (int b = 0; b < kBlocks; ++b)
      for (int w = 0; w < 4; ++w) {
        values[b * 8 + 2 * w] = (words[w][b] & 0xffffu) >= threshold ? factor : 0.0f;
        values[b * 8 + 2 * w + 1] = (words[w][b] >> 16) >= threshold ? factor : 0.0f;
      }
    std::memcpy(mask + at, values, std::min<Index>(8 * kBlocks, count - at) * sizeof(float));
  }
}

void adam_update(const AdamStep& s, const float* g, float* w, float* m, float* v, Index count) {
  const Vector beta1 = set(s.beta1), rest1 = set(1.0f - s.beta1), beta2 = set(s.beta2), rest2 = set(1.0f - s.beta2);
  const Vector rate = set(s.rate), v_scale = set(s.v_scale), epsilon = set(s.epsilon), keep = set(s.keep);
  const Vector gradient_scale = set(s.gradient_scale);
  for_vectors<4>({const_cast<float*>(g), w, m, v}, 1, count, [&](float* const* at) HWY_ATTR {
    const Vector gradient = hn::Mul(hn::LoadU(kTag, at[0]), gradient_scale);
    const Vector mean = hn::MulAdd(beta1, hn::LoadU(kTag, at[2]), hn::Mul(rest1, gradient));
    const Vector square = hn::MulAdd(beta2, hn::LoadU(kTag, at[3]), hn::Mul(rest2, hn::Mul(gradient, gradient)));
    const Vector move = hn::Div(mean, hn::MulAdd(hn::Sqrt(square), v_scale, epsilon));
    hn::StoreU(hn::NegMulAdd(rate, move, hn::Mul(keep, hn::LoadU(kTag, at[1]))), kTag, at[1]);
    hn::StoreU(mean, kTag, at[2]);
    hn::StoreU(square, kTag, at[3]);
  });
}

void adam_missed(const AdamMissed& s, float* w, float* m, float* v, Index count) {
  const Vector rate = set(s.rate), epsilon = set(s.epsilon), keep = set(s.keep), m_decay = set(s.m_decay),
               v_decay = set(s.v_decay);
  for_vectors<3>({w, m, v}, 0, count, [&](float* const* at) HWY_ATTR {
    const Vector mean = hn::LoadU(kTag, at[1]), square = hn::LoadU(kTag, at[2]);
    const Vector move = hn::Div(mean, hn::Add(hn::Sqrt(square), epsilon));
    hn::StoreU(hn::NegMulAdd(rate, move, hn::Mul(keep, hn::LoadU(kTag, at[0]))), kTag, at[0]);
    hn::StoreU(hn::Mul(mean, m_decay), kTag, at[1]);
    hn::StoreU(hn::Mul(square, v_decay), kTag, at[2]);
  });
}

void sgd_update(const SgdStep& s, const float* g, float* w, float* m, Index count) {
  const Vector rate = set(s.rate), momentum = set(s.momentum), decay = set(s.decay),
               gradient_scale = set(s.gradient_scale);
  for_vectors<3>({const_cast<float*>(g), w, m}, 1, count, [&](float* const* at) HWY_ATTR {
    const Vector weight = hn::LoadU(kTag, at[1]);
    const Vector gradient = hn::MulAdd(decay, weight, hn::Mul(hn::LoadU(kTag, at[0]), gradient_scale));
    const Vector speed = hn::MulAdd(momentum, hn::LoadU(kTag, at[2]), gradient);
    const Vector move = s.nesterov ? hn::MulAdd(momentum, speed, gradient) : speed;
    hn::StoreU(hn::NegMulAdd(rate, move, weight), kTag, at[1]);
    hn::StoreU(speed, kTag, at[2]);
  });
}

void rmsprop_update(const RmsPropStep& s, const float* g, float* w, float* m, float* v, Index count) {
  const Vector rate = set(s.rate), alpha = set(s.alpha), rest = set(1.0f - s.alpha), epsilon = set(s.epsilon),
               momentum = set(s.momentum), decay = set(s.decay), gradient_scale = set(s.gradient_scale);
  for_vectors<4>({const_cast<float*>(g), w, m, v}, 1, count, [&](float* const* at) HWY_ATTR {
    const Vector weight = hn::LoadU(kTag, at[1]);
    const Vector gradient = hn::MulAdd(decay, weight, hn::Mul(hn::LoadU(kTag, at[0]), gradient_scale));
    const Vector square = hn::MulAdd(alpha, hn::LoadU(kTag, at[3]), hn::Mul(rest, hn::Mul(gradient, gradient)));
    const Vector speed =
        hn::MulAdd(momentum, hn::LoadU(kTag, at[2]), hn::Div(gradient, hn::Add(hn::Sqrt(square), epsilon)));
    hn::StoreU(hn::NegMulAdd(rate, speed, weight), kTag, at[1]);
    hn::StoreU(speed, kTag, at[2]);
    hn::StoreU(square, kTag, at[3]);
  });
}

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {
namespace {
HWY_EXPORT(add_scaled);
HWY_EXPORT(scale);
HWY_EXPORT(round_to_bfloat16);
HWY_EXPORT(running_max);
HWY_EXPORT(sum_of_squares);
HWY_EXPORT(has_non_finite);
HWY_EXPORT(dropout_mask);
HWY_EXPORT(adam_update);
HWY_EXPORT(adam_missed);
HWY_EXPORT(sgd_update);
HWY_EXPORT(rmsprop_update);
}  // namespace

void add_scaled(float factor, const float* x, float* y, Index count) {
  HWY_DYNAMIC_DISPATCH(add_scaled)(factor, x, y, count);
}
void scale(float factor, float* y, Index count) { HWY_DYNAMIC_DISPATCH(scale)(factor, y, count); }
void round_to_bfloat16(float* y, Index count) { HWY_DYNAMIC_DISPATCH(round_to_bfloat16)(y, count); }
void take_halves(const float* x, std::uint16_t* halves, Index count) {
  for (Index i = 0; i < count; ++i) halves[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x[i]) >> 16);
}
void from_halves(const std::uint16_t* halves, float* x, Index count) {
  for (Index i = 0; i < count; ++i) x[i] = std::bit_cast<float>(static_cast<std::uint32_t>(halves[i]) << 16);
}
void running_max(const float* x, std::int32_t row, float* largest, std::int32_t* at, Index count) {
  HWY_DYNAMIC_DISPATCH(running_max)(x, row, largest, at, count);
}
double sum_of_squares(const float* x, Index count) { return HWY_DYNAMIC_DISPATCH(sum_of_squares)(x, count); }
bool has_non_finite(const float* x, Index count) { return HWY_DYNAMIC_DISPATCH(has_non_finite)(x, count); }
void dropout_mask(const MaskStream& stream, Index first, Index count, std::uint32_t threshold, float factor,
                  float* mask) {
  HWY_DYNAMIC_DISPATCH(dropout_mask)(stream, first, count, threshold, factor, mask);
}
void adam_update(const AdamStep& step, const float* g, float* w, float* m, float* v, Index count) {
  HWY_DYNAMIC_DISPATCH(adam_update)(step, g, w, m, v, count);
}
void adam_missed(const AdamMissed& missed, float* w, float* m, float* v, Index count) {
  HWY_DYNAMIC_DISPATCH(adam_missed)(missed, w, m, v, count);
}
void sgd_update(const SgdStep& step, const float* g, float* w, float* m, Index count) {
  HWY_DYNAMIC_DISPATCH(sgd_update)(step, g, w, m, count);
}
void rmsprop_update(const RmsPropStep& step, const float* g, float* w, float* m, float* v, Index count) {
  HWY_DYNAMIC_DISPATCH(rmsprop_update)(step, g, w, m, v, count);
}

}  // namespace mnemo::kernels
#endif
