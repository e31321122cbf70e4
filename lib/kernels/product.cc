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

HWY_BEFORE_NAMESPACE();
namespace mnemo::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

namespace {

const hn::ScalableTag<float> kTag;
using Vector = decltype(hn::Zero(kTag));
constexpr int kLanes = static_cast<int>(HWY_LANES(float));
constexpr int kWidth = 2 * kLanes;  // of a panel: two vectors, so that each broadcast of a is used twice
// Register tile: rows x two vectors of sums, and room for the panel's two vectors and a broadcast.
constexpr int kRows = kLanes >= 16 || HWY_ARCH_ARM_A64 ? 12 : kLanes >= 8 ? 6 : 4;
constexpr int kSums = 2 * kRows;

// With few rows, several panels side by side keep enough independent sums in flight to hide the multiply-add's latency.
constexpr int panels_for(int rows) {
  const int fitting = kSums / (2 * rows);
  return fitting > 8 ? 8 : fitting > 4 ? (fitting >= 8 ? 8 : 4) : fitting;
}

struct Operands {
  Index k;
  const float* a;
  Index row_stride;  // a(r, i) lies at a[r * row_stride + i], or if it is packed at a[r + i * kRows]
  const float* b;
  Index panel_stride;  // elements from one panel to the next
  Start start;
  const float* bias;
  float* c;
  Index ldc;
  Index columns;  // of c that exist, from the first panel's first on
};

// Sums of a tile: R rows of V vectors of D's size. Loops over them are unrolled so that all stay in registers.
template <class D, int R, int V>
struct Sums {
  // Written out, as the compiler's own would not belong to the instruction set that is being compiled for.
  HWY_INLINE Sums() {}  // NOLINT(modernize-use-equals-default)
  hn::Vec<D> at[R][V];
};

template <class D>
constexpr int lanes_of() {
  return static_cast<int>(sizeof(hn::Vec<D>) / sizeof(float));
}

// The sums' first values from `from` (rows `stride` apart; 0 repeats one row).
template <class D, int R, int V>
HWY_INLINE void load_sums(Sums<D, R, V>& sums, const float* from, Index stride) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sums.at[r][v] = hn::LoadU(D(), from + r * stride + v * lanes_of<D>());
}

template <class D, int R, int V>
HWY_INLINE void store_sums(const Sums<D, R, V>& sums, float* to, Index stride) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) hn::StoreU(sums.at[r][v], D(), to + r * stride + v * lanes_of<D>());
}

// sums += a * b over k. a(r, i) is found from two bases, six rows each, at multiples of one stride that an address can
// hold: twelve pointers would not fit into the registers.
template <bool kPackedA, class D, int R, int V>
HWY_INLINE void add_products(Sums<D, R, V>& in, const Operands& o) {
  Sums<D, R, V> sums = in;
  const char* a = reinterpret_cast<const char*>(o.a);
  const char* a6 = a + 6 * o.row_stride * static_cast<Index>(sizeof(float));
  const float* b = o.b;
  const Index stride = o.row_stride * static_cast<Index>(sizeof(float));
  const Index k_step = (kPackedA ? kRows : 1) * static_cast<Index>(sizeof(float)), panel_stride = o.panel_stride;
  for (Index i = o.k; i > 0; --i) {
    hn::Vec<D> right[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) right[v] = hn::Load(D(), b + v / 2 * panel_stride + v % 2 * lanes_of<D>());
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const char* at = kPackedA ? a + r * static_cast<Index>(sizeof(float)) : (r < 6 ? a : a6) + r % 6 * stride;
      const auto left = hn::Set(D(), *reinterpret_cast<const float*>(at));
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sums.at[r][v] = hn::MulAdd(left, right[v], sums.at[r][v]);
    }
    a += k_step;
    a6 += k_step;
    b += kWidth;
  }
  in = sums;
}

