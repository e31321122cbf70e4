// Attention over a text as a table, rows, JSON, a drawing or a page.
#pragma once

#include <string>

#include "nn/observed.h"
#include "report/findings.h"

namespace mnemo {

/// Of each row the columns that got most; all shares in the data. Throws UsageError if nothing attends.
Findings attention_findings(const Observed& observed, const std::string& title);
/// The page with the matrices as tables in colour.
std::string attention_html(const Observed& observed, const Findings& findings);

}  // namespace mnemo
