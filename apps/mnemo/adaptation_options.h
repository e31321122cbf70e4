// The options by which a language model goes on learning from what it measures.
#pragma once

#include "apps/mnemo/command_line.h"
#include "tasks/generate/adaptation.h"

namespace mnemo {

void add_adaptation(Command& command, AdaptationOptions& options);

/// Loads a model as the options ask.
std::unique_ptr<TextLanguageModel> load_for(const AdaptationOptions& options, ModelContents contents);

}  // namespace mnemo
