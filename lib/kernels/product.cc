// float32 products, and the choice of a path for the others. b is packed into panels two vectors wide, so that a
// register tile reads it in order and reuses each broadcast of a; work is split into row groups (or, for weight
// gradients, into tiles of c) by sizes alone, so results do not depend on the number of threads.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/product.cc"
#include "kernels/highway.h"
// After highway.h: foreach_target compiles this file once for each instruction set.
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/product.h"
#include "kernels/product_left.h"

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

namespace {

const hn::ScalableTag<float> kTag;
using Vector = decltype(hn::Zero(kTag));
constexpr int kLanes = static_cast<int>(HWY_LANES(float));
constexpr int kWidth = 2 * kLanes;  // of a panel: two vectors, so each broadcast of a is used twice
// Rows of a register tile: rows x two vectors of sums leave room for the panel's two vectors and a broadcast.
constexpr int kRows = kLanes >= 16 || HWY_ARCH_ARM_A64 ? 12 : kLanes >= 8 ? 6 : 4;

#include "kernels/product-inl.h"

// D: the vectors' tag.
template <class D>
struct Float32 : VectorGroups<Float32<D>> {
  using Sum = hn::Vec<D>;
  using Right = Sum;
  using Left = Sum;
  static constexpr int kLanes = static_cast<int>(sizeof(Sum) / sizeof(float)), kDepth = 1, kLeft = sizeof(float);
  static constexpr bool kScaled = false;
  using Narrow = std::conditional_t<kLanes >= 8, Float32<hn::Half<D>>, Float32<D>>;

  static HWY_INLINE Right load(const char* b) { return hn::Load(D(), reinterpret_cast<const float*>(b)); }
  static HWY_INLINE Left left(const char* a) { return hn::Set(D(), *reinterpret_cast<const float*>(a)); }
  static HWY_INLINE Sum add(Left left, Right right, Sum sum) { return hn::MulAdd(left, right, sum); }
  static HWY_INLINE Sum begin(const Operands& /*o*/, const float* from, Index column) {
    return from ? hn::LoadU(D(), from + column) : hn::Zero(D());
  }
  static HWY_INLINE void end(const Operands& o, Index row, Index column, Sum sum) {
    hn::StoreU(sum, D(), o.c + row * o.ldc + column);
  }

