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

// The parts of a drawing, one below the other.
class SvgColumn {
 public:
  void add(const ColouredText& text) {
    out_ = coloured_svg(text, y_);
    width_ = kColouredWidth;
  }

  void add(const Findings::Drawing& drawing) {
    add_title(drawing.title);
    append(out_, R"svg(<g transform="translate(0 {:.0f})">{}</g>)svg", y_, drawing.svg);
    width_ = std::max(width_, drawing.width);
    y_ += drawing.height + 8;
  }

  void add(const Findings::Table& table) {
    add_title(table.title);
    const std::size_t shown_rows = std::min(table.rows.size(), kDrawnRows);
    std::vector<double> ends(table.columns.size());
    double x = kLeft;
    for (std::size_t k = 0; k < ends.size(); ++k) {
      std::size_t widest = columns_of(table.columns[k]);
      for (std::size_t i = 0; i < shown_rows; ++i)
        widest = std::max(widest, columns_of(shortened(escaped(table.rows[i][k]), kWidestCell)));
      x += kCharacter * static_cast<double>(widest) + 14;
      ends[k] = x - 14;
    }
    width_ = std::max(width_, x);
    add_row(table.columns, ends);
    for (std::size_t i = 0; i < shown_rows; ++i) add_row(table.rows[i], ends);
    if (shown_rows < table.rows.size()) add_line(fmt::format("and {} more", table.rows.size() - shown_rows));
    y_ += 8;
  }

  void add(const std::string& note) {
    const auto columns = static_cast<std::size_t>(std::max(width_, kNarrowest) / kCharacter);
    for (std::string rest = escaped(note); !rest.empty();) {
      std::string line = shortened(rest, columns);
      if (line != rest) {
        line.resize(line.size() - std::string_view("…").size());
        if (const std::size_t blank = line.rfind(' '); blank != line.npos) line.resize(blank + 1);
      }
      add_line(line);
      rest.erase(0, line.size());
    }
    width_ = std::max(width_, kNarrowest);
    y_ += 4;
  }

  std::string file(const std::string& title) const { return svg_file(width_, y_ + 4, title, out_); }

 private:
  static constexpr double kLeft = 4, kLine = 18, kCharacter = 6.8, kNarrowest = kChartWidth;
  static constexpr std::size_t kWidestCell = 40;

  void add_title(const std::string& title) {
    append(out_, R"(<text x="{:.0f}" y="{:.0f}" font-weight="600">{}</text>)", kLeft, y_ + 14, escape_html(title));
    width_ = std::max(width_, kCharacter * static_cast<double>(columns_of(title)) + 2 * kLeft);
    y_ += 20;
  }

  void add_line(const std::string& text) {
    append(out_, R"(<text x="{:.0f}" y="{:.0f}">{}</text>)", kLeft, y_ + 13, escape_html(text));
    y_ += kLine;
  }

  // The first cell is at its left end, the others at their right.
  void add_row(const std::vector<std::string>& cells, const std::vector<double>& ends) {
    for (std::size_t k = 0; k < cells.size(); ++k)
      append(out_, R"(<text x="{:.0f}" y="{:.0f}"{}>{}</text>)", k == 0 ? kLeft : ends[k], y_ + 13,
             k == 0 ? "" : R"( text-anchor="end")", shortened_html(escaped(cells[k]), kWidestCell));
    y_ += kLine;
  }

  std::string out_;
  double width_ = 0, y_ = 0;
};

}  // namespace

std::string findings_text(const Findings& findings, bool colours, std::vector<Highlight>& highlights) {
  std::string out;
  for (const Findings::Table& table : findings.tables) append(out, "{}\n{}\n", escaped(table.title), aligned(table));
  for (const std::string& note : findings.notes) append(out, "{}\n", escaped(note));
  if (!findings.coloured || !colours) return out;
  out += "\n" + (findings.coloured_note.empty() ? "" : findings.coloured_note + "\n\n");
  std::vector<Highlight> of_text;
  const std::string text = coloured_lines(*findings.coloured, of_text);
  for (const Highlight& h : of_text) highlights.push_back({out.size() + h.begin, out.size() + h.end, h.colour});
  return out + text;
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
  SvgColumn column;
  if (findings.coloured) column.add(*findings.coloured);
  column.add(findings.coloured_note);
  for (const Findings::Drawing& drawing : findings.drawings) column.add(drawing);
  for (const Findings::Table& table : findings.tables) column.add(table);
  for (const std::string& note : findings.notes) column.add(note);
  return column.file(findings.title);
}

std::string findings_html(const Findings& findings) {
  std::string out = page_head({.title = findings.title});
  append(out, "<h1>{}</h1>{}", escape_html(findings.title), findings.coloured ? coloured_html(*findings.coloured) : "");
  if (!findings.coloured_note.empty()) append(out, R"(<p class="note">{}</p>)", escape_html(findings.coloured_note));
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
