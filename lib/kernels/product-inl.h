// The register tiles of every matrix product, instantiated for each precision and instruction set. To be included
// inside a namespace that belongs to the instruction set and has defined kLanes, kWidth and kRows, within the
// compiler's attributes for it. An arithmetic A describes the content of a panel:
//
//   kDepth           rows of b (values of k) in one 32-bit element of a panel
//   kLeft            bytes of a's values for one such element
//   kLanes           sums in one vector
//   Right, Left      a vector of a panel's elements, and the factor of all of them
//   Sum              a vector of sums
//   Narrow           the same with vectors of half the size, or A itself
//   load, left, add  Right from a panel, Left from a, and sum + left * right
//   begin, end       load sums from an address (or zero), and store them; integer sums begin with the offsets and are
//                    scaled at the end
//
// NOLINTBEGIN(misc-definitions-in-headers): definitions here belong to the source that includes it.

constexpr int kSums = 2 * kRows;
constexpr Index kLine = 64;            // bytes of a cache line
constexpr Index kNearBytes = 3 << 18;  // of a matrix that stays in the second-level cache beside the other operand

// With few rows, several panels side by side keep enough independent sums in flight to hide the multiply-add's latency.
constexpr int panels_for(int rows) {
  const int fitting = kSums / (2 * rows);
  return fitting > 8 ? 8 : fitting > 4 ? (fitting >= 8 ? 8 : 4) : fitting;
}

struct Operands {
  Index k;  // rows of a panel
  const char* a;
  Index row_stride;  // bytes: a(r, i) is at a + r * row_stride + i * kLeft, or if a is packed at
                     // a + (r + i * kRows) * kLeft
  const char* b;
  Index panel_stride;  // bytes from one panel to the next
  Start start;
  const float* bias;
  float* c;
  Index ldc;
  Index columns;                // columns of c that exist, from the first panel's first column on
  const char* ahead;            // cache lines to prefetch into the second level, one for each of k
  Index ahead_step;             // bytes from one of them to the next
  const float* row_scales;      // [rows] for integer products: the scales of a's integers
  const float* scales;          // [columns, padded] those of b's
  const std::int32_t* offsets;  // [columns, padded] the initial values of integer sums
};

// Sums of a tile: R rows of V vectors. Loops over them are unrolled so that all stay in registers.
template <class A, int R, int V>
struct Sums {
  // Written out, as an implicit one would not belong to the instruction set being compiled for.
  HWY_INLINE Sums() {}  // NOLINT(modernize-use-equals-default)
  typename A::Sum at[R][V];
};

// sums += a * b over k. a(r, i) is addressed from two bases, for six rows each, at multiples of one stride that an
// address can encode: twelve pointers would not fit in the registers.
template <bool kPackedA, class A, int R, int V>
HWY_INLINE void add_products(Sums<A, R, V>& in, const Operands& o) {
  Sums<A, R, V> sums = in;
  const char* a = o.a;
  const char* a6 = a + 6 * o.row_stride;
  const char* b = o.b;
  const char* ahead = o.ahead;
  const Index stride = o.row_stride, panel_stride = o.panel_stride;
  constexpr Index kStep = (kPackedA ? kRows : 1) * A::kLeft;
  for (Index i = o.k; i > 0; --i) {
    typename A::Right right[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) right[v] = A::load(b + v / 2 * panel_stride + v % 2 * A::kLanes * 4);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const auto left = A::left(kPackedA ? a + r * A::kLeft : (r < 6 ? a : a6) + r % 6 * stride);
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sums.at[r][v] = A::add(left, right[v], sums.at[r][v]);
    }
    __builtin_prefetch(ahead, 0, 2);
    ahead += o.ahead_step;
    a += kStep;
    a6 += kStep;
    b += Index{kWidth} * 4;
  }
  in = sums;
}

