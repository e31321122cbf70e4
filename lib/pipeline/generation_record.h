// Requests for texts as JSON: what `mnemo generate` takes as options.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/json_fwd.h"
#include "pipeline/text_generator.h"
#include "pipeline/text_streams.h"

namespace mnemo {

/// The keys of a record beside "text", its prompt. They are named, checked and set by default as the options of
/// `mnemo generate`, with _ for -.
inline constexpr std::array<const char*, 16> kGenerationKeys{
    "length",    "seed",    "temperature", "top_k", "top_p",  "min_p", "repetition_penalty",
    "no_repeat", "beam",    "candidates",  "title", "author", "form",  "tones",
    "rhyme",     "acrostic"};

/// Throws Error for a text that is no valid UTF-8, and UsageError that names the key of a value that is not valid.
GenerationRequest generation_request(const Json& record);

/// The output of `generate --format jsonl` for each record, one text each. Throws as `generation_request` and
/// TextGenerator do. The model must be prepared to generate.
std::vector<Json> generate_records(const TextLanguageModel& model, const std::vector<Json>& records,
                                   Workspace& workspace);

/// The same texts unit by unit.
std::unique_ptr<TextStreams> generation_streams(const TextModel& model);
/// As Skill::not_streamed.
const char* not_streamed_generation(const Json& record);

}  // namespace mnemo
