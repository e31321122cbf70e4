// Charts are written as SVG text with fixed sizes. A Plot maps data ranges to a rectangle; coordinates are rounded to a
// tenth and long curves are thinned, which keeps the page small.
#include "report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "measure/metrics.h"
#include "report/append.h"
#include "report/html_report.h"
#include "text/html.h"

namespace mnemo {
namespace {

constexpr std::string_view kInk = "currentColor";
constexpr std::string_view kGrid = "#8885";
constexpr std::string_view kBlue = "#0072b2";
// Colours that readers with any kind of colour vision can distinguish: Okabe & Ito 2008, "Color Universal Design".
constexpr std::array<std::string_view, 6> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"};

struct Stroke {
  std::string_view colour, dashes;
};

// Of the curve or group of this number: where the colours are used up, they are used again with dashes.
Stroke stroke_of(std::size_t number) {
  constexpr std::array<std::string_view, 3> kDashes = {"", R"( stroke-dasharray="7 3")", R"( stroke-dasharray="2 3")"};
  return {kColours[number % kColours.size()], kDashes[number / kColours.size() % kDashes.size()]};
}

// ---- Scales.

// Larger numbers are left out like infinite ones: their differences could overflow.
bool drawable(double value) { return std::abs(value) < 1e30; }

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void include(double value) { low = std::min(low, value), high = std::max(high, value); }
  // Adds room around the included values, so that nothing touches the frame and nothing is divided by zero.
  void widen(double share) {
    const double span = high - low;
    const double pad = span > 1e-9 * std::abs(high) ? share * span : std::max(0.1 * std::abs(high), 1e-3);
    low -= pad, high += pad;
  }
};

// A step of 1, 2 or 5 times a power of ten that cuts the range into about `parts` parts at most.
double tick_step(const Range& range, int parts) {
  const double raw = (range.high - range.low) / parts;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= raw) return factor * power;
  return 10 * power;
}

std::string tick_text(double value, double step) {
  if (std::abs(value) < step / 2) value = 0;
  if (step >= 1e6 || step < 1e-5) return fmt::format("{:.3g}", value);
  if (step >= 1000) return fmt::format("{:g}k", value / 1000);
  return fmt::format("{:.{}f}", value, std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9))));
}

// A rectangle of the drawing and the ranges it shows.
struct Plot {
  double left, top, width, height;
  Range x, y;

  double px(double value) const { return left + (value - x.low) / (x.high - x.low) * width; }
  double py(double value) const { return top + (y.high - value) / (y.high - y.low) * height; }
};

// Of an axis that doubles `plot.x` holds logarithms to base 2.
void add_x_ticks(std::string& out, const Plot& plot, int parts, bool doubles = false) {
  const double bottom = plot.top + plot.height, step = std::max(doubles ? 1.0 : 0.0, tick_step(plot.x, parts));
  for (double k = std::ceil(plot.x.low / step); k * step <= plot.x.high * (1 + 1e-12); ++k) {
    const double at = plot.px(k * step);
    append(out, R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}"/>)", at, bottom, at, bottom + 4,
           kInk);
    append(out, R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)", at, bottom + 16,
           doubles ? fmt::format("{:.0f}", std::exp2(k * step)) : tick_text(k * step, step));
  }
}

void add_y_ticks(std::string& out, const Plot& plot, int parts) {
  const double step = tick_step(plot.y, parts);
  for (double k = std::ceil(plot.y.low / step); k * step <= plot.y.high + 1e-9 * step; ++k) {
    const double at = plot.py(k * step);
    append(out, R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}"/>)", plot.left, at,
           plot.left + plot.width, at, kGrid);
    append(out, R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)", plot.left - 6, at + 4,
           tick_text(k * step, step));
  }
}

void add_frame(std::string& out, const Plot& plot) {
  append(out, R"(<path d="M{:.1f} {:.1f}V{:.1f}H{:.1f}" fill="none" stroke="{}"/>)", plot.left, plot.top,
         plot.top + plot.height, plot.left + plot.width, kInk);
}