// c [R, V vectors] = start + a * b.
template <class A, int R, int V, bool kPackedA>
HWY_INLINE void whole_tile(const Operands& o) {
  Sums<A, R, V> sums;
  if (!A::kScaled && o.start != Start::kZero) {
    const float* from = o.start == Start::kBias ? o.bias : o.c;
    const Index stride = o.start == Start::kBias ? 0 : o.ldc;
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sums.at[r][v] = A::begin(o, from + r * stride, v * A::kLanes);
  } else {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sums.at[r][v] = A::begin(o, nullptr, v * A::kLanes);
  }
  add_products<kPackedA>(sums, o);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) A::end(o, r, v * A::kLanes, sums.at[r][v]);
}

// The same where c has fewer columns than the vectors: through a copy.
template <class A, int R, int V, bool kPackedA>
HWY_NOINLINE void edge_tile(const Operands& o) {
  constexpr Index kColumns = V * A::kLanes;
  alignas(64) float copy[R * kColumns] = {};
  const std::size_t bytes = o.columns * sizeof(float);
  for (int r = 0; r < R && o.start != Start::kZero; ++r)
    std::memcpy(copy + r * kColumns, o.start == Start::kBias ? o.bias : o.c + r * o.ldc, bytes);
  Operands inside = o;
  inside.start = Start::kResult;
  inside.c = copy;
  inside.ldc = kColumns;
  whole_tile<A, R, V, kPackedA>(inside);
  for (int r = 0; r < R; ++r) std::memcpy(o.c + r * o.ldc, copy + r * kColumns, bytes);
}

// c [R, P panels] = start + a * b.
template <class A, int R, int P, bool kPackedA>
HWY_INLINE void tile(const Operands& o) {
  // A last panel that is at most a quarter or a half full costs only as much.
  if (P == 1 && o.columns <= A::Narrow::kLanes) return edge_tile<typename A::Narrow, R, 1, kPackedA>(o);
  if (P == 1 && o.columns <= A::kLanes) return edge_tile<A, R, 1, kPackedA>(o);
  if (o.columns < P * kWidth) return edge_tile<A, R, 2 * P, kPackedA>(o);
  whole_tile<A, R, 2 * P, kPackedA>(o);
}

using TileFunction = void (*)(const Operands&);

template <class A, int R, bool kPackedA>
void tile_one(const Operands& o) {
  tile<A, R, 1, kPackedA>(o);
}
template <class A, int R>
void tile_many(const Operands& o) {
  tile<A, R, panels_for(R), false>(o);
}

template <class A, bool kPackedA, int... R>
TileFunction tile_of(Index rows, std::integer_sequence<int, R...>) {
  static constexpr TileFunction kTiles[] = {tile_one<A, R + 1, kPackedA>...};
  return kTiles[rows - 1];
}
template <class A, bool kPackedA>
TileFunction tile_of(Index rows) {
  return tile_of<A, kPackedA>(rows, std::make_integer_sequence<int, kRows>());
}

template <class A, int... R>
TileFunction wide_tile_of(Index rows, std::integer_sequence<int, R...>) {
  static constexpr TileFunction kTiles[] = {tile_many<A, R + 1>...};
  return kTiles[rows - 1];
}
template <class A>
TileFunction wide_tile_of(Index rows) {
  return wide_tile_of<A>(rows, std::make_integer_sequence<int, kRows / 2>());
}

