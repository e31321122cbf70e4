// Products of bfloat16 and int8 by instructions that Highway 1.0 does not know: vdpbf16ps and vpdpbusd. They use the
// register tiles of product-inl.h through intrinsics; where the processor has AMX, bfloat16 goes to product_amx.cc.
#include <hwy/base.h>
#include <hwy/cache_control.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "kernels/product_amx.h"
#include "kernels/product_left.h"
#include "kernels/targets.h"

#if defined(__x86_64__)
#include <immintrin.h>

// GCC 12 warns of undefined vectors in its own headers, which are masked away (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni,avx2,fma,bmi,bmi2")
namespace mnemo::kernels::avx512 {
namespace {

constexpr int kLanes = 16, kWidth = 2 * kLanes, kRows = 12;

#include "kernels/product-inl.h"

HWY_INLINE __m512i broadcast(const char* a) {
  std::int32_t bits;
  std::memcpy(&bits, a, sizeof(bits));
  return _mm512_set1_epi32(bits);
}

// Elements of two rows side by side, the first in the low halves. A null row is zero.
HWY_INLINE __m512i pair_rows(__m512 even, __m512 odd) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(odd, even)));
}
HWY_INLINE __m512i pair_rows(const float* const* rows, Index column, __mmask16 mask) {
  return pair_rows(_mm512_maskz_loadu_ps(mask, rows[0] + column),
                   rows[1] ? _mm512_maskz_loadu_ps(mask, rows[1] + column) : _mm512_setzero_ps());
}
HWY_INLINE __mmask16 first(Index count) { return static_cast<__mmask16>((1U << count) - 1U); }

struct Bfloat16 : VectorGroups<Bfloat16> {
  using Sum = __m512;
  using Right = __m512i;
  using Left = __m512i;
  using Narrow = Bfloat16;
  static constexpr int kLanes = 16, kDepth = 2, kLeft = 4;
  static constexpr bool kScaled = false;

  static HWY_INLINE Right load(const char* b) { return _mm512_load_si512(b); }
  static HWY_INLINE Left left(const char* a) { return broadcast(a); }
  static HWY_INLINE Sum add(Left left, Right right, Sum sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(left), reinterpret_cast<__m512bh>(right));
  }
  static HWY_INLINE Sum begin(const Operands& /*o*/, const float* from, Index column) {
    return from ? _mm512_loadu_ps(from + column) : _mm512_setzero_ps();
  }
  static HWY_INLINE void end(const Operands& o, Index row, Index column, Sum sum) {
    _mm512_storeu_ps(o.c + row * o.ldc + column, sum);
  }

  static HWY_INLINE void copy_group(const float* const* rows, Index column, float* to) {
    _mm512_storeu_si512(to, pair_rows(rows, column, first(kRows)));
  }
  static HWY_INLINE void copy_run(const float* const* rows, Index column, Index count, float* to) {
    for (Index j = 0; j < count; j += kLanes) {
      const __mmask16 mask = count - j >= kLanes ? first(kLanes) : first(count - j);
      _mm512_mask_storeu_epi32(to + j, mask, pair_rows(rows, column + j, mask));
    }
  }
};

// Gradients by tiles: each block of 16 elements and 32 of a's columns is packed as two tiles, with a column of a in
// each row.
struct Bfloat16Tiles {
  static constexpr int kDepth = 2;
  static constexpr Index kGroup = 2 * amx::kTile, kPadding = amx::kTile;

  static HWY_INLINE void copy_group(const float* const* rows, Index column, float* to) {
    copy_run(rows, column, kGroup, to);
  }
  static HWY_INLINE void copy_run(const float* const* rows, Index column, Index count, float* to) {
    Bfloat16::copy_run(rows, column, count, to);
  }

  static HWY_INLINE void arrange(float* packed, Index elements) {
    for (Index e = 0; e < elements; e += amx::kTile, packed += amx::kTile * kGroup) {
      __m512i left[amx::kTile], right[amx::kTile];
      for (Index i = 0; i < amx::kTile; ++i) {
        left[i] = _mm512_load_si512(packed + i * kGroup);
        right[i] = _mm512_load_si512(packed + i * kGroup + amx::kTile);
      }
      store_transposed(left, packed);
      store_transposed(right, packed + amx::kTile * amx::kTile);
    }
  }
  static HWY_INLINE void packed_tile(Index rows, const Operands& o) {
    constexpr Index kRow = amx::kTile * 4;
    amx::multiply({.rows = rows,
                   .blocks = o.k / amx::kTile,
                   .a = o.a,
                   .row_stride = kRow,
                   .block_stride = kGroup * kRow,
                   .b = o.b,
                   .panel_stride = 0,
                   .panels = 1,
                   .columns = o.columns,
                   .start = o.start,
                   .bias = nullptr,
                   .c = o.c,
                   .ldc = o.ldc});
  }