// c [R, V vectors] = start + a * b, where c has fewer columns than the vectors: through a copy.
template <class D, int R, int V, bool kPackedA>
HWY_NOINLINE void edge_tile(const Operands& o) {
  constexpr Index kColumns = V * lanes_of<D>();
  HWY_ALIGN float copy[R * kColumns] = {};
  const std::size_t bytes = o.columns * sizeof(float);
  for (int r = 0; r < R && o.start != Start::kZero; ++r)
    std::memcpy(copy + r * kColumns, o.start == Start::kBias ? o.bias : o.c + r * o.ldc, bytes);
  Sums<D, R, V> sums;
  load_sums(sums, copy, kColumns);
  add_products<kPackedA>(sums, o);
  store_sums(sums, copy, kColumns);
  for (int r = 0; r < R; ++r) std::memcpy(o.c + r * o.ldc, copy + r * kColumns, bytes);
}

// c [R, P panels] = start + a * b.
template <int R, int P, bool kPackedA>
HWY_INLINE void tile(const Operands& o) {
  // A last panel that is at most a quarter or a half full costs that much.
  using Tag = std::remove_cv_t<decltype(kTag)>;
  using Half = std::conditional_t<kLanes >= 8, hn::Half<Tag>, Tag>;
  if (P == 1 && o.columns <= lanes_of<Half>()) return edge_tile<Half, R, 1, kPackedA>(o);
  if (P == 1 && o.columns <= kLanes) return edge_tile<Tag, R, 1, kPackedA>(o);
  if (o.columns < P * kWidth) return edge_tile<Tag, R, 2 * P, kPackedA>(o);
  Sums<Tag, R, 2 * P> sums;
  if (o.start == Start::kZero) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int v = 0; v < 2 * P; ++v) sums.at[r][v] = hn::Zero(kTag);
  } else {
    load_sums(sums, o.start == Start::kBias ? o.bias : o.c, o.start == Start::kBias ? 0 : o.ldc);
  }
  add_products<kPackedA>(sums, o);
  store_sums(sums, o.c, o.ldc);
}

using TileFunction = void (*)(const Operands&);

template <int R, bool kPackedA>
void tile_one(const Operands& o) {
  tile<R, 1, kPackedA>(o);
}
template <int R>
void tile_many(const Operands& o) {
  tile<R, panels_for(R), false>(o);
}

template <bool kPackedA, int... R>
TileFunction tile_of(Index rows, std::integer_sequence<int, R...>) {
  static constexpr TileFunction kTiles[] = {tile_one<R + 1, kPackedA>...};
  return kTiles[rows - 1];
}
template <bool kPackedA>
TileFunction tile_of(Index rows) {
  return tile_of<kPackedA>(rows, std::make_integer_sequence<int, kRows>());
}

template <int... R>
TileFunction wide_tile_of(Index rows, std::integer_sequence<int, R...>) {
  static constexpr TileFunction kTiles[] = {tile_many<R + 1>...};
  return kTiles[rows - 1];
}
TileFunction wide_tile_of(Index rows) { return wide_tile_of(rows, std::make_integer_sequence<int, kRows / 2>()); }

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
  // Sixteen floats of each of the panel's columns at a time: a cache line read, and lines written whole.
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
  // Blocks of nearly equal height: 16 rows as 8 + 8, not 12 + 4.
  const Index blocks = (m + kRows - 1) / kRows;
  for (Index p = first_panel; p < last_panel;) {
    Index step = 1;
    for (Index block = 0; block < blocks; ++block) {
      const Index r = block * m / blocks, rows = (block + 1) * m / blocks - r;
      TileFunction function = tile_of<false>(rows);
      if (blocks == 1 && rows <= kRows / 2 && p + panels_for(static_cast<int>(rows)) <= last_panel) {
        step = panels_for(static_cast<int>(rows));
        function = wide_tile_of(rows);
      }
      function({.k = b.k,
                .a = a + r * lda,
                .row_stride = lda,
                .b = b.panel(p),
                .panel_stride = b.k * kWidth,
                .start = start,
                .bias = bias ? bias + p * kWidth : nullptr,
                .c = c + r * ldc + p * kWidth,
                .ldc = ldc,
                .columns = b.n - p * kWidth});
    }
    p += step;
  }
}