// kernels::multiply_rows, for rows in the form that A takes.
template <class A>
void multiply_left(const LeftRows& a, Index m, const PackedMatrix& b, Index first_panel, Index last_panel, Start start,
                   const float* bias, float* c, Index ldc) {
  // Blocks of nearly equal height: 16 rows as 8 + 8, not 12 + 4.
  const Index blocks = (m + kRows - 1) / kRows, panel_bytes = b.panel_rows() * kWidth * 4;
  const bool far = blocks > 1 && b.panels() * panel_bytes > kNearBytes;
  for (Index p = first_panel; p < last_panel;) {
    Index step = 1;
    for (Index block = 0; block < blocks; ++block) {
      const Index r = block * m / blocks, rows = (block + 1) * m / blocks - r;
      TileFunction function = tile_of<A, false>(rows);
      if (blocks == 1 && rows <= kRows / 2 && p + panels_for(static_cast<int>(rows)) <= last_panel) {
        step = panels_for(static_cast<int>(rows));
        function = wide_tile_of<A>(rows);
      }
      // Where panels are beyond the second-level cache the first block would wait for them, so each block prefetches a
      // part of the next panel, a line for each of k.
      const Index part = block * b.elements() * kLine;
      const bool next = far && part + b.elements() * kLine <= panel_bytes;
      const Index from = !next ? p : p + step < last_panel ? p + step : first_panel;
      function({.k = b.elements(),
                .a = a.at + r * a.stride,
                .row_stride = a.stride,
                .b = reinterpret_cast<const char*>(b.panel(p)),
                .panel_stride = panel_bytes,
                .start = start,
                .bias = bias ? bias + p * kWidth : nullptr,
                .c = c + r * ldc + p * kWidth,
                .ldc = ldc,
                .columns = b.n - p * kWidth,
                .ahead = reinterpret_cast<const char*>(b.panel(from)) + (next ? part : 0),
                .ahead_step = next ? kLine : 0,
                .row_scales = a.scales ? a.scales + r : nullptr,
                .scales = A::kScaled ? b.scales.data() + p * kWidth : nullptr,
                .offsets = A::kScaled ? b.offsets.data() + p * kWidth : nullptr});
    }
    p += step;
  }
}

// Sums over rows, for arithmetics that also define
//
//   copy_group(rows, column, to)       kGroup elements from `column` on, of kDepth rows (the last ones may be null)
//                                      into kGroup elements, of which whole vectors may be written
//   copy_run(rows, column, count, to)  `count` elements
//   kGroup                             columns of a that are packed together, and make the rows of one tile of c
//   kPadding                           the number of elements is padded to a multiple of this, with zeros
//   arrange(packed, elements)          puts a packed group into the order of its tile
//   packed_tile(rows, operands)        the product of a packed group and a panel
//
// They run in blocks whose two packed operands stay in the caches: a block of b's panel in the first level, the tile of
// a in the second.
constexpr Index kGradientTile = 8 * kRows;  // columns of a for one task

constexpr Index kBlockElements = 256;
template <class A>
constexpr Index kBlock = kBlockElements* A::kDepth;  // rows

// For an arithmetic whose groups are the register tile's rows.
template <class A>
struct VectorGroups {
  static constexpr Index kGroup = kRows, kPadding = 1;
  static HWY_INLINE void arrange(float* /*packed*/, Index /*elements*/) {}
  static HWY_INLINE void packed_tile(Index rows, const Operands& o) { tile_of<A, true>(rows)(o); }
};

// Elements of a packed block of rows, including padding.
template <class A>
constexpr Index elements_of(Index rows) {
  return ((rows + A::kDepth - 1) / A::kDepth + A::kPadding - 1) / A::kPadding * A::kPadding;
}

// The size of one packed group of a's columns in a block of rows; the last row's store of whole vectors runs into the
// padding.
constexpr Index kGroupVectors = (kRows + kLanes - 1) / kLanes;
template <class A>
constexpr Index group_size(Index elements) {
  return elements * A::kGroup + kGroupVectors * kLanes;
}

// Rows r to r + kDepth of `row_at`, null from `end` on.
template <class A>
struct RowsOfElement {
  template <class At>
  HWY_INLINE RowsOfElement(const At& row_at, Index r, Index end) {
    for (Index i = 0; i < A::kDepth; ++i) at[i] = r + i < end ? row_at(r + i) : nullptr;
  }
  const float* at[A::kDepth];
};

