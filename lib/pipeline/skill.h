// What a model can be asked for.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/json_fwd.h"

namespace mnemo {

class TextModel;
class TextStreams;
struct Workspace;

/// One kind of answer of a model, under the name of the command whose `--format jsonl` prints it.
struct Skill {
  const char* name;
  /// As TextModel::answer.
  std::vector<Json> (*answer)(const TextModel& model, const std::vector<Json>& records, Workspace& workspace);
  bool lines = false;                      ///< a record's text is one line
  bool numbered = false;                   ///< the command puts {"line": number} before what `answer` gives
  std::span<const char* const> keys = {};  ///< of a record, beside "text"
  /// Writes answers unit by unit; null: it has none.
  std::unique_ptr<TextStreams> (*streams)(const TextModel& model) = nullptr;
  /// Why a record's answer cannot be written so: a message; null if it can. Null: all can.
  const char* (*not_streamed)(const Json& record) = nullptr;
  std::int64_t length = 0;  ///< most units that are generated for a record, unless its own "length" says otherwise
};

}  // namespace mnemo
