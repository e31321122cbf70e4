#include "pipeline/unit_reader.h"

#include <utility>

namespace mnemo {

CellTrace UnitReader::trace(std::span<const std::int32_t> ids, Workspace& workspace) {
  CellTrace out;
  workspace.arena.reset();
  Tape tape(workspace.pool, workspace.arena, Tape::Mode::kInference);
  tape.trace = &out;
  const std::vector<std::int32_t> lengths{static_cast<std::int32_t>(ids.size())};
  // What is predicted does not matter here.
  const LanguageModel::Batch batch =
      model_.network().batch(Packing(lengths), ids, std::vector<std::int32_t>(ids.begin(), ids.end()), false, 0, 0);
  const RecurrentState initial = state_.view();
  state_.take(model_.network().forward(tape, batch, &initial).final);
  return out;
}

Reading UnitReader::read(std::span<const std::int32_t> ids, const SpelledUnits& spelled, Workspace& workspace) {
  const bool continues = std::exchange(begun_, true);
  if (!continues) {
    const std::vector<std::int32_t> before{model_.text_end()};
    trace(before, workspace);
  }
  return {.trace = trace(ids, workspace),
          .network = "rnn",
          .text = spelled.text(),
          .places = spelled.places(),
          .continues = continues};
}

}  // namespace mnemo