// Packs rows [from, to) of a's columns [begin, begin + columns) as groups of kGroup columns, [group, element, kGroup],
// and adds each column to `sum` on the way.
template <class A>
void pack_columns(const TransposedProduct& t, Index from, Index to, Index begin, Index columns, float* out,
                  float* sum) {
  constexpr Index kGroup = A::kGroup;
  const Index whole = columns / kGroup, rest = columns % kGroup;
  const Index elements = elements_of<A>(to - from), filled = (to - from + A::kDepth - 1) / A::kDepth;
  const auto group = [&](Index g) { return out + g * group_size<A>(elements); };
  constexpr Index kAhead = 8;  // rows are pages apart, where the processor does not prefetch by itself
  for (Index e = 0; e < filled; ++e) {
    const RowsOfElement<A> rows([&](Index r) { return t.a + r * t.lda + begin; }, from + e * A::kDepth, to);
    for (const float* row : rows.at) {
      if (!row) continue;
      if (from + e * A::kDepth + kAhead + A::kDepth <= to)
        for (Index j = 0; j < columns; j += 16) hwy::Prefetch(row + kAhead * t.lda + j);
      for (Index j = 0; j < columns; ++j) sum[j] += row[j];
    }
    for (Index g = 0; g < whole; ++g) A::copy_group(rows.at, g * kGroup, group(g) + e * kGroup);
    if (rest > 0) A::copy_run(rows.at, whole * kGroup, rest, group(whole) + e * kGroup);
  }
  for (Index g = 0; g * kGroup < columns; ++g) {
    std::fill_n(group(g) + filled * kGroup, (elements - filled) * kGroup, 0.0f);
    A::arrange(group(g), elements);
  }
}

// One tile of panel p of both c side by side, rows [row, row + rows): through a copy where the panel holds columns of
// both.
template <class A>
void gradient_tile_at(const TransposedProduct& t, Index row, Index p, Index rows, Operands o) {
  const auto& [first, second] = t.right;
  const Index begin = p * kWidth, end = std::min<Index>(begin + kWidth, t.n());
  if (begin >= first.n || end <= first.n) {
    const auto& right = begin >= first.n ? second : first;
    o.c = right.c + row * right.ldc + (begin >= first.n ? begin - first.n : begin);
    o.ldc = right.ldc;
    // What follows a full panel of the first does not belong to it.
    if (begin < first.n) o.columns = std::min<Index>(o.columns, first.n - begin);
    return A::packed_tile(rows, o);
  }
  alignas(64) float copy[A::kGroup * kWidth];
  const Index left = first.n - begin, rest = end - first.n;
  for (Index r = 0; r < rows; ++r) {
    std::memcpy(copy + r * kWidth, first.c + (row + r) * first.ldc + begin, left * sizeof(float));
    std::memcpy(copy + r * kWidth + left, second.c + (row + r) * second.ldc, rest * sizeof(float));
  }
  o.c = copy;
  o.ldc = kWidth;
  A::packed_tile(rows, o);
  for (Index r = 0; r < rows; ++r) {
    std::memcpy(first.c + (row + r) * first.ldc + begin, copy + r * kWidth, left * sizeof(float));
    std::memcpy(second.c + (row + r) * second.ldc, copy + r * kWidth + left, rest * sizeof(float));
  }
}

// Prefetches c's tile of panel p, rows [row, row + rows): they are far apart, where the processor does not prefetch.
inline void prefetch_gradient_tile(const TransposedProduct& t, Index row, Index p, Index rows) {
  const Index begin = p * kWidth, before = begin < t.right[0].n ? 0 : t.right[0].n;
  const auto& right = before == 0 ? t.right[0] : t.right[1];
  const float* c = right.c + row * right.ldc + begin - before;
  for (Index r = 0; r < rows; ++r, c += right.ldc)
    for (Index j = 0; j < kWidth; j += kLine / 4) __builtin_prefetch(c + j, 1);
}

