// Attention over a text, as findings.
#pragma once

#include <string>

#include "nn/observed.h"
#include "report/findings.h"

namespace mnemo {

/// Of each row the columns that got most; all shares in the data. Throws UsageError if nothing attends.
Findings attention_findings(const Observed& observed, const std::string& title);

}  // namespace mnemo
