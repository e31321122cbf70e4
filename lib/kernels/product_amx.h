// Products of bfloat16 by the processor's tiles (AMX): the same panels as the vectors take, 16 rows of a by 16 columns
// by 16 elements at a time. Internal to this folder.
#pragma once

#include <cstdint>

#include "kernels/product.h"

namespace mnemo::kernels::amx {

// Whether the processor has tiles of bfloat16 and the system lets this process use them.
bool has_bfloat16();

inline constexpr Index kTile = 16;  // rows of a, columns, and elements of two k each, of a tile

struct TileProduct {
  Index rows;
  Index blocks;  // of kTile elements of k
  // Elements of row r of block i are at a + r * row_stride + i * block_stride; strides are in bytes.
  const char* a;
  Index row_stride, block_stride;
  const char* b;       // a panel, its rows padded with zeros to whole blocks
  Index panel_stride;  // bytes from one panel to the next
  Index panels;
  Index columns;  // columns of c that exist, from the first panel's first column on
  Start start;
  const float* bias;
  float* c;
  Index ldc;
};

// c [rows, columns] = start + a * b. Each element is the start plus, block by block in ascending order, a sum over the
// block, computed as Intel's manual specifies for TDPBF16PS (even and odd k separately, subnormal numbers as zero): it
// does not depend on the rows or columns that are computed with it.
void multiply(const TileProduct& product);

}  // namespace mnemo::kernels::amx