// Sums over rows go in blocks whose two packed operands stay in the caches: a block of b's panel in the first level,
// the tile of a in the second.
constexpr Index kBlock = 256;
constexpr Index kTile = 8 * kRows;  // columns of a for one task

Index gradient_tile() { return kTile; }

// One group of a's columns in a block of rows, packed; the padding takes the last row's store of whole vectors.
constexpr Index kGroupVectors = (kRows + kLanes - 1) / kLanes;
constexpr Index group_size(Index block) { return block * kRows + kGroupVectors * kLanes; }

// Copies kRows floats; writes whole vectors, reads no more than kRows floats.
HWY_INLINE void copy_group(const float* from, float* to) {
  for (Index v = 0; v < kGroupVectors; ++v) {
    const Index left = kRows - v * kLanes;
    hn::StoreU(left >= kLanes ? hn::LoadU(kTag, from + v * kLanes)
                              : hn::MaskedLoad(hn::FirstN(kTag, left), kTag, from + v * kLanes),
               kTag, to + v * kLanes);
  }
}

// Packs rows [from, to) of a's columns [begin, begin + columns) as groups of kRows columns, [group, row, kRows], and
// adds each column to `sum` on the way.
void pack_columns(const TransposedProduct& t, Index from, Index to, Index begin, Index columns, float* out,
                  float* sum) {
  const Index whole = columns / kRows, rest = columns % kRows, block = to - from;
  constexpr Index kAhead = 8;  // rows lie pages apart, where the processor does not prefetch by itself
  for (Index r = 0; r < block; ++r) {
    const float* row = t.a + (from + r) * t.lda + begin;
    if (r + kAhead < block)
      for (Index j = 0; j < columns; j += 16) hwy::Prefetch(row + kAhead * t.lda + j);
    for (Index j = 0; j < columns; ++j) sum[j] += row[j];
    for (Index g = 0; g < whole; ++g) copy_group(row + g * kRows, out + g * group_size(block) + r * kRows);
    if (rest > 0) std::memcpy(out + whole * group_size(block) + r * kRows, row + whole * kRows, rest * sizeof(float));
  }
}

// One tile of panel p of both c side by side, rows [row, row + rows): where the panel holds columns of both, through a
// copy.
void gradient_tile_at(const TransposedProduct& t, Index row, Index p, Index rows, Operands o) {
  const auto& [first, second] = t.right;
  const Index begin = p * kWidth, end = std::min(begin + kWidth, t.n());
  if (begin >= first.n || end <= first.n) {
    const auto& right = begin >= first.n ? second : first;
    o.c = right.c + row * right.ldc + (begin >= first.n ? begin - first.n : begin);
    o.ldc = right.ldc;
    // What follows a full panel of the first is not its own.
    if (begin < first.n) o.columns = std::min<Index>(o.columns, first.n - begin);
    return tile_of<true>(rows)(o);
  }
  HWY_ALIGN float copy[kRows * kWidth];
  const Index left = first.n - begin, rest = end - first.n;
  for (Index r = 0; r < rows; ++r) {
    std::memcpy(copy + r * kWidth, first.c + (row + r) * first.ldc + begin, left * sizeof(float));
    std::memcpy(copy + r * kWidth + left, second.c + (row + r) * second.ldc, rest * sizeof(float));
  }
  o.c = copy;
  o.ldc = kWidth;
  tile_of<true>(rows)(o);
  for (Index r = 0; r < rows; ++r) {
    std::memcpy(first.c + (row + r) * first.ldc + begin, copy + r * kWidth, left * sizeof(float));
    std::memcpy(second.c + (row + r) * second.ldc, copy + r * kWidth + left, rest * sizeof(float));
  }
}