  static HWY_INLINE void copy_group(const float* const* rows, Index column, float* to) {
    const float* from = rows[0] + column;
    for (Index v = 0; v < kGroupVectors; ++v) {
      const Index left = kRows - v * kLanes;
      hn::StoreU(left >= kLanes ? hn::LoadU(D(), from + v * kLanes)
                                : hn::MaskedLoad(hn::FirstN(D(), left), D(), from + v * kLanes),
                 D(), to + v * kLanes);
    }
  }
  static HWY_INLINE void copy_run(const float* const* rows, Index column, Index count, float* to) {
    std::memcpy(to, rows[0] + column, count * sizeof(float));
  }
};

using WholeFloat32 = Float32<std::remove_cv_t<decltype(kTag)>>;

Index panel_width() { return kWidth; }

void pack_panel(const float* b, Index ldb, bool transposed, Index k, Index n, Index p, float* out) {
  const Index begin = p * kWidth, columns = std::min<Index>(kWidth, n - begin);
  if (!transposed) {
    for (Index i = 0; i < k; ++i) {
      std::memcpy(out + i * kWidth, b + i * ldb + begin, columns * sizeof(float));
      std::fill(out + i * kWidth + columns, out + (i + 1) * kWidth, 0.0f);
    }
    return;
  }
  // Sixteen floats of each of the panel's columns at a time: reads a cache line at a time, and writes whole lines.
  constexpr Index kRun = 16;
  for (Index from = 0; from < k; from += kRun) {
    const Index to = std::min(k, from + kRun);
    for (Index j = 0; j < kWidth; ++j) {
      const float* row = b + (begin + j) * ldb;
      for (Index i = from; i < to; ++i) out[i * kWidth + j] = j < columns ? row[i] : 0.0f;
    }
  }
}

void multiply_rows(Index m, const float* a, Index lda, const PackedMatrix& b, Index first_panel, Index last_panel,
                   Start start, const float* bias, float* c, Index ldc) {
  multiply_left<WholeFloat32>({reinterpret_cast<const char*>(a), lda * Index{sizeof(float)}, nullptr}, m, b,
                              first_panel, last_panel, start, bias, c, ldc);
}

Index gradient_tile() { return kGradientTile; }
Index tile_rows() { return kRows; }

void gradient_columns(const TransposedProduct& t, const float* packed_b, Index begin, Index columns) {
  gradient_columns_of<WholeFloat32>(t, packed_b, begin, columns);
}

void pack_gradient_rows(const TransposedProduct& t, Index from, Index to, float* out) {
  pack_gradient_rows_of<WholeFloat32>(t, from, to, out);
}

// Chains of independent multiply-adds, enough to hide any latency; the result keeps the compiler from dropping them.
float run_chains(Index rounds) {
  constexpr int kChains = kLanes >= 16 || HWY_ARCH_ARM_A64 ? 24 : 12;
  Vector sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = hn::Set(kTag, 1.0f + static_cast<float>(i));
  const Vector factor = hn::Set(kTag, 0.999999f), term = hn::Set(kTag, 1e-6f);
  for (Index round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
    for (int i = 0; i < kChains; ++i) sum[i] = hn::MulAdd(sum[i], factor, term);
  }
  Vector all = sum[0];
  for (int i = 1; i < kChains; ++i) all = hn::Add(all, sum[i]);
  return hn::GetLane(hn::SumOfLanes(kTag, all));
}

double chain_flop_per_round() { return 2.0 * kLanes * (kLanes >= 16 || HWY_ARCH_ARM_A64 ? 24 : 12); }

}  // namespace
}  // namespace mnemo::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "base/error.h"
#include "kernels/blas.h"
#include "kernels/targets.h"

