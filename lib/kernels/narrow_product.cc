// Products of float32 rows with bfloat16 or int8 weights, compiled once for each instruction set: the paths that need
// no special instructions. bfloat16 is widened to float32 in registers; int8 is summed exactly, as integers, and scaled
// at the end. Also packs and rounds for every lower precision.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/narrow_product.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/product_left.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

namespace {

const hn::ScalableTag<float> kTag;
using Tag = std::remove_cv_t<decltype(kTag)>;
using IntTag = hn::RebindToSigned<Tag>;
using Vector = hn::Vec<Tag>;
using IntVector = hn::Vec<IntTag>;
constexpr int kLanes = static_cast<int>(HWY_LANES(float));
constexpr int kWidth = 2 * kLanes;
// Rows of a tile: of 16 registers 8 are for sums, as each of the panel's elements takes two vectors.
constexpr int kRows = kLanes >= 16 || HWY_ARCH_ARM_A64 ? 12 : 4;

#include "kernels/product-inl.h"

HWY_INLINE IntVector load_elements(const char* b) {
  return hn::BitCast(IntTag(), hn::Load(Tag(), reinterpret_cast<const float*>(b)));
}

// float32 times bfloat16: an element holds the values for two k, the even one in its low half.
struct Bfloat16Weights {
  // Constructors are written out, as implicit ones would not belong to the instruction set being compiled for.
  struct Right {
    HWY_INLINE Right() {}  // NOLINT(modernize-use-equals-default)
    HWY_INLINE Right(Vector its_even, Vector its_odd) : even(its_even), odd(its_odd) {}
    Vector even, odd;
  };
  using Left = Right;
  using Sum = Vector;
  using Narrow = Bfloat16Weights;
  static constexpr int kLanes = static_cast<int>(HWY_LANES(float)), kDepth = 2, kLeft = 2 * sizeof(float);
  static constexpr bool kScaled = false;

  static HWY_INLINE Right load(const char* b) {
    const IntVector pair = load_elements(b);
    return {hn::BitCast(kTag, hn::ShiftLeft<16>(pair)),
            hn::BitCast(kTag, hn::And(pair, hn::Set(IntTag(), static_cast<std::int32_t>(0xffff0000U))))};
  }
  static HWY_INLINE Left left(const char* a) {
    const auto* from = reinterpret_cast<const float*>(a);
    return {hn::Set(kTag, from[0]), hn::Set(kTag, from[1])};
  }
  static HWY_INLINE Sum add(const Left& left, const Right& right, Sum sum) {
    return hn::MulAdd(left.odd, right.odd, hn::MulAdd(left.even, right.even, sum));
  }
  static HWY_INLINE Sum begin(const Operands& /*o*/, const float* from, Index column) {
    return from ? hn::LoadU(kTag, from + column) : hn::Zero(kTag);
  }
  static HWY_INLINE void end(const Operands& o, Index row, Index column, Sum sum) {
    hn::StoreU(sum, kTag, o.c + row * o.ldc + column);
  }
};

// int8 times int8: an element holds the values for four k. Where the processor multiplies pairs of 16-bit integers
// exactly, the even and the odd bytes become two vectors of those; elsewhere each byte becomes a 32-bit integer.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
using Word = std::int16_t;
constexpr int kVectors = 2;
#if HWY_TARGET == HWY_AVX3
HWY_INLINE IntVector add_pairs(IntVector a, IntVector b, IntVector sum) {
  return hn::Add(sum, IntVector{_mm512_madd_epi16(a.raw, b.raw)});
}
#else
HWY_INLINE IntVector add_pairs(IntVector a, IntVector b, IntVector sum) {
  return hn::Add(sum, IntVector{_mm256_madd_epi16(a.raw, b.raw)});
}
#endif
HWY_INLINE void split(IntVector bytes, IntVector* out) {
  const hn::Repartition<std::int16_t, IntTag> words;
  const auto w = hn::BitCast(words, bytes);
  out[0] = hn::BitCast(IntTag(), hn::ShiftRight<8>(hn::ShiftLeft<8>(w)));
  out[1] = hn::BitCast(IntTag(), hn::ShiftRight<8>(w));
}
// The place of the integer for the i-th of four k.
constexpr int place_of(int i) { return i % 2 * 2 + i / 2; }
#else
using Word = std::int32_t;
constexpr int kVectors = 4;
HWY_INLINE IntVector add_pairs(IntVector a, IntVector b, IntVector sum) { return hn::Add(sum, hn::Mul(a, b)); }
HWY_INLINE void split(IntVector bytes, IntVector* out) {
  out[0] = hn::ShiftRight<24>(hn::ShiftLeft<24>(bytes));
  out[1] = hn::ShiftRight<24>(hn::ShiftLeft<16>(bytes));
  out[2] = hn::ShiftRight<24>(hn::ShiftLeft<8>(bytes));
  out[3] = hn::ShiftRight<24>(bytes);
}
constexpr int place_of(int i) { return i; }
#endif

struct Int8 {
  struct Right {
    HWY_INLINE Right() {}  // NOLINT(modernize-use-equals-default)
    IntVector part[kVectors];
  };
  using Left = Right;
  using Sum = IntVector;
  using Narrow = Int8;
  static constexpr int kLanes = static_cast<int>(HWY_LANES(float)), kDepth = 4, kLeft = 4 * sizeof(Word);
  static constexpr bool kScaled = true;

