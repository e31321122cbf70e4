#include "nn/rows.h"

#include <algorithm>

#include "kernels/elementwise.h"

namespace mnemo {
namespace {

constexpr Index kRowsPerTask = 128;

template <class Body>
void for_row_tasks(ThreadPool& pool, Index rows, const Body& body) {
  pool.parallel_for((rows + kRowsPerTask - 1) / kRowsPerTask, [&](std::int64_t task) {
    for (Index r = task * kRowsPerTask; r < std::min(rows, (task + 1) * kRowsPerTask); ++r) body(r);
  });
}

// For each row, its sequence in sorted order and its step.
struct Places {
  std::vector<Index> sequence, step;
};

Places places_of(const Packing& packing) {
  Places out;
  for (Index t = 0; t < packing.steps(); ++t)
    for (Index b = 0; b < packing.rows_at(t); ++b) {
      out.sequence.push_back(b);
      out.step.push_back(t);
    }
  return out;
}

}  // namespace

Activation windows(Tape& tape, const Packing& packing, const Activation& x, Index width) {
  const Index C = x.columns, half = width / 2;
  const Activation y = tape.allocate(x.rows, width * C);
  Places places = places_of(packing);
  // The row `offset` steps from row n, or -1.
  const auto neighbour = [&packing, places = std::move(places)](Index n, Index offset) {
    const Index b = places.sequence[n], t = places.step[n] + offset;
    return t >= 0 && t < packing.length(b) ? packing.row(b, t) : -1;
  };
  for_row_tasks(tape.pool, x.rows, [&](Index n) {
    for (Index k = 0; k < width; ++k) {
      float* to = y.value + n * width * C + k * C;
      if (const Index from = neighbour(n, k - half); from >= 0)
        std::copy_n(x.value + from * C, C, to);
      else
        std::fill_n(to, C, 0.0f);
    }
  });
  if (!x.gradient) return y;
  // Row n is in the windows of the same neighbours.
  tape.record([=, &tape] {
    for_row_tasks(tape.pool, x.rows, [&](Index n) {
      for (Index k = 0; k < width; ++k)
        if (const Index of = neighbour(n, half - k); of >= 0)
          kernels::add_scaled(1.0f, y.gradient + of * width * C + k * C, x.gradient + n * C, C);
    });
  });
  return y;
}

Activation side_by_side(Tape& tape, Index rows, const std::vector<Columns>& parts) {
  Index total = 0;
  for (const Columns& part : parts) total += part.x.columns;
  const Activation y = tape.allocate(rows, total);
  const auto row_of = [](const Columns& part, Index n) { return part.rows.empty() ? n : Index{part.rows[n]}; };
  for_row_tasks(tape.pool, rows, [&](Index n) {
    float* to = y.value + n * total;
    for (const Columns& part : parts) {
      std::copy_n(part.x.value + row_of(part, n) * part.x.columns, part.x.columns, to);
      to += part.x.columns;
    }
  });
  tape.record([=] {
    Index first = 0;
    for (const Columns& part : parts) {
      const Index C = part.x.columns;
      // In order of rows, as several may come from one.
      for (Index n = 0; n < rows && part.x.gradient; ++n)
        kernels::add_scaled(1.0f, y.gradient + n * total + first, part.x.gradient + row_of(part, n) * C, C);
      first += C;
    }
  });
  return y;
}

}  // namespace mnemo
