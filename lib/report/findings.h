// What an inspection found, and its output as text, rows, JSON, a drawing or a page.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/highlight.h"
#include "base/json.h"
#include "report/coloured_text.h"

namespace mnemo {

struct Findings {
  struct Table {
    std::string title;
    std::vector<std::string> columns;
    std::vector<std::vector<std::string>> rows;
  };
  struct Drawing {
    std::string title, svg;  ///< as the functions of report/svg.h make it
    double width = 0, height = 0;
    bool scrolls = false;  ///< on a page narrower than it, instead of becoming smaller
  };

  std::string title;
  std::optional<ColouredText> coloured = {};  ///< what drawings and pages begin with
  std::string coloured_note = {};             ///< what its colours mean
  std::vector<std::string> notes;             ///< sentences that say what was found
  std::vector<Table> tables;                  ///< to be read
  Table data;                                 ///< all values, for other programs
  std::vector<Drawing> drawings;
  Json json;
};

/// Tables and notes; if `colours` can be shown, then the coloured text, which says nothing without them, too.
std::string findings_text(const Findings& findings, bool colours, std::vector<Highlight>& highlights);
std::string findings_tsv(const Findings& findings);
std::string findings_json(const Findings& findings);
/// Coloured text, drawings, tables of at most kDrawnRows rows, and notes.
inline constexpr std::size_t kDrawnRows = 20;
std::string findings_svg(const Findings& findings);
std::string findings_html(const Findings& findings);

}  // namespace mnemo