  static HWY_INLINE Right load(const char* b) {
    Right out;
    split(load_elements(b), out.part);
    return out;
  }
  static HWY_INLINE Left left(const char* a) {
    Left out;
    for (int i = 0; i < kVectors; ++i) {
      std::int32_t bits;
      std::memcpy(&bits, a + i * 4, sizeof(bits));
      out.part[i] = hn::Set(IntTag(), bits);
    }
    return out;
  }
  static HWY_INLINE Sum add(const Left& left, const Right& right, Sum sum) {
    for (int i = 0; i < kVectors; ++i) sum = add_pairs(left.part[i], right.part[i], sum);
    return sum;
  }
  static HWY_INLINE Sum begin(const Operands& /*o*/, const float* /*from*/, Index /*column*/) {
    return hn::Zero(IntTag());
  }
  static HWY_INLINE void end(const Operands& o, Index row, Index column, Sum sum) {
    const Vector scale = hn::Mul(hn::Set(kTag, o.row_scales[row]), hn::LoadU(kTag, o.scales + column));
    float* c = o.c + row * o.ldc + column;
    const Vector first = o.start == Start::kZero   ? hn::Zero(kTag)
                         : o.start == Start::kBias ? hn::LoadU(kTag, o.bias + column)
                                                   : hn::LoadU(kTag, c);
    hn::StoreU(hn::MulAdd(hn::ConvertTo(kTag, sum), scale, first), kTag, c);
  }
};

// Rows with an odd number of values get a zero appended.
LeftRows pad_rows(Index m, Index k, const float* a, Index lda, AlignedVector& room) {
  if (k % Bfloat16Weights::kDepth == 0) return {reinterpret_cast<const char*>(a), lda * Index{sizeof(float)}, nullptr};
  room.resize(m * (k + 1));
  for (Index r = 0; r < m; ++r) {
    std::memcpy(room.data() + r * (k + 1), a + r * lda, k * sizeof(float));
    room[r * (k + 1) + k] = 0.0f;
  }
  return {reinterpret_cast<const char*>(room.data()), (k + 1) * Index{sizeof(float)}, nullptr};
}

float largest_of_row(const float* values, Index count) {
  // As bits, which order as magnitudes do, with NaN above all.
  IntVector lanes = hn::Zero(IntTag());
  Index i = 0;
  for (; i + kLanes <= count; i += kLanes)
    lanes = hn::Max(lanes, hn::BitCast(IntTag(), hn::Abs(hn::LoadU(kTag, values + i))));
  std::int32_t largest = hn::GetLane(hn::MaxOfLanes(IntTag(), lanes));
  for (; i < count; ++i) largest = std::max(largest, std::bit_cast<std::int32_t>(values[i]) & 0x7fffffff);
  return std::bit_cast<float>(largest);
}

bool widen_row(const std::int8_t* integers, Index count, float scale, float* to) {
  const hn::Rebind<std::int8_t, Tag> bytes;
  const Vector by = hn::Set(kTag, scale);
  IntVector lanes = hn::Zero(IntTag());
  Index i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const IntVector wide = hn::PromoteTo(IntTag(), hn::LoadU(bytes, integers + i));
    lanes = hn::Min(lanes, wide);
    hn::StoreU(hn::Mul(hn::ConvertTo(kTag, wide), by), kTag, to + i);
  }
  std::int32_t least = hn::GetLane(hn::MinOfLanes(IntTag(), lanes));
  for (; i < count; ++i) {
    least = std::min<std::int32_t>(least, integers[i]);
    to[i] = static_cast<float>(integers[i]) * scale;
  }
  return least >= -127;
}