// c's rows [begin, begin + columns); b lies in `packed_b` as pack_gradient_rows writes it.
void gradient_columns(const TransposedProduct& t, const float* packed_b, Index begin, Index columns) {
  HWY_ALIGN float packed_a[kTile / kRows * group_size(kBlock)];
  HWY_ALIGN float sum[kTile] = {};
  if (t.a_sum) std::memcpy(sum, t.a_sum + begin, columns * sizeof(float));
  const Index panels = (t.n() + kWidth - 1) / kWidth, groups = (columns + kRows - 1) / kRows;
  for (Index from = 0; from < t.rows; from += kBlock) {
    const Index to = std::min(t.rows, from + kBlock);
    pack_columns(t, from, to, begin, columns, packed_a, sum);
    for (Index p = 0; p < panels; ++p)
      for (Index g = 0; g < groups; ++g) {
        const Index rows = std::min<Index>(kRows, columns - g * kRows);
        gradient_tile_at(t, begin + g * kRows, p, rows,
                         {.k = to - from,
                          .a = packed_a + g * group_size(to - from),
                          .row_stride = 0,
                          .b = packed_b + (p * t.rows + from) * kWidth,
                          .panel_stride = 0,
                          .start = Start::kResult,
                          .bias = nullptr,
                          .c = nullptr,
                          .ldc = 0,
                          .columns = t.n() - p * kWidth});
      }
  }
  if (t.a_sum) std::memcpy(t.a_sum + begin, sum, columns * sizeof(float));
}

// Packs rows [from, to) of b into every panel of [panels, rows, kWidth].
void pack_gradient_rows(const TransposedProduct& t, Index from, Index to, float* out) {
  const Index panels = (t.n() + kWidth - 1) / kWidth;
  for (Index r = from; r < to; ++r) {
    // Element j of both rows side by side.
    const auto place = [&](Index j) { return out + (j / kWidth * t.rows + r) * kWidth + j % kWidth; };
    Index at = 0;
    for (const auto& right : t.right) {
      const float* row = right.n > 0 ? right.row(r) : nullptr;
      for (Index j = 0; j < right.n;) {
        const Index run = std::min<Index>(right.n - j, kWidth - at % kWidth);
        if (run == kWidth)
          std::memcpy(place(at), row + j, kWidth * sizeof(float));
        else
          std::memcpy(place(at), row + j, run * sizeof(float));
        j += run;
        at += run;
      }
    }
    if (at < panels * kWidth) std::fill_n(place(at), panels * kWidth - at, 0.0f);
  }
}

// Chains of independent multiply-adds, enough of them for any latency; returns what keeps the compiler from
// dropping them.
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
#include <cblas.h>

#include "base/error.h"
#include "kernels/targets.h"