std::string svg(double width, double height, std::string_view label, std::string_view content) {
  return fmt::format(R"(<svg role="img" aria-label="{}" viewBox="0 0 {:.0f} {:.0f}" width="{:.0f}" height="{:.0f}" )"
                     R"(font-size="12" fill="{}">{}</svg>)",
                     escape_html(label), width, height, width, height, kInk, content);
}

// ---- Lines.

using Points = std::vector<std::pair<double, double>>;

bool drawable(const std::pair<double, double>& point) { return drawable(point.first) && drawable(point.second); }

// Averages neighbours until a few hundred points are left: more than a screen can show would only make the page large.
Points thinned(const Points& points) {
  constexpr std::size_t kMost = 400;
  const std::size_t group = (points.size() + kMost - 1) / kMost;
  if (group <= 1) return points;
  Points result;
  for (std::size_t begin = 0; begin < points.size(); begin += group) {
    double x = 0, y = 0, n = 0;
    for (std::size_t i = begin; i < std::min(begin + group, points.size()); ++i)
      if (drawable(points[i])) x += points[i].first, y += points[i].second, ++n;
    if (n > 0) result.emplace_back(x / n, y / n);
  }
  return result;
}

void add_curve(std::string& out, const Plot& plot, const Points& points, const Stroke& stroke) {
  std::string path, dots;
  bool pen_down = false;
  for (const auto& point : points) {
    if (!drawable(point)) {
      pen_down = false;
      continue;
    }
    const double x = plot.px(point.first), y = plot.py(point.second);
    append(path, "{}{:.1f} {:.1f}", pen_down ? "L" : "M", x, y);
    pen_down = true;
    if (points.size() <= 40)
      append(dots, R"(<circle cx="{:.1f}" cy="{:.1f}" r="2.5" fill="{}"/>)", x, y, stroke.colour);
  }
  append(out, R"(<path d="{}" fill="none" stroke="{}"{} stroke-width="1.8" stroke-linejoin="round"/>{})", path,
         stroke.colour, stroke.dashes, dots);
}

void add_legend(std::string& out, std::string_view name, const Stroke& stroke, double x, double y) {
  append(out, R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}"{} stroke-width="3"/>)", x, y - 4,
         x + 16, y - 4, stroke.colour, stroke.dashes);
  append(out, R"(<text x="{:.1f}" y="{:.1f}">{}</text>)", x + 22, y, shortened_html(name, 50));
}

// Ticks of an axis of powers of ten: `plot.y` holds logarithms.
void add_power_ticks(std::string& out, const Plot& plot) {
  const double step = std::max(1.0, std::ceil((plot.y.high - plot.y.low) / 6));
  for (double power = std::ceil(plot.y.low / step) * step; power <= plot.y.high; power += step) {
    const double at = plot.py(power);
    append(out, R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}"/>)", plot.left, at,
           plot.left + plot.width, at, kGrid);
    append(out, R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">1e{}</text>)", plot.left - 6, at + 4,
           std::lround(power));
  }
}

Points logarithms(Points points) {
  for (auto& point : points) point.second = point.second > 0 ? std::log10(point.second) : NAN;
  return points;
}

double legend_height(std::size_t curves) { return 18.0 * static_cast<double>(curves) + 6; }

std::optional<std::pair<Range, Range>> ranges_of(const std::vector<Points>& curves) {
  Range x, y;
  for (const Points& points : curves)
    for (const auto& point : points)
      if (drawable(point)) x.include(point.first), y.include(point.second);
  if (x.low > x.high) return std::nullopt;
  x.widen(0);
  y.widen(0.06);
  return std::pair(x, y);
}

// ---- Confusion.

// The opacity of a cell, as `share` goes from 0 to 1; small shares are raised so that they are visible.
double depth_of(double share) { return share == 0 ? 0 : 0.08 + 0.92 * std::pow(share, 0.7); }