// c's rows [begin, begin + columns); `packed_b` holds b as pack_gradient_rows_of writes it.
template <class A>
void gradient_columns_of(const TransposedProduct& t, const float* packed_b, Index begin, Index columns) {
  alignas(64) float packed_a[kGradientTile / A::kGroup * group_size<A>(kBlockElements)];
  alignas(64) float sum[kGradientTile] = {};
  if (t.a_sum) std::memcpy(sum, t.a_sum + begin, columns * sizeof(float));
  const Index panels = (t.n() + kWidth - 1) / kWidth, groups = (columns + A::kGroup - 1) / A::kGroup;
  const Index panel_rows = elements_of<A>(t.rows);
  for (Index from = 0; from < t.rows; from += kBlock<A>) {
    const Index to = std::min<Index>(t.rows, from + kBlock<A>), elements = elements_of<A>(to - from);
    pack_columns<A>(t, from, to, begin, columns, packed_a, sum);
    const auto rows_of = [&](Index g) { return std::min<Index>(A::kGroup, columns - g * A::kGroup); };
    const auto block_of = [&](Index p) {
      return reinterpret_cast<const char*>(packed_b + (p * panel_rows + from / A::kDepth) * kWidth);
    };
    for (Index p = 0; p < panels; ++p)
      for (Index g = 0; g < groups; ++g) {
        // Prefetches for the next tiles: the first groups fetch a part of b's next block each.
        if (g + 1 < groups)
          prefetch_gradient_tile(t, begin + (g + 1) * A::kGroup, p, rows_of(g + 1));
        else if (p + 1 < panels)
          prefetch_gradient_tile(t, begin, p + 1, rows_of(0));
        const bool next = p + 1 < panels && (g + 1) * kLine <= kWidth * 4;
        gradient_tile_at<A>(t, begin + g * A::kGroup, p, rows_of(g),
                            {.k = elements,
                             .a = reinterpret_cast<const char*>(packed_a + g * group_size<A>(elements)),
                             .row_stride = 0,
                             .b = block_of(p),
                             .panel_stride = 0,
                             .start = Start::kResult,
                             .bias = nullptr,
                             .c = nullptr,
                             .ldc = 0,
                             .columns = t.n() - p * kWidth,
                             .ahead = next ? block_of(p + 1) + g * elements * kLine : block_of(p),
                             .ahead_step = next ? kLine : 0,
                             .row_scales = nullptr,
                             .scales = nullptr,
                             .offsets = nullptr});
      }
  }
  if (t.a_sum) std::memcpy(t.a_sum + begin, sum, columns * sizeof(float));
}

// Packs rows [from, to) of b into every panel of [panels, elements of rows, kWidth]; `from` is a multiple of kDepth.
template <class A>
void pack_gradient_rows_of(const TransposedProduct& t, Index from, Index to, float* out) {
  const Index panels = (t.n() + kWidth - 1) / kWidth, panel_rows = elements_of<A>(t.rows);
  for (Index r = from; r < to; r += A::kDepth) {
    // Element j of both rows side by side.
    const auto place = [&](Index j) { return out + (j / kWidth * panel_rows + r / A::kDepth) * kWidth + j % kWidth; };
    Index at = 0;
    for (const auto& right : t.right) {
      if (right.n == 0) continue;
      const RowsOfElement<A> rows([&](Index row) { return right.row(row); }, r, to);
      for (Index j = 0; j < right.n;) {
        const Index run = std::min<Index>(right.n - j, kWidth - at % kWidth);
        if (run == kWidth)
          A::copy_run(rows.at, j, kWidth, place(at));
        else
          A::copy_run(rows.at, j, run, place(at));
        j += run;
        at += run;
      }
    }
    if (at < panels * kWidth) std::fill_n(place(at), panels * kWidth - at, 0.0f);
  }
  const Index filled = (t.rows + A::kDepth - 1) / A::kDepth;
  for (Index p = 0; p < panels && to == t.rows; ++p)
    std::fill_n(out + (p * panel_rows + filled) * kWidth, (panel_rows - filled) * kWidth, 0.0f);
}

// NOLINTEND(misc-definitions-in-headers)
