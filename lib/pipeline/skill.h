// What a model can be asked for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/json_fwd.h"

namespace mnemo {

class TextModel;
struct Workspace;

/// One kind of answer of a model, under the name of the command whose `--format jsonl` prints it.
struct Skill {
  const char* name;
  /// As TextModel::answer.
  std::vector<Json> (*answer)(const TextModel& model, const std::vector<Json>& records, Workspace& workspace);
  bool lines = false;                      ///< a record's text is one line
  bool numbered = false;                   ///< the command puts {"line": number} before what `answer` gives
  std::span<const char* const> keys = {};  ///< of a record, beside "text"
  std::int64_t length = 0;  ///< most units that are generated for a record, unless its own "length" says otherwise
};

}  // namespace mnemo