std::string short_count(std::int64_t count) {
  if (count < 10'000) return fmt::to_string(count);
  return count < 10'000'000 ? fmt::format("{}k", count / 1000) : fmt::format("{}M", count / 1'000'000);
}

struct Matrix {
  double cell, font, left, top;
  std::size_t columns;  // of a label at most
};

Matrix matrix_layout(const std::vector<std::string>& labels) {
  std::size_t longest = 1;
  for (const std::string& label : labels) longest = std::max(longest, columns_of(label));
  Matrix matrix{};
  matrix.cell = std::clamp(440.0 / static_cast<double>(labels.size()), 11.0, 52.0);
  matrix.font = std::clamp(matrix.cell * 0.75, 8.0, 12.0);
  matrix.columns = std::min<std::size_t>(longest, 18);
  const double width = 0.62 * matrix.font * static_cast<double>(matrix.columns);
  matrix.left = width + 26;
  matrix.top = 0.75 * width + 34;
  return matrix;
}

void add_matrix_labels(std::string& out, const Matrix& matrix, const std::vector<std::string>& labels) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::string text = shortened_html(labels[i], matrix.columns);
    const double along = (static_cast<double>(i) + 0.5) * matrix.cell;
    const double x = matrix.left + along, y = matrix.top + along + 0.35 * matrix.font;
    append(out, R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)", matrix.left - 6, y, text);
    append(out, R"svg(<text transform="translate({:.1f} {:.1f}) rotate(-45)">{}</text>)svg", x, matrix.top - 7, text);
  }
}

void add_matrix_cell(std::string& out, const Matrix& matrix, std::int32_t gold, std::int32_t predicted,
                     std::int64_t count, double share, std::string_view title) {
  const double x = matrix.left + predicted * matrix.cell, y = matrix.top + gold * matrix.cell;
  append(
      out,
      R"(<g><title>{}</title><rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}" fill="{}" fill-opacity="{:.3f}"/>)",
      title, x, y, matrix.cell, matrix.cell, gold == predicted ? "#2171b5" : "#b23c00", depth_of(share));
  if (matrix.cell >= 24)
    append(out, R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle"{}>{}</text>)", x + matrix.cell / 2,
           y + matrix.cell / 2 + 4, share > 0.45 ? R"( fill="#fff")" : "", short_count(count));
  out += "</g>";
}

void add_matrix_grid(std::string& out, const Matrix& matrix, std::size_t labels) {
  const double side = static_cast<double>(labels) * matrix.cell;
  for (std::size_t i = 0; i <= labels; ++i) {
    const double at = static_cast<double>(i) * matrix.cell;
    append(out, R"(<path d="M{:.2f} {:.2f}h{:.2f}M{:.2f} {:.2f}v{:.2f}" stroke="{}" fill="none"/>)", matrix.left,
           matrix.top + at, side, matrix.left + at, matrix.top, side, kGrid);
  }
}

// ---- Calibration.

void add_reliability_bars(std::string& out, const Plot& shares, const Plot& counts,
                          const std::vector<CalibrationBin>& bins, std::int64_t total) {
  for (const CalibrationBin& bin : bins) {
    if (bin.count == 0) continue;
    const double x = shares.px(bin.lower) + 1, width = shares.px(bin.upper) - shares.px(bin.lower) - 2;
    const double share = static_cast<double>(bin.count) / static_cast<double>(total);
    append(out, "<g><title>confidence {:.3f}, right {:.3f}, {} answers</title>", bin.confidence, bin.accuracy,
           bin.count);
    append(out, R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}" fill-opacity="0.55"/>)", x,
           shares.py(bin.accuracy), width, shares.py(0) - shares.py(bin.accuracy), kBlue);
    append(out, R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="2"/>)", x,
           shares.py(bin.accuracy), x + width, shares.py(bin.accuracy), kBlue);
    append(out, R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="#999"/></g>)", x, counts.py(share),
           width, counts.py(0) - counts.py(share));
  }
}

}  // namespace