 private:
  // Transposes sixteen rows: interleaves 32-bit, then 64-bit elements, then exchanges quarters of vectors.
  static HWY_INLINE void store_transposed(const __m512i* rows, float* to) {
    __m512i a[16], b[16];
    for (int i = 0; i < 16; i += 2) {
      a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
      a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
      for (int j = 0; j < 2; ++j) {
        b[i + 2 * j] = _mm512_unpacklo_epi64(a[i + j], a[i + j + 2]);
        b[i + 2 * j + 1] = _mm512_unpackhi_epi64(a[i + j], a[i + j + 2]);
      }
    // b[4 g + j] holds, in quarter q, column 4 q + j of rows 4 g to 4 g + 3.
    for (int j = 0; j < 4; ++j) {
      const __m512i low = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x88), high = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xdd);
      const __m512i low2 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x88);
      const __m512i high2 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xdd);
      _mm512_store_si512(to + j * 16, _mm512_shuffle_i32x4(low, low2, 0x88));
      _mm512_store_si512(to + (8 + j) * 16, _mm512_shuffle_i32x4(low, low2, 0xdd));
      _mm512_store_si512(to + (4 + j) * 16, _mm512_shuffle_i32x4(high, high2, 0x88));
      _mm512_store_si512(to + (12 + j) * 16, _mm512_shuffle_i32x4(high, high2, 0xdd));
    }
  }
};

// The left integers are stored with 128 added, as the instruction takes them unsigned; the offsets undo it.
struct Int8 {
  using Sum = __m512i;
  using Right = __m512i;
  using Left = __m512i;
  using Narrow = Int8;
  static constexpr int kLanes = 16, kDepth = 4, kLeft = 4;
  static constexpr bool kScaled = true;

  static HWY_INLINE Right load(const char* b) { return _mm512_load_si512(b); }
  static HWY_INLINE Left left(const char* a) { return broadcast(a); }
  // As assembly: with the intrinsic, GCC 12 copies every sum at every step, which halves the speed.
  static HWY_INLINE Sum add(Left left, Right right, Sum sum) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(left), "v"(right));
    return sum;
  }
  static HWY_INLINE Sum begin(const Operands& o, const float* /*from*/, Index column) {
    return _mm512_loadu_si512(o.offsets + column);
  }
  static HWY_INLINE void end(const Operands& o, Index row, Index column, Sum sum) {
    const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(o.row_scales[row]), _mm512_loadu_ps(o.scales + column));
    float* c = o.c + row * o.ldc + column;
    const __m512 first = o.start == Start::kZero   ? _mm512_setzero_ps()
                         : o.start == Start::kBias ? _mm512_loadu_ps(o.bias + column)
                                                   : _mm512_loadu_ps(c);
    _mm512_storeu_ps(c, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, first));
  }
};

// Rows as bfloat16, padded with a zero to an even number.
LeftRows bfloat16_rows(Index m, Index k, const float* a, Index lda, AlignedVector& room) {
  const Index elements = (k + 1) / 2, stride = (elements + kLanes - 1) / kLanes * kLanes;
  room.resize(m * stride);
  for (Index r = 0; r < m; ++r) {
    const float* row = a + r * lda;
    float* to = room.data() + r * stride;
    for (Index i = 0; i < k; i += 2 * kLanes) {
      const auto low = first(std::min<Index>(kLanes, k - i));
      const auto high = first(std::clamp<Index>(k - i - kLanes, 0, kLanes));
      const __m512bh both =
          _mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, row + i + kLanes), _mm512_maskz_loadu_ps(low, row + i));
      _mm512_storeu_si512(to + i / 2, reinterpret_cast<__m512i>(both));
    }
  }
  return {reinterpret_cast<const char*>(room.data()), stride * Index{sizeof(float)}, nullptr};
}

