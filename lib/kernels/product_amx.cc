// Intel AMX: eight tile registers of 16 rows by 64 bytes, four for sums, two for a, two for b: in products of enough
// rows each loaded tile is used twice. The tile configuration is loaded per call and released at its end; the operating
// system must grant the tiles to the process first.
#include "kernels/product_amx.h"

#if defined(__x86_64__) && defined(__linux__)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace mnemo::kernels::amx {
namespace {

constexpr int kPanelTiles = 2;                               // a panel is two tiles wide
constexpr Index kPanelRow = kPanelTiles * kTile * 4;         // bytes of a panel's row
constexpr Index kTileColumn = kTile * Index{sizeof(float)};  // bytes of a tile's row

// The instructions as assembly, as neither Highway nor every supported compiler knows them. Tiles 0 to 3 hold sums.
template <int kNumber>
void zero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kNumber));
}
template <int kNumber>
void load(const void* from, Index stride) {
  asm volatile("tileloadd (%1,%2,1), %%tmm%c0" ::"i"(kNumber), "r"(from), "r"(stride) : "memory");
}
template <int kNumber>
void store(void* to, Index stride) {
  asm volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(kNumber), "r"(to), "r"(stride) : "memory");
}
template <int kSum, int kLeft, int kRight>
void add_product() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSum), "i"(kLeft), "i"(kRight));
}

// All tiles are whole except those of a's last rows and their sums.
class Configuration {
 public:
  Configuration() = default;
  Configuration(const Configuration&) = delete;
  Configuration& operator=(const Configuration&) = delete;
  ~Configuration() {
    if (rows_ > 0) asm volatile("tilerelease");
  }

  // Rows of the tiles of sums and of a.
  void set_rows(Index rows) {
    if (rows == rows_) return;
    rows_ = rows;
    Layout layout;
    for (int tile = 0; tile < 8; ++tile) {
      layout.bytes[tile] = kTileColumn;
      layout.rows[tile] = static_cast<std::uint8_t>(tile < 6 ? rows : kTile);
    }
    asm volatile("ldtilecfg %0" ::"m"(layout));
  }

 private:
  struct alignas(64) Layout {
    std::uint8_t palette = 1, start_row = 0, unused[14] = {};
    std::uint16_t bytes[16] = {};
    std::uint8_t rows[16] = {};
  };
  Index rows_ = 0;
};

// The sums of R by C tiles are in registers 0 to 3: tile (r, c) in number r * C + c.
template <int kRows, int kColumns, int kAt = 0, class Body>
void for_sums(const Body& body) {
  if constexpr (kAt < kRows * kColumns) {
    body.template operator()<kAt>(Index{kAt / kColumns} * kTile, Index{kAt % kColumns} * kTile);
    for_sums<kRows, kColumns, kAt + 1>(body);
  }
}

// One panel by one or two tiles of rows; a in 4 and 5, b in 6 and 7.
template <int kRows>
void add_panel(const TileProduct& p) {
  const char *a = p.a, *b = p.b;
  for (Index i = p.blocks; i > 0; --i) {
    load<6>(b, kPanelRow);
    load<4>(a, p.row_stride);
    add_product<0, 4, 6>();
    load<7>(b + kTileColumn, kPanelRow);
    add_product<1, 4, 7>();
    if constexpr (kRows == 2) {
      load<5>(a + kTile * p.row_stride, p.row_stride);
      add_product<2, 5, 6>();
      add_product<3, 5, 7>();
    }
    a += p.block_stride;
    b += kTile * kPanelRow;
  }
}

// Two panels by one tile of rows: four sums hide the product's latency.
void add_two_panels(const TileProduct& p) {
  const char *a = p.a, *b = p.b;
  for (Index i = p.blocks; i > 0; --i) {
    load<4>(a, p.row_stride);
    load<6>(b, kPanelRow);
    add_product<0, 4, 6>();
    load<7>(b + kTileColumn, kPanelRow);
    add_product<1, 4, 7>();
    load<6>(b + p.panel_stride, kPanelRow);
    add_product<2, 4, 6>();
    load<7>(b + p.panel_stride + kTileColumn, kPanelRow);
    add_product<3, 4, 7>();
    a += p.block_stride;
    b += kTile * kPanelRow;
  }
}