std::string svg_file(double width, double height, std::string_view label, std::string_view content) {
  return fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{}" viewBox="0 0 {:.0f} {:.0f}" width="{:.0f}" )"
      R"(height="{:.0f}" font-size="12" font-family="sans-serif" fill="currentColor"><style>svg {{ color: #222; )"
      R"(background: #fff }} @media (prefers-color-scheme: dark) {{ svg {{ color: #e4e4e4; background: #16181c }} }})"
      "</style>{}</svg>\n",
      escape_html(label), width, height, width, height, content);
}

std::string svg_line_chart(const CurveChart& chart) {
  std::vector<Points> curves;
  for (const Curve& curve : chart.curves)
    curves.push_back(thinned(chart.logarithmic ? logarithms(curve.points) : curve.points));
  const auto ranges = ranges_of(curves);
  if (!ranges) return "";
  const Plot plot{52, legend_height(chart.curves.size()), 360, 210, ranges->first, ranges->second};
  std::string content;
  if (chart.logarithmic)
    add_power_ticks(content, plot);
  else
    add_y_ticks(content, plot, 5);
  add_x_ticks(content, plot, 6, chart.doubles);
  add_frame(content, plot);
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const Stroke stroke = stroke_of(i);
    add_curve(content, plot, curves[i], stroke);
    add_legend(content, chart.curves[i].name, stroke, plot.left, 18.0 * static_cast<double>(i) + 14);
  }
  append(content, R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)", plot.left + plot.width / 2,
         plot.top + plot.height + 34, escape_html(chart.x));
  return svg(kChartWidth, chart_height(chart), chart.title, content);
}

double chart_height(const CurveChart& chart) { return legend_height(chart.curves.size()) + 210 + 42; }

std::string svg_scatter(std::string_view x, std::string_view y, const std::vector<ScatterGroup>& groups) {
  const Plot plot{52, 12, 270, 300, {-0.02, 1.02}, {-0.02, 1.02}};
  std::string content;
  add_y_ticks(content, plot, 5);
  add_x_ticks(content, plot, 5);
  add_frame(content, plot);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const Stroke stroke = stroke_of(i);
    for (std::size_t unit = 0; unit < groups[i].points.size(); ++unit)
      append(
          content,
          R"(<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}" fill-opacity="0.5"><title>{}, unit {}</title></circle>)",
          plot.px(groups[i].points[unit].first), plot.py(groups[i].points[unit].second), stroke.colour,
          escape_html(groups[i].name), unit);
    add_legend(content, groups[i].name, stroke, plot.left + plot.width + 14, 18.0 * static_cast<double>(i) + 24);
  }
  append(content, R"(<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)", plot.left + plot.width / 2,
         plot.top + plot.height + 36, escape_html(x));
  append(content, R"svg(<text transform="translate(14 {:.1f}) rotate(-90)" text-anchor="middle">{}</text>)svg",
         plot.top + plot.height / 2, escape_html(y));
  return svg(kScatterWidth, kScatterHeight, fmt::format("{} over {}", y, x), content);
}

