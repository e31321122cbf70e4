#include "report/findings.h"

#include <algorithm>

#include "base/shown.h"
#include "report/append.h"
#include "report/svg.h"
#include "text/html.h"
#include "text/html_page.h"

namespace mnemo {
namespace {

// A table of columns that are as wide as their widest cell; the first is at its left end, the others at their right.
std::string aligned(const Findings::Table& table) {
  std::vector<std::vector<std::string>> lines{table.columns};
  lines.insert(lines.end(), table.rows.begin(), table.rows.end());
  std::vector<std::size_t> widths(table.columns.size());
  for (auto& line : lines)
    for (std::size_t k = 0; k < line.size(); ++k) {
      line[k] = escaped(line[k]);
      widths[k] = std::max(widths[k], columns_of(line[k]));
    }
  std::string out;
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t k = 0; k < line.size(); ++k) {
      const std::string blanks(widths[k] - columns_of(line[k]), ' ');
      text += k == 0 ? line[k] + blanks : "  " + blanks + line[k];
    }
    out += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

void add_html_table(std::string& out, const Findings::Table& table) {
  append(out, R"(<h2>{}</h2><div class="scroll"><table><thead><tr>)", escape_html(table.title));
  for (const std::string& column : table.columns) append(out, R"(<th scope="col">{}</th>)", escape_html(column));
  out += "</tr></thead><tbody>";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (std::size_t k = 0; k < row.size(); ++k) {
      const std::string cell = escape_html(row[k]);
      out += k == 0 ? fmt::format(R"(<th scope="row"><bdi>{}</bdi></th>)", cell) : fmt::format("<td>{}</td>", cell);
    }
    out += "</tr>";
  }
  out += "</tbody></table></div>";
}

}  // namespace

std::string findings_text(const Findings& findings, std::vector<Highlight>& highlights) {
  std::string out;
  if (findings.coloured) out = coloured_lines(*findings.coloured, highlights) + "\n";
  for (const Findings::Table& table : findings.tables) append(out, "{}\n{}\n", escaped(table.title), aligned(table));
  for (const std::string& note : findings.notes) append(out, "{}\n", escaped(note));
  return out;
}

std::string findings_tsv(const Findings& findings) {
  std::string out;
  const auto add = [&](const std::vector<std::string>& cells) {
    for (std::size_t k = 0; k < cells.size(); ++k) out += (k == 0 ? "" : "\t") + escaped(cells[k]);
    out += "\n";
  };
  add(findings.data.columns);
  for (const auto& row : findings.data.rows) add(row);
  return out;
}

std::string findings_json(const Findings& findings) {
  return findings.json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string findings_svg(const Findings& findings) {
  constexpr double kTitle = 20;
  std::string content;
  double width = 0, y = 0;
  if (findings.coloured) content = coloured_svg(*findings.coloured, y), width = kColouredWidth;
  for (const Findings::Drawing& drawing : findings.drawings) {
    append(content, R"(<text x="4" y="{:.0f}" font-weight="600">{}</text>)", y + 14, escape_html(drawing.title));
    append(content, R"svg(<g transform="translate(0 {:.0f})">{}</g>)svg", y + kTitle, drawing.svg);
    width = std::max(width, drawing.width);
    y += kTitle + drawing.height + 8;
  }
  return svg_file(width, y, findings.title, content);
}

std::string findings_html(const Findings& findings) {
  std::string out = page_head({.title = findings.title});
  append(out, "<h1>{}</h1>{}", escape_html(findings.title), findings.coloured ? coloured_html(*findings.coloured) : "");
  for (const std::string& note : findings.notes) append(out, "<p>{}</p>", escape_html(note));
  out += R"(<div class="charts">)";
  for (const Findings::Drawing& drawing : findings.drawings)
    append(out, "<figure{}><h3>{}</h3>{}</figure>", drawing.scrolls ? R"( class="scroll")" : "",
           escape_html(drawing.title), drawing.svg);
  out += "</div>";
  for (const Findings::Table& table : findings.tables) add_html_table(out, table);
  out += kPageEnd;
  return out;
}

}  // namespace mnemo