// kRows by kColumns tiles of c, all of which exist.
template <int kRows, int kColumns>
void whole_tiles(const TileProduct& p) {
  const Index stride = p.ldc * Index{sizeof(float)};
  for_sums<kRows, kColumns>([&]<int kAt>(Index row, Index column) {
    if (p.start == Start::kZero)
      zero<kAt>();
    else if (p.start == Start::kBias)
      load<kAt>(p.bias + column, 0);
    else
      load<kAt>(p.c + row * p.ldc + column, stride);
  });
  if constexpr (kColumns == kPanelTiles)
    add_panel<kRows>(p);
  else
    add_two_panels(p);
  for_sums<kRows, kColumns>([&]<int kAt>(Index row, Index column) { store<kAt>(p.c + row * p.ldc + column, stride); });
}

// The same where some of the columns do not exist: through a copy.
template <int kRows, int kColumns>
void tiles(const TileProduct& p) {
  constexpr Index kWidth = kColumns * kTile;
  if (p.columns >= kWidth) return whole_tiles<kRows, kColumns>(p);
  alignas(64) float copy[kRows * kTile * kWidth];
  const std::size_t bytes = p.columns * sizeof(float);
  for (Index r = 0; r < p.rows && p.start != Start::kZero; ++r)
    std::memcpy(copy + r * kWidth, p.start == Start::kBias ? p.bias : p.c + r * p.ldc, bytes);
  TileProduct inside = p;
  if (p.start == Start::kBias) inside.start = Start::kResult;
  inside.c = copy;
  inside.ldc = kWidth;
  whole_tiles<kRows, kColumns>(inside);
  for (Index r = 0; r < p.rows; ++r) std::memcpy(p.c + r * p.ldc, copy + r * kWidth, bytes);
}

bool allowed() {
  constexpr unsigned kBfloat16Bit = 1U << 22, kTileBit = 1U << 24;
  constexpr int kTileData = 18;  // a part of the processor's state that Linux grants on request
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return false;
  if (!(edx & kBfloat16Bit) || !(edx & kTileBit)) return false;
  constexpr long kRequest = 0x1023;  // ARCH_REQ_XCOMP_PERM, which older headers lack
  return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}

}  // namespace

bool has_bfloat16() {
  static const bool has = allowed();
  return has;
}

void multiply(const TileProduct& product) {
  Configuration configuration;
  const auto at = [&](Index row, Index panel, Index rows) {
    TileProduct p = product;
    p.rows = rows;
    p.a += row * p.row_stride;
    p.b += panel * p.panel_stride;
    p.columns -= panel * kPanelTiles * kTile;
    if (p.bias) p.bias += panel * kPanelTiles * kTile;
    p.c += row * p.ldc + panel * kPanelTiles * kTile;
    return p;
  };
  const Index pairs = product.rows / (2 * kTile) * (2 * kTile);
  if (pairs > 0) configuration.set_rows(kTile);
  for (Index panel = 0; panel < product.panels && pairs > 0; ++panel)
    for (Index row = 0; row < pairs; row += 2 * kTile) tiles<2, kPanelTiles>(at(row, panel, 2 * kTile));
  for (Index row = pairs; row < product.rows; row += kTile) {
    const Index rows = std::min(kTile, product.rows - row);
    configuration.set_rows(rows);
    Index panel = 0;
    for (; panel + 1 < product.panels; panel += 2) tiles<1, 2 * kPanelTiles>(at(row, panel, rows));
    if (panel < product.panels) tiles<1, kPanelTiles>(at(row, panel, rows));
  }
}

}  // namespace mnemo::kernels::amx

#else

namespace mnemo::kernels::amx {
bool has_bfloat16() { return false; }
void multiply(const TileProduct&) {}
}  // namespace mnemo::kernels::amx

#endif
