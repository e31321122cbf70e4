// What a model can be asked for.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json_fwd.h"

namespace mnemo {

class TextModel;
class TextStreams;
struct Workspace;

/// A key of a record beside "text", and an option of the skill's command under the same name with - for _.
struct SkillKey {
  enum class Type { kFlag, kWhole, kNumber, kText };

  const char* name;
  Type type;
  const char* help;                       ///< a sentence without its stop
  double low = 0, high = 0;               ///< of numbers
  double otherwise = 0;                   ///< of numbers: the value where the key is not given
  std::vector<std::string> choices = {};  ///< of texts; empty: any
};

/// The value under a key of a record: nothing, or false, if the record does not have it. Throws UsageError for one that
/// is not as declared.
std::optional<double> number_under(const SkillKey& key, const Json& record);
bool flag_under(const SkillKey& key, const Json& record);
std::optional<std::string> text_under(const SkillKey& key, const Json& record);
/// Throws as they do.
void check_value(const SkillKey& key, const Json& record);

/// One kind of answer of a model, under the name of the command whose `--format jsonl` prints it.
struct Skill {
  const char* name;
  const char* text = "A text";  ///< what a record's "text" is
  /// As TextModel::answer.
  std::vector<Json> (*answer)(const TextModel& model, const std::vector<Json>& records, Workspace& workspace);
  bool lines = false;     ///< a record's text is one line
  bool numbered = false;  ///< the command puts {"line": number} before what `answer` gives
  std::span<const SkillKey> keys = {};
  /// Whether the model can do what a key asks for; null: all that have the skill can.
  bool (*takes)(const TextModel& model, const SkillKey& key) = nullptr;
  /// Writes answers unit by unit; null: it has none.
  std::unique_ptr<TextStreams> (*streams)(const TextModel& model) = nullptr;
  /// Why a record's answer cannot be written so: a message; null if it can. Null: all can.
  const char* (*not_streamed)(const TextModel& model, const Json& record) = nullptr;
  std::int64_t length = 0;  ///< most units that are generated for a record, unless its own "length" says otherwise
  /// How many units networks read, at most, for a record whose text has so many; null: about as many.
  std::int64_t (*work)(const Json& record, std::int64_t units) = nullptr;
};

}  // namespace mnemo