// Rows as integers, each row with a scale of its own.
LeftRows round_rows(Index m, Index k, const float* a, Index lda, AlignedVector& room) {
  const Index elements = (k + Int8::kDepth - 1) / Int8::kDepth;
  const Index stride = elements * Int8::kLeft / Index{sizeof(float)};
  room.resize(m * stride + m);
  float* scales = room.data() + m * stride;
  for (Index r = 0; r < m; ++r) {
    const RowScale scale = row_scale(largest_of_row(a + r * lda, k));
    scales[r] = scale.scale;
    char* out = reinterpret_cast<char*>(room.data() + r * stride);
    for (Index e = 0; e < elements; ++e) {
      Word element[Int8::kDepth] = {};
      for (int i = 0; i < Int8::kDepth; ++i)
        if (e * Int8::kDepth + i < k)
          element[place_of(i)] = static_cast<Word>(row_integer(a[r * lda + e * Int8::kDepth + i], scale.inverse));
      std::memcpy(out + e * Int8::kLeft, element, sizeof(element));
    }
  }
  return {reinterpret_cast<const char*>(room.data()), stride * Index{sizeof(float)}, scales};
}

void multiply_rows(Index m, const float* a, Index lda, const PackedMatrix& b, Index first_panel, Index last_panel,
                   Start start, const float* bias, float* c, Index ldc) {
  thread_local AlignedVector room;
  if (b.precision == Precision::kInt8)
    multiply_left<Int8>(round_rows(m, b.k, a, lda, room), m, b, first_panel, last_panel, start, bias, c, ldc);
  else
    multiply_left<Bfloat16Weights>(pad_rows(m, b.k, a, lda, room), m, b, first_panel, last_panel, start, bias, c, ldc);
}

void pack_bfloat16(const float* b, Index ldb, bool transposed, Index p, PackedMatrix& out) {
  const Index begin = p * kWidth, columns = std::min<Index>(kWidth, out.n - begin), k = out.k;
  float* to = out.data.data() + p * out.panel_rows() * kWidth;
  const Index elements = out.elements(), first_empty = columns < kWidth ? 0 : elements;
  std::fill_n(to + first_empty * kWidth, (out.panel_rows() - first_empty) * kWidth, 0.0f);
  if (!transposed) {
    for (Index e = 0; e < elements; ++e) {
      const float* even = b + 2 * e * ldb + begin;
      const float* odd = 2 * e + 1 < k ? even + ldb : nullptr;
      for (Index j = 0; j < columns; ++j)
        to[e * kWidth + j] = std::bit_cast<float>(bfloat16_bits(even[j]) | (odd ? bfloat16_bits(odd[j]) : 0U) << 16);
    }
    return;
  }
  // A cache line of each column at a time.
  constexpr Index kRun = 8;
  for (Index from = 0; from < elements; from += kRun) {
    const Index whole = std::min(k / 2, from + kRun);
    for (Index j = 0; j < columns; ++j) {
      const float* row = b + (begin + j) * ldb;
      for (Index e = from; e < whole; ++e)
        to[e * kWidth + j] = std::bit_cast<float>(bfloat16_bits(row[2 * e]) | bfloat16_bits(row[2 * e + 1]) << 16);
      if (k % 2 == 1 && from + kRun >= elements)
        to[k / 2 * kWidth + j] = std::bit_cast<float>(bfloat16_bits(row[k - 1]));
    }
  }
}