Findings::Drawing svg_weights(const std::string& title, const std::vector<std::string>& rows,
                              const std::vector<std::string>& columns, const std::vector<std::vector<float>>& shares) {
  constexpr double kCell = 18, kCharacter = 7;
  constexpr std::size_t kLongest = 24;
  const auto widest = [&](const std::vector<std::string>& names) {
    std::size_t most = 1;
    for (const std::string& name : names) most = std::max(most, std::min(kLongest, columns_of(name)));
    return kCharacter * static_cast<double>(most);
  };
  const double left = widest(rows) + 10, top = 0.8 * widest(columns) + 16;
  std::string content;
  for (std::size_t j = 0; j < columns.size(); ++j)
    append(content, R"svg(<text transform="translate({:.1f} {:.1f}) rotate(-50)">{}</text>)svg",
           left + kCell * (static_cast<double>(j) + 0.5), top - 6, shortened_html(columns[j], kLongest));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double y = top + kCell * static_cast<double>(i);
    append(content, R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)", left - 6, y + 13,
           shortened_html(rows[i], kLongest));
    float largest = 1e-30f;
    for (const float share : shares[i]) largest = std::max(largest, share);
    for (std::size_t j = 0; j < columns.size(); ++j)
      append(content,
             R"(<rect x="{:.1f}" y="{:.1f}" width="{:.0f}" height="{:.0f}" fill="#2171b5" fill-opacity="{:.2f}" )"
             R"(stroke="{}"><title>{:.3f}</title></rect>)",
             left + kCell * static_cast<double>(j), y, kCell, kCell, shares[i][j] / largest, kGrid, shares[i][j]);
  }
  const double width = left + kCell * static_cast<double>(columns.size()) + 0.65 * widest(columns) + 8,
               height = top + kCell * static_cast<double>(rows.size()) + 8;
  return {title, svg(width, height, title, content), width, height, true};
}

std::string svg_confusion_matrix(const std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t>& confusion,
                                 const std::vector<std::string>& labels) {
  const Matrix matrix = matrix_layout(labels);
  std::vector<std::int64_t> totals(labels.size());
  for (const auto& [pair, count] : confusion) totals[static_cast<std::size_t>(pair.first)] += count;
  std::string content;
  add_matrix_grid(content, matrix, labels.size());
  for (const auto& [pair, count] : confusion) {
    const auto gold = static_cast<std::size_t>(pair.first), predicted = static_cast<std::size_t>(pair.second);
    const double share = static_cast<double>(count) / static_cast<double>(totals[gold]);
    const std::string title = fmt::format("gold {}, predicted {}: {} of {}", escape_html(labels[gold]),
                                          escape_html(labels[predicted]), count, totals[gold]);
    add_matrix_cell(content, matrix, pair.first, pair.second, count, share, title);
  }
  std::string texts;
  add_matrix_labels(texts, matrix, labels);
  append(content, R"(<g font-size="{:.1f}">{}</g>)", matrix.font, texts);
  const double side = static_cast<double>(labels.size()) * matrix.cell;
  append(content, R"(<text x="2" y="{:.1f}" font-style="italic">gold</text>)", matrix.top - 6);
  append(content, R"(<text x="{:.1f}" y="12" font-style="italic">predicted</text>)", matrix.left);
  return svg(matrix.left + side + matrix.top, matrix.top + side + 6, "Confusion matrix", content);
}

std::string svg_reliability_diagram(const std::vector<CalibrationBin>& bins) {
  std::int64_t total = 0, largest = 0;
  for (const CalibrationBin& bin : bins) total += bin.count, largest = std::max(largest, bin.count);
  if (total == 0) return "";
  const double most = static_cast<double>(largest) / static_cast<double>(total);
  const Plot shares{48, 8, 290, 240, {0, 1}, {0, 1}}, counts{48, 262, 290, 44, {0, 1}, {0, most}};
  std::string content;
  add_y_ticks(content, shares, 5);
  add_reliability_bars(content, shares, counts, bins, total);
  append(
      content,
      R"(<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="#b00000" stroke-width="1.5" stroke-dasharray="5 3"/>)",
      shares.px(0), shares.py(0), shares.px(1), shares.py(1));
  add_frame(content, shares);
  add_frame(content, counts);
  add_x_ticks(content, counts, 5);
  append(content, R"(<text x="42" y="{:.1f}" text-anchor="end">{:.0f}%</text>)", counts.py(most) + 8, 100 * most);
  append(content, R"(<text x="{:.1f}" y="340" text-anchor="middle">confidence</text>)", counts.px(0.5));
  return svg(352, 348, "Reliability diagram", content);
}

}  // namespace mnemo
