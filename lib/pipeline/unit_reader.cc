#include "pipeline/unit_reader.h"

#include <algorithm>

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

Reading UnitReader::read(std::span<const std::int32_t> ids, Workspace& workspace) {
  const bool continues = std::exchange(begun_, true);
  if (!continues) {
    const std::vector<std::int32_t> before{model_.text_end()};
    trace(before, workspace);
  }
  Reading out{.trace = trace(ids, workspace), .network = "rnn", .continues = continues};
  for (const std::int32_t id : ids) {
    const std::string added = joiner_.add(id);
    // The blank before a word is no part of it.
    const std::size_t blank =
        model_.config().text.blanks_between_units() && added.size() > 1 && added[0] == ' ' ? 1 : 0;
    out.places.emplace_back(out.text.size() + blank, out.text.size() + added.size());
    out.text += added;
  }
  return out;
}

}  // namespace mnemo