// `int8_value` of each of `count` values, which are finite; returns their sum.
std::int32_t integers_of_row(const float* values, Index count, float scale, std::int8_t* to) {
  if (scale == 0.0f) {
    std::memset(to, 0, count);
    return 0;
  }
  const Vector by = hn::Set(kTag, scale), top = hn::Set(kTag, 127.0f), bottom = hn::Set(kTag, -127.0f);
  IntVector sums = hn::Zero(IntTag());
  Index i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vector integer = hn::Round(hn::Div(hn::LoadU(kTag, values + i), by));
    const IntVector narrowed = hn::ConvertTo(IntTag(), hn::Min(hn::Max(integer, bottom), top));
    sums = hn::Add(sums, narrowed);
    const hn::Rebind<std::int8_t, Tag> bytes;
    hn::StoreU(hn::DemoteTo(bytes, narrowed), bytes, to + i);
  }
  std::int32_t sum = hn::GetLane(hn::SumOfLanes(IntTag(), sums));
  for (; i < count; ++i) sum += to[i] = int8_value(values[i], scale);
  return sum;
}

void pack_int8(const float* b, Index ldb, bool transposed, Index p, PackedMatrix& out) {
  const Index begin = p * kWidth, k = out.k;
  auto* to = reinterpret_cast<char*>(out.data.data() + p * out.panel_rows() * kWidth);
  std::memset(to, 0, out.panel_rows() * kWidth * 4);
  thread_local std::vector<float> column;
  thread_local std::vector<std::int8_t> integers;
  column.resize(transposed ? 0 : k);
  integers.assign((k + 3) / 4 * 4, 0);
  for (Index j = 0; j < kWidth; ++j) {
    float& scale = out.scales[begin + j] = 0.0f;
    std::int32_t& offset = out.offsets[begin + j] = 0;
    if (begin + j >= out.n) continue;
    const float* values = b + (begin + j) * ldb;
    if (!transposed) {
      for (Index i = 0; i < k; ++i) column[i] = b[i * ldb + begin + j];
      values = column.data();
    }
    scale = int8_scale(largest_of_row(values, k));
    offset = -128 * integers_of_row(values, k, scale, integers.data());
    for (Index i = 0; i < k; i += 4) std::memcpy(to + (i / 4 * kWidth + j) * 4, integers.data() + i, 4);
  }
}

void pack_panel(const float* b, Index ldb, bool transposed, Index p, PackedMatrix& out) {
  if (out.precision == Precision::kInt8)
    pack_int8(b, ldb, transposed, p, out);
  else
    pack_bfloat16(b, ldb, transposed, p, out);
}

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mnemo::kernels {

HWY_EXPORT(multiply_rows);
HWY_EXPORT(pack_panel);
HWY_EXPORT(largest_of_row);
HWY_EXPORT(widen_row);

void multiply_rows_narrow(Index m, const float* a, Index lda, const PackedMatrix& b, Index first_panel,
                          Index last_panel, Start start, const float* bias, float* c, Index ldc) {
  HWY_DYNAMIC_DISPATCH(multiply_rows)(m, a, lda, b, first_panel, last_panel, start, bias, c, ldc);
}

void pack_narrow_panel(const float* b, Index ldb, bool transposed, Index p, PackedMatrix& out) {
  HWY_DYNAMIC_DISPATCH(pack_panel)(b, ldb, transposed, p, out);
}

float largest_magnitude(const float* values, Index count) {
  return HWY_DYNAMIC_DISPATCH(largest_of_row)(values, count);
}

bool widen_int8(const std::int8_t* integers, Index count, float scale, float* to) {
  return HWY_DYNAMIC_DISPATCH(widen_row)(integers, count, scale, to);
}

float int8_scale(float largest) {
  const float scale = largest / 127.0f;
  if (!std::isfinite(scale)) return scale;
  if (scale < std::numeric_limits<float>::min()) return 0.0f;
  const auto bits = std::bit_cast<std::uint32_t>(scale);
  return std::bit_cast<float>((bits + 0x7fU + ((bits >> 8) & 1U)) & ~0xffU);
}

std::int8_t int8_value(float value, float scale) {
  if (scale == 0.0f) return 0;
  const float integer = std::nearbyint(value / scale);
  return static_cast<std::int8_t>(integer >= 127.0f ? 127 : integer > -127.0f ? static_cast<int>(integer) : -127);
}

float round_to_bfloat16(float value) { return std::bit_cast<float>(bfloat16_bits(value) << 16); }

}  // namespace mnemo::kernels
#endif
