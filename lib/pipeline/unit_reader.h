// Reading a language model's text, stretch by stretch, with a view of its cells.
#pragma once

#include <cstdint>
#include <span>

#include "pipeline/reading.h"
#include "pipeline/stream_loss.h"
#include "pipeline/text_language_model.h"

namespace mnemo {

class UnitReader {
 public:
  /// At the beginning of a text. `model` must outlive it.
  explicit UnitReader(const TextLanguageModel& model) : model_(model), state_(model.network().options().recurrent, 1) {}

  /// The next units of the text, as they are spelled there; at its beginning the network reads the end of a text before
  /// them, which is not among the steps.
  Reading read(std::span<const std::int32_t> ids, const SpelledUnits& spelled, Workspace& workspace);

 private:
  CellTrace trace(std::span<const std::int32_t> ids, Workspace& workspace);

  const TextLanguageModel& model_;
  CarriedState state_;
  bool begun_ = false;
};

}  // namespace mnemo
