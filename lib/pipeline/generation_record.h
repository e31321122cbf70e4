// Requests for texts as JSON: what `mnemo generate` takes as options.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "pipeline/skill.h"
#include "pipeline/text_generator.h"
#include "pipeline/text_streams.h"

namespace mnemo {

/// The keys of a record, which are options of `mnemo generate` too.
std::span<const SkillKey> generation_keys();
/// The one of this name.
const SkillKey& generation_key(std::string_view name);

/// As Skill::takes: title and author need a model of poems-json; forms, one whose units are characters and whose
/// vocabulary has enough Chinese ones for the shortest form, and the marks that end its lines.
bool takes_generation_key(const TextModel& model, const SkillKey& key);

/// Throws Error for a text that is no valid UTF-8, and UsageError that names the key of a value that is not valid.
GenerationRequest generation_request(const Json& record);

/// The output of `generate --format jsonl` for each record, one text each. Throws as `generation_request` and
/// TextGenerator do. The model must be prepared to generate.
std::vector<Json> generate_records(const TextLanguageModel& model, const std::vector<Json>& records,
                                   Workspace& workspace);

/// The same texts unit by unit.
std::unique_ptr<TextStreams> generation_streams(const TextModel& model);
/// As Skill::work.
std::int64_t generation_work(const Json& record, std::int64_t units);
/// As Skill::not_streamed.
const char* not_streamed_generation(const TextModel& model, const Json& record);

}  // namespace mnemo