namespace mnemo::kernels {
namespace {
HWY_EXPORT(panel_width);
HWY_EXPORT(pack_panel);
HWY_EXPORT(multiply_rows);
HWY_EXPORT(gradient_tile);
HWY_EXPORT(tile_rows);
HWY_EXPORT(gradient_columns);
HWY_EXPORT(pack_gradient_rows);
HWY_EXPORT(run_chains);
HWY_EXPORT(chain_flop_per_round);

constexpr Index kRowsPerTask = 48;

// The number of parts of at most `most`: an even number, so two threads get the same work.
Index even_parts(Index count, Index most) {
  const Index parts = (count + most - 1) / most;
  return parts > 1 ? (parts + 1) / 2 * 2 : parts;
}

Index row_groups(Index m) { return even_parts(m, kRowsPerTask); }

int blas_size(Index value) { return static_cast<int>(value); }

// multiply_transposed by OpenBLAS, one product per task.
void openblas_multiply_all(ThreadPool& pool, std::span<const TransposedProduct> products, AlignedVector& scratch) {
  std::vector<Index> places;
  Index size = 0;
  for (const TransposedProduct& p : products) {
    places.push_back(size);
    for (const auto& right : p.right) size += right.b_rows ? p.rows * right.n : 0;
  }
  scratch.resize(size);
  pool.parallel_for(std::ssize(products), [&](std::int64_t i) {
    const TransposedProduct& p = products[i];
    float* gathered = scratch.data() + places[i];
    for (const auto& right : p.right) {
      if (right.n == 0) continue;
      const Index n = right.n;
      for (Index r = 0; right.b_rows && r < p.rows; ++r)
        std::memcpy(gathered + r * n, right.b_rows[r], n * sizeof(float));
      openblas_multiply_transposed(p.rows, p.m, n, p.a, p.lda, right.b_rows ? gathered : right.b,
                                   right.b_rows ? n : right.ldb, right.c, right.ldc);
      if (right.b_rows) gathered += p.rows * n;
    }
    for (Index r = 0; p.a_sum && r < p.rows; ++r)
      for (Index j = 0; j < p.m; ++j) p.a_sum[j] += p.a[r * p.lda + j];
  });
}

}  // namespace

void pack(ThreadPool& pool, const float* b, Index ldb, bool transposed, Index k, Index n, PackedMatrix& out,
          Precision precision) {
  if (precision == Precision::kInt8 && k > kLargestInt8Sum)
    fail("int8: sums over {} values; at most {} are exact", k, kLargestInt8Sum);
  out.precision = precision;
  out.k = k;
  out.n = n;
  out.width = HWY_DYNAMIC_DISPATCH(panel_width)();
  out.data.resize_whole(out.panels() * out.panel_rows() * out.width);
  out.scales.resize(precision == Precision::kInt8 ? out.panels() * out.width : 0);
  out.offsets.resize(out.scales.size());
  const auto pack_one = [&](std::int64_t p) {
    if (precision != Precision::kFloat32) return pack_narrow_panel(b, ldb, transposed, p, out);
    HWY_DYNAMIC_DISPATCH(pack_panel)(b, ldb, transposed, k, n, p, out.data.data() + p * k * out.width);
  };
  pool.parallel_for(out.panels(), pack_one);
}

void multiply_rows(Index m, const float* a, Index lda, const PackedMatrix& b, Index first_panel, Index last_panel,
                   Start start, const float* bias, float* c, Index ldc) {
  if (b.precision == Precision::kFloat32)
    HWY_DYNAMIC_DISPATCH(multiply_rows)(m, a, lda, b, first_panel, last_panel, start, bias, c, ldc);
  else if (b.precision == Precision::kBfloat16 || (b.precision == Precision::kInt8 && int8_instructions()))
    avx512::multiply_rows(m, a, lda, b, first_panel, last_panel, start, bias, c, ldc);
  else
    multiply_rows_narrow(m, a, lda, b, first_panel, last_panel, start, bias, c, ldc);
}

void for_row_groups(ThreadPool& pool, Index m, const std::function<void(Index, Index)>& body) {
  const Index groups = row_groups(m);
  pool.parallel_for(groups, [&](std::int64_t group) {
    const Index first = group * m / groups;
    body(first, (group + 1) * m / groups - first);
  });
}

void multiply(ThreadPool& pool, std::span<const Product> products) {
  struct Task {
    const Product* product;
    Index first, rows;
  };
  std::vector<Task> tasks;
  for (const Product& p : products)
    for (Index group = 0, groups = row_groups(p.m); group < groups; ++group) {
      const Index first = group * p.m / groups;
      tasks.push_back({&p, first, (group + 1) * p.m / groups - first});
    }
  pool.parallel_for(std::ssize(tasks), [&](std::int64_t i) {
    const auto& [p, first, rows] = tasks[i];
    multiply_rows(rows, p->a + first * p->lda, p->lda, *p->b, 0, p->b->panels(), p->start, p->bias,
                  p->c + first * p->ldc, p->ldc);
  });
}

void multiply_transposed(ThreadPool& pool, std::span<const TransposedProduct> products, AlignedVector& scratch,
                         Precision precision) {
  const bool narrow = precision == Precision::kBfloat16;
  if (openblas_serves()) return openblas_multiply_all(pool, products, scratch);
  struct Task {
    const TransposedProduct* product;
    Index begin, end, packed;  // rows of b to pack, then columns of a; `packed` is the product's place in scratch
  };
  const Index width = HWY_DYNAMIC_DISPATCH(panel_width)(), tile = HWY_DYNAMIC_DISPATCH(gradient_tile)();
  constexpr Index kPackRows = 128;
  std::vector<Task> packs, tiles;
  Index packed = 0;
  for (const TransposedProduct& p : products) {
    const auto [group, elements] =
        narrow ? avx512::gradient_shape(p.rows) : avx512::GradientShape{HWY_DYNAMIC_DISPATCH(tile_rows)(), p.rows};
    for (Index r = 0; r < p.rows; r += kPackRows) packs.push_back({&p, r, std::min(p.rows, r + kPackRows), packed});
    // Bounds are at whole register tiles and depend on the problem alone.
    const Index parts = even_parts(p.m, tile), groups = (p.m + group - 1) / group;
    for (Index i = 0; i < parts; ++i) {
      const Index begin = i * groups / parts * group, end = std::min(p.m, (i + 1) * groups / parts * group);
      if (begin < end) tiles.push_back({&p, begin, end, packed});
    }
    packed += (p.n() + width - 1) / width * width * elements;
  }
  scratch.resize(packed);
  pool.parallel_for(std::ssize(packs), [&](std::int64_t i) {
    const Task& t = packs[i];
    float* to = scratch.data() + t.packed;
    if (narrow)
      avx512::pack_gradient_rows(*t.product, t.begin, t.end, to);
    else
      HWY_DYNAMIC_DISPATCH(pack_gradient_rows)(*t.product, t.begin, t.end, to);
  });
  pool.parallel_for(std::ssize(tiles), [&](std::int64_t i) {
    const Task& t = tiles[i];
    const float* from = scratch.data() + t.packed;
    if (narrow)
      avx512::gradient_columns(*t.product, from, t.begin, t.end - t.begin);
    else
      HWY_DYNAMIC_DISPATCH(gradient_columns)(*t.product, from, t.begin, t.end - t.begin);
  });
}

const char* precision_name(Precision precision) {
  return precision == Precision::kFloat32 ? "float32" : precision == Precision::kInt8 ? "int8" : "bfloat16";
}

std::optional<Precision> inference_precision(std::string_view name) {
  for (const Precision precision : {Precision::kFloat32, Precision::kBfloat16Weights, Precision::kInt8})
    if (name == precision_name(precision)) return precision;
  return std::nullopt;
}

std::string no_bfloat16_products() {
  if (bfloat16_instructions()) return "";
  if (!avx512::has_bfloat16()) return "this processor has no bfloat16 products (vdpbf16ps)";
  return fmt::format("the instruction set in use, {}, has no bfloat16 products", current_target());
}

bool openblas_serves() { return current_target() == "scalar"; }

std::string product_provider() {
  return fmt::format("{}{}; OpenBLAS core {}",
                     openblas_serves() ? "OpenBLAS for weight gradients, mnemo's scalar kernels for the rest"
                                       : "mnemo's packed panels, " + current_target(),
                     bfloat16_tiles() ? " and AMX" : "", blas().corename());
}

void openblas_multiply_transposed(Index rows, Index m, Index n, const float* a, Index lda, const float* b, Index ldb,
                                  float* c, Index ldc) {
  blas().sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(m), blas_size(n), blas_size(rows), 1.0f, a,
               blas_size(lda), b, blas_size(ldb), 1.0f, c, blas_size(ldc));
}

void openblas_multiply(Index m, Index n, Index k, const float* a, Index lda, const float* b, Index ldb, float* c,
                       Index ldc) {
  blas().sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(m), blas_size(n), blas_size(k), 1.0f, a,
               blas_size(lda), b, blas_size(ldb), 0.0f, c, blas_size(ldc));
}

double multiply_adds(double milliseconds) {
  using Clock = std::chrono::steady_clock;
  constexpr Index kRounds = 20000;
  volatile float keep = 0;
  double flop = 0;
  const auto end = Clock::now() + std::chrono::duration<double, std::milli>(milliseconds);
  do {
    keep = keep + HWY_DYNAMIC_DISPATCH(run_chains)(kRounds);
    flop += kRounds * HWY_DYNAMIC_DISPATCH(chain_flop_per_round)();
  } while (Clock::now() < end);
  return flop;
}

}  // namespace mnemo::kernels
#endif