// Rows as integers, each row with a scale of its own.
LeftRows int8_rows(Index m, Index k, const float* a, Index lda, AlignedVector& room) {
  const Index stride = (k + Int8::kDepth * kLanes - 1) / (Int8::kDepth * kLanes) * kLanes;
  room.resize(m * stride + m);
  float* scales = room.data() + m * stride;
  for (Index r = 0; r < m; ++r) {
    const float* row = a + r * lda;
    const auto part = [&](Index i) { return _mm512_maskz_loadu_ps(first(std::min<Index>(kLanes, k - i)), row + i); };
    __m512i bits = _mm512_setzero_si512();
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    for (Index i = 0; i < k; i += kLanes)
      bits = _mm512_max_epu32(bits, _mm512_and_si512(_mm512_castps_si512(part(i)), magnitude));
    const auto largest = std::bit_cast<float>(static_cast<std::uint32_t>(_mm512_reduce_max_epu32(bits)));
    const RowScale scale = row_scale(largest);
    scales[r] = scale.scale;
    auto* to = reinterpret_cast<unsigned char*>(room.data() + r * stride);
    const __m512 inverse = _mm512_set1_ps(scale.inverse), shift = _mm512_set1_ps(kIntegerShift);
    for (Index i = 0; i < k; i += kLanes) {
      // row_integer, with 128 added
      const __m512i sum = _mm512_castps_si512(_mm512_add_ps(_mm512_mul_ps(part(i), inverse), shift));
      __m512i integer = _mm512_sub_epi32(sum, _mm512_set1_epi32(kIntegerShiftBits));
      integer = _mm512_min_epi32(_mm512_max_epi32(integer, _mm512_set1_epi32(-127)), _mm512_set1_epi32(127));
      integer = _mm512_add_epi32(integer, _mm512_set1_epi32(128));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm512_cvtepi32_epi8(integer));
    }
  }
  return {reinterpret_cast<const char*>(room.data()), stride * Index{sizeof(float)}, scales};
}

}  // namespace

void multiply_rows(Index m, const float* a, Index lda, const PackedMatrix& b, Index first_panel, Index last_panel,
                   Start start, const float* bias, float* c, Index ldc) {
  thread_local AlignedVector room;
  if (b.precision == Precision::kInt8)
    multiply_left<Int8>(int8_rows(m, b.k, a, lda, room), m, b, first_panel, last_panel, start, bias, c, ldc);
  else if (!bfloat16_tiles())
    multiply_left<Bfloat16>(bfloat16_rows(m, b.k, a, lda, room), m, b, first_panel, last_panel, start, bias, c, ldc);
  else {
    const LeftRows left = bfloat16_rows(m, b.k, a, lda, room);
    amx::multiply({.rows = m,
                   .blocks = b.panel_rows() / amx::kTile,
                   .a = left.at,
                   .row_stride = left.stride,
                   .block_stride = amx::kTile * 4,
                   .b = reinterpret_cast<const char*>(b.panel(first_panel)),
                   .panel_stride = b.panel_rows() * kWidth * 4,
                   .panels = last_panel - first_panel,
                   .columns = b.n - first_panel * kWidth,
                   .start = start,
                   .bias = bias ? bias + first_panel * kWidth : nullptr,
                   .c = c + first_panel * kWidth,
                   .ldc = ldc});
  }
}

GradientShape gradient_shape(Index rows) {
  return bfloat16_tiles() ? GradientShape{Bfloat16Tiles::kGroup, elements_of<Bfloat16Tiles>(rows)}
                          : GradientShape{Bfloat16::kGroup, elements_of<Bfloat16>(rows)};
}

void pack_gradient_rows(const TransposedProduct& t, Index from, Index to, float* out) {
  if (bfloat16_tiles())
    pack_gradient_rows_of<Bfloat16Tiles>(t, from, to, out);
  else
    pack_gradient_rows_of<Bfloat16>(t, from, to, out);
}

void gradient_columns(const TransposedProduct& t, const float* packed_b, Index begin, Index columns) {
  if (bfloat16_tiles())
    gradient_columns_of<Bfloat16Tiles>(t, packed_b, begin, columns);
  else
    gradient_columns_of<Bfloat16>(t, packed_b, begin, columns);
}

}  // namespace mnemo::kernels::avx512
HWY_POP_ATTRIBUTES

namespace mnemo::kernels::avx512 {
bool has_bfloat16() { return __builtin_cpu_supports("avx512bf16") != 0; }
bool has_vnni() { return __builtin_cpu_supports("avx512vnni") != 0; }
}  // namespace mnemo::kernels::avx512

#else

namespace mnemo::kernels::avx512 {
bool has_bfloat16() { return false; }
bool has_vnni() { return false; }
void multiply_rows(Index, const float*, Index, const PackedMatrix&, Index, Index, Start, const float*, float*, Index) {}
GradientShape gradient_shape(Index) { return {}; }
void pack_gradient_rows(const TransposedProduct&, Index, Index, float*) {}
void gradient_columns(const TransposedProduct&, const float*, Index, Index) {}
}  // namespace mnemo::kernels::avx512

#endif