namespace mnemo::kernels {
namespace {
HWY_EXPORT(panel_width);
HWY_EXPORT(pack_panel);
HWY_EXPORT(multiply_rows);
HWY_EXPORT(gradient_tile);
HWY_EXPORT(gradient_columns);
HWY_EXPORT(pack_gradient_rows);
HWY_EXPORT(run_chains);
HWY_EXPORT(chain_flop_per_round);

constexpr Index kRowsPerTask = 48;

Index row_groups(Index m) { return (m + kRowsPerTask - 1) / kRowsPerTask; }

int blas_size(Index value) { return static_cast<int>(value); }

void use_one_thread() {
  static const bool once = [] {
    openblas_set_num_threads(1);
    return true;
  }();
  (void)once;
}

// multiply_transposed by OpenBLAS, a product a task.
void openblas_multiply_all(ThreadPool& pool, std::span<const TransposedProduct> products, AlignedVector& scratch) {
  std::vector<Index> places;
  Index size = 0;
  for (const TransposedProduct& p : products) {
    places.push_back(size);
    for (const auto& right : p.right) size += right.b_rows ? p.rows * right.n : 0;
  }
  scratch.resize(size);
  use_one_thread();
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

void pack(ThreadPool& pool, const float* b, Index ldb, bool transposed, Index k, Index n, PackedMatrix& out) {
  out.k = k;
  out.n = n;
  out.width = HWY_DYNAMIC_DISPATCH(panel_width)();
  out.data.resize(out.panels() * k * out.width);
  const auto pack_one = [&](std::int64_t p) {
    HWY_DYNAMIC_DISPATCH(pack_panel)(b, ldb, transposed, k, n, p, out.data.data() + p * k * out.width);
  };
  pool.parallel_for(out.panels(), pack_one);
}

void multiply_rows(Index m, const float* a, Index lda, const PackedMatrix& b, Index first_panel, Index last_panel,
                   Start start, const float* bias, float* c, Index ldc) {
  HWY_DYNAMIC_DISPATCH(multiply_rows)(m, a, lda, b, first_panel, last_panel, start, bias, c, ldc);
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

void multiply_transposed(ThreadPool& pool, std::span<const TransposedProduct> products, AlignedVector& scratch) {
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
    for (Index r = 0; r < p.rows; r += kPackRows) packs.push_back({&p, r, std::min(p.rows, r + kPackRows), packed});
    for (Index j = 0; j < p.m; j += tile) tiles.push_back({&p, j, std::min(p.m, j + tile), packed});
    packed += (p.n() + width - 1) / width * width * p.rows;
  }
  scratch.resize(packed);
  pool.parallel_for(std::ssize(packs), [&](std::int64_t i) {
    const Task& t = packs[i];
    HWY_DYNAMIC_DISPATCH(pack_gradient_rows)(*t.product, t.begin, t.end, scratch.data() + t.packed);
  });
  pool.parallel_for(std::ssize(tiles), [&](std::int64_t i) {
    const Task& t = tiles[i];
    HWY_DYNAMIC_DISPATCH(gradient_columns)(*t.product, scratch.data() + t.packed, t.begin, t.end - t.begin);
  });
}

bool openblas_serves() { return current_target() == "scalar"; }

std::string product_provider() {
  return fmt::format("{}; OpenBLAS core {}",
                     openblas_serves() ? "OpenBLAS for weight gradients, mnemo's scalar kernels for the rest"
                                       : "mnemo's packed panels, " + current_target(),
                     openblas_get_corename());
}

void openblas_multiply_transposed(Index rows, Index m, Index n, const float* a, Index lda, const float* b, Index ldb,
                                  float* c, Index ldc) {
  use_one_thread();
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, blas_size(m), blas_size(n), blas_size(rows), 1.0f, a,
              blas_size(lda), b, blas_size(ldb), 1.0f, c, blas_size(ldc));
}

void openblas_multiply(Index m, Index n, Index k, const float* a, Index lda, const float* b, Index ldb, float* c,
                       Index ldc) {
  use_one_thread();
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas_size(m), blas_size(n), blas_size(k), 1.0f, a,
              blas_size(lda), b, blas_size(ldb), 0.0f, c, blas_size(ldc));
}

double measure_peak_gflops(double milliseconds) {
  using Clock = std::chrono::steady_clock;
  constexpr Index kRounds = 20000;
  volatile float keep = 0;
  double best = 0;
  const auto end = Clock::now() + std::chrono::duration<double, std::milli>(milliseconds);
  do {
    const auto start = Clock::now();
    keep = keep + HWY_DYNAMIC_DISPATCH(run_chains)(kRounds);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::max(best, kRounds * HWY_DYNAMIC_DISPATCH(chain_flop_per_round)() / seconds * 1e-9);
  } while (Clock::now() < end);
  return best;
}

}  // namespace mnemo::kernels
#endif
