// Options for a language model that adapts to the text it measures.
#pragma once

#include "apps/mnemo/command_line.h"
#include "pipeline/adaptation.h"

namespace mnemo {

void add_adaptation(Command& command, AdaptationOptions& options);

}  // namespace mnemo
