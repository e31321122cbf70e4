#include "nn/cell_trace.h"

#include "nn/recurrent_layer.h"

namespace mnemo {
namespace {

struct StridedRows {
  const float* at;
  Index stride;
};

StridedRows rows_of_value(const LayerRun& run, Index direction, const CellValue& value) {
  const DirectionRun& d = run.direction[direction];
  const Index H = run.hidden();
  switch (value.source) {
    case CellValue::Source::kGate:
    case CellValue::Source::kRestOfGate:
      return {d.gates + value.block * H, run.gates_stride()};
    case CellValue::Source::kKept:
      return {d.kept + value.block * H, run.kept_size()};
    case CellValue::Source::kCell:
      return {d.c, H};
    case CellValue::Source::kOutput:
      break;
  }
  return {run.y_row(direction, 0), run.output_stride()};
}

}  // namespace

void trace_cells(const LayerRun& run, const std::string& network, Index layer, CellTrace& trace) {
  for (Index d = 0; d < run.directions(); ++d) {
    CellTrace::Layer& out = trace.layers.emplace_back();
    out.network = network;
    out.cell = cell_name(run.cell->kind);
    out.layer = layer;
    out.direction = d;
    for (const CellValue& value : run.cell->values) {
      CellTrace::Series& series = out.series.emplace_back();
      series.name = value.name;
      series.gate = value.gate;
      series.units = value.source == CellValue::Source::kOutput ? run.output() : run.hidden();
      const StridedRows rows = rows_of_value(run, d, value);
      for (Index row = 0; row < run.packing->tokens(); ++row) {
        const float* from = rows.at + row * rows.stride;
        series.values.insert(series.values.end(), from, from + series.units);
      }
      if (value.source == CellValue::Source::kRestOfGate)
        for (float& one : series.values) one = 1.0f - one;
    }
  }
}

}  // namespace mnemo
