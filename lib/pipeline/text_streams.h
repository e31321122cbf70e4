// Texts that a model writes unit by unit, for readers who want each as soon as it is there.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"

namespace mnemo {

struct Workspace;

/// What became of a text in one step.
struct StreamEvent {
  std::int64_t key = 0;
  std::string piece = {};                           ///< that its text goes on with; often empty
  std::optional<Json> answer = std::nullopt;        ///< set at its end: what Skill::answer gives for the record
  std::optional<std::string> error = std::nullopt;  ///< set if it cannot go on
};

/// Any number of texts side by side. Each has the bits that Skill::answer gives, whatever grows beside it. The model
/// must outlive them. Used by one thread at a time.
class TextStreams {
 public:
  virtual ~TextStreams() = default;

  /// Begins the text of a record. Throws as Skill::answer does.
  virtual void begin(std::int64_t key, const Json& record, Workspace& workspace) = 0;
  /// Continues each of these texts by a step.
  virtual std::vector<StreamEvent> advance(std::span<const std::int64_t> keys, Workspace& workspace) = 0;
  /// Forgets a text, ended or not.
  virtual void end(std::int64_t key) = 0;
};

}  // namespace mnemo
