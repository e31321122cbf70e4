#include "report/gates_page.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/json.h"
#include "report/append.h"
#include "report/svg.h"
#include "report/tones.h"
#include "text/html.h"
#include "text/html_page.h"

namespace mnemo {
namespace {

// Of a page's values, as base64.
constexpr std::size_t kMostBytes = 8'000'000;

// ---- SVG.

struct Heat {
  static constexpr double kRow = 12, kLabel = 64, kWidth = 900, kText = 16, kGap = 14;
};

void add_cells(std::string& out, const CellTrace::Series& series, Index unit, std::size_t begin,
               const std::vector<double>& widths, double y) {
  const float scale = scale_of(series);
  double x = Heat::kLabel;
  for (std::size_t k = 0; k < widths.size(); ++k) {
    const float value = series.values[static_cast<Index>(begin + k) * series.units + unit];
    const double depth = std::min(1.0, std::abs(static_cast<double>(value / scale)));
    append(out,
           R"(<rect x="{:.0f}" y="{:.0f}" width="{:.0f}" height="{:.0f}" fill="{}" fill-opacity="{:.2f}">)"
           "<title>{} {:.3f}</title></rect>",
           x, y, widths[k], Heat::kRow, tone_of(series.gate, static_cast<double>(value)).hex, depth, series.name,
           value);
    x += widths[k];
  }
  append(out, R"(<text x="{:.0f}" y="{:.0f}" text-anchor="end">{}</text>)", Heat::kLabel - 6, y + Heat::kRow - 2,
         series.name);
}

// What the colours mean, in a line at the top.
void add_colour_legend(std::string& out) {
  double x = 4;
  const auto say = [&](std::string_view text) {
    append(out, R"(<text x="{:.0f}" y="{:.0f}">{}</text>)", x, Heat::kRow - 1, text);
    x += 6.5 * static_cast<double>(columns_of(text)) + 6;
  };
  const auto shade = [&](const Tone& tone, double depth) {
    append(out, R"(<rect x="{:.0f}" y="1" width="{:.0f}" height="{:.0f}" fill="{}" fill-opacity="{:.2f}"/>)", x,
           Heat::kRow, Heat::kRow, tone.hex, depth);
    x += Heat::kRow + 1;
  };
  say("gates: 0, closed,");
  for (const double depth : {0.25, 0.5, 0.75, 1.0}) shade(kGateTone, depth);
  x += 5;
  say("1, open; states: negative");
  for (const double depth : {1.0, 0.75, 0.5, 0.25}) shade(kNegativeTone, depth);
  for (const double depth : {0.25, 0.5, 0.75, 1.0}) shade(kPositiveTone, depth);
  x += 5;
  say("positive, full at the largest magnitude of the value in its layer");
}

// Adds the heat map of a unit at `y`, line by line; returns where the next one goes.
double add_unit(std::string& out, const CellTrace::Layer& layer, Index unit, const std::vector<std::string>& texts,
                double y) {
  append(out, R"(<text x="4" y="{:.0f}" font-weight="600">{}, unit {}</text>)", y + 10, escape_html(layer_title(layer)),
         unit);
  y += 18;
  for (std::size_t begin = 0; begin < texts.size();) {
    std::vector<double> widths;
    double used = Heat::kLabel;
    for (std::size_t t = begin; t < texts.size(); ++t) {
      const double own = std::max(14.0, 7.0 * static_cast<double>(columns_of(shown_unit(texts[t]))) + 6);
      if (t > begin && used + own > Heat::kWidth) break;
      widths.push_back(own);
      used += own;
    }
    for (const CellTrace::Series& series : layer.series) {
      if (unit >= series.units) continue;
      add_cells(out, series, unit, begin, widths, y);
      y += Heat::kRow + 1;
    }
    double x = Heat::kLabel;
    for (std::size_t k = 0; k < widths.size(); ++k) {
      append(out, R"(<text x="{:.0f}" y="{:.0f}" text-anchor="middle">{}</text>)", x + widths[k] / 2, y + 11,
             escape_html(shown_unit(texts[begin + k])));
      x += widths[k];
    }
    y += Heat::kText + Heat::kGap;
    begin += widths.size();
  }
  return y + Heat::kGap;
}

// ---- The page.

std::string base64(const std::string& bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<std::uint8_t>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += i + k <= bytes.size() ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
  }
  return out;
}

// Bytes by unit and place: a gate from 0 to 250, a state around 125.
std::string rounded(const CellTrace::Series& series, const std::vector<Index>& units, float scale) {
  const Index rows = static_cast<Index>(series.values.size()) / series.units;
  std::string out;
  for (const Index unit : units)
    for (Index t = 0; unit < series.units && t < rows; ++t) {
      const float value = series.values[t * series.units + unit] / scale;
      out += static_cast<char>(std::lround(series.gate ? value * 250.0f : (value + 1.0f) * 125.0f));
    }
  return out;
}

Json part_json(const CellTrace::Layer& layer, const std::vector<Index>& units) {
  Json series = Json::array();
  for (const CellTrace::Series& one : layer.series) {
    const float scale = scale_of(one);
    series.push_back({{"name", one.name},
                      {"gate", one.gate},
                      {"scale", scale},
                      {"units", one.units},
                      {"data", base64(rounded(one, units, scale))}});
  }
  const Index varied = most_varied(layer, 1).front();
  const auto first = std::ranges::find(units, varied);
  return {{"network", layer.network},
          {"name", layer_title(layer)},
          {"units", units},
          {"first", first == units.end() ? 0 : first - units.begin()},
          {"series", std::move(series)}};
}

constexpr std::string_view kGatesStyle = R"css(
body { max-width: 76rem; }
#panel { position: sticky; top: 0; background: var(--paper); padding: .5rem 0; border-bottom: 1px solid var(--line); }
#panel label { display: inline-block; margin: 0 1rem .3rem 0; }
#unit { width: min(24rem, 60vw); vertical-align: middle; }
#values { display: flex; flex-wrap: wrap; gap: .1rem .9rem; min-height: 1.6rem; font-variant-numeric: tabular-nums; }
#values b { font-weight: 600; }
#text { line-height: 1.3; padding-top: .8rem; }
#text span { display: inline-block; vertical-align: top; margin: 0 1px .5rem 0; white-space: pre; text-align: center;
  min-width: .7rem; cursor: default; }
#text span i { display: block; }
#text span:hover, #text span.chosen { outline: 1px solid var(--ink); }
)css";

// Its hash is kGatesScriptHash, which tests/scripts/pages_test.py checks.
constexpr std::string_view kGatesScript = R"js(
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const byId = name => document.getElementById(name);
const row = 9;
let part, spans = [], chosen = 0;
const bytes = series => series.bytes ??= Uint8Array.from(atob(series.data), c => c.charCodeAt(0));
const value = (series, place) => {
  const unit = +byId('unit').value;
  if (part.units[unit] >= series.units) return null;
  const one = bytes(series)[unit * data.texts[part.network].length + place];
  return series.gate ? one / 250 : (one / 125 - 1) * series.scale;
};
const colour = (series, v) => {
  if (v === null) return 'transparent';
  const depth = Math.min(1, Math.abs(v) / series.scale).toFixed(3);
  return `rgba(${data.tones[series.gate ? 'gate' : v < 0 ? 'negative' : 'positive']},${depth})`;
};
function show(place) {
  // The tab key goes to the chosen unit, arrows from there to others.
  spans[chosen]?.classList.remove('chosen');
  spans[chosen].tabIndex = -1;
  chosen = place;
  spans[chosen].classList.add('chosen');
  spans[chosen].tabIndex = 0;
  byId('place').textContent = `${place}: ${data.texts[part.network][place]}`;
  part.series.forEach((series, k) => {
    const v = value(series, place);
    byId('value' + k).textContent = v === null ? '–' : v.toFixed(2);
  });
}
function paint() {
  byId('number').textContent = part.units[+byId('unit').value];
  spans.forEach((span, place) => {
    const stops = part.series.map((series, k) =>
      `${colour(series, value(series, place))} ${k * row}px ${(k + 1) * row - 1}px, transparent ${(k + 1) * row - 1}px ${(k + 1) * row}px`);
    span.firstChild.style.background = `linear-gradient(${stops.join(',')})`;
  });
  show(chosen);
}
function choose() {
  part = data.parts[+byId('part').value];
  byId('unit').max = part.units.length - 1;
  byId('unit').value = part.first;
  byId('values').replaceChildren(...part.series.map((series, k) => {
    const item = document.createElement('span'), name = document.createElement('b'), v = document.createElement('span');
    name.textContent = series.name + ' ';
    v.id = 'value' + k;
    item.append(name, v);
    return item;
  }));
  const text = byId('text');
  text.replaceChildren();
  spans = data.texts[part.network].map((unit, place) => {
    const span = document.createElement('span'), bars = document.createElement('i');
    bars.style.height = part.series.length * row + 'px';
    span.append(bars, unit === '\n' ? '⏎' : unit);
    span.dataset.place = place;
    span.tabIndex = place === 0 ? 0 : -1;
    text.append(span);
    if (unit === '\n') text.append(document.createElement('br'));
    return span;
  });
  chosen = 0;
  paint();
}
data.parts.forEach((one, k) => byId('part').add(new Option(one.name, k)));
byId('part').addEventListener('change', choose);
let waiting = false;
byId('unit').addEventListener('input', () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; paint(); });
});
for (const kind of ['mouseover', 'click', 'focusin'])
  byId('text').addEventListener(kind, event => {
    const span = event.target.closest('span');
    if (span) show(+span.dataset.place);
  });
byId('text').addEventListener('keydown', event => {
  const last = spans.length - 1;
  const place = {ArrowLeft: chosen - 1, ArrowRight: chosen + 1, Home: 0, End: last}[event.key];
  if (place === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  spans[Math.min(last, Math.max(0, place))].focus();
});
choose();
)js";
constexpr std::string_view kGatesScriptHash = "sha256-UrrjNkIKOCjy70NHgyBdCxu/jtfPD6FBkSYVBXjka0I=";

}  // namespace

std::string gates_svg(const Observed& observed, const GateChoice& choice) {
  std::string content;
  add_colour_legend(content);
  double y = Heat::kRow + Heat::kGap;
  for (const CellTrace::Layer* layer : chosen_layers(observed, choice))
    for (const Index unit : choice.units.empty() ? most_varied(*layer, kDrawnUnits) : choice.units)
      y = add_unit(content, *layer, unit, observed.units.at(layer->network), y);
  return svg_file(Heat::kWidth, y, "Gates and states", content);
}

std::string gates_html(const Observed& observed, const GateChoice& choice, const std::string& title) {
  const auto layers = chosen_layers(observed, choice);
  std::size_t bytes_of_unit = 0;
  for (const CellTrace::Layer* layer : layers)
    bytes_of_unit += layer->series.size() * observed.units.at(layer->network).size() * 4 / 3;
  const auto most = static_cast<Index>(std::max<std::size_t>(1, kMostBytes / std::max<std::size_t>(1, bytes_of_unit)));
  Json parts = Json::array(), texts = Json::object();
  bool all = true;
  Index shown = 0;
  for (const CellTrace::Layer* layer : layers) {
    const Index units = layer->series.front().units;
    std::vector<Index> chosen = choice.units.empty() ? most_varied(*layer, most) : choice.units;
    std::ranges::sort(chosen);
    shown = std::max(shown, std::ssize(chosen));
    all &= !choice.units.empty() || std::ssize(chosen) >= layer->series.back().units;
    std::erase_if(chosen, [&](Index unit) { return unit >= std::max(units, layer->series.back().units); });
    if (chosen.empty()) continue;
    parts.push_back(part_json(*layer, chosen));
    texts[layer->network] = observed.units.at(layer->network);
  }
  const Json tones{{"gate", kGateTone.rgb}, {"positive", kPositiveTone.rgb}, {"negative", kNegativeTone.rgb}};
  std::string json = Json{{"texts", std::move(texts)}, {"parts", std::move(parts)}, {"tones", tones}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
  // A text cannot end the element that it lies in.
  for (std::size_t at = json.find('<'); at != std::string::npos; at = json.find('<', at))
    json.replace(at, 1, "\\u003c");
  std::string out = page_head({.title = title, .style = kGatesStyle, .script_hash = kGatesScriptHash});
  append(out, "<h1>{}</h1>", escape_html(title));
  append(
      out,
      R"(<p class="note">Each unit of the text has a bar for each value, in the order of the line below. Gates go )"
      R"(from nothing, closed, to <span style="color:{}">full colour</span>, open; states are )"
      R"(<span style="color:{}">positive</span> or <span style="color:{}">negative</span>. Values are rounded to 1/250 )"
      R"(of the gate, or 1/125 of the largest state; the formats tsv and json have them all.{}</p>)",
      kGateTone.hex, kPositiveTone.hex, kNegativeTone.hex,
      all ? ""
          : fmt::format(" Of each layer's units, the {} are here whose output varies most; --unit chooses others.",
                        shown));
  out +=
      R"(<div id="panel"><label>Layer <select id="part"></select></label><label>Unit )"
      R"(<input type="range" id="unit" min="0" value="0"> <output id="number" for="unit"></output></label>)"
      R"(<div><b id="place"></b></div><div id="values" aria-live="off"></div></div>)"
      R"(<div id="text" dir="auto" role="group" aria-label="Units of the text: arrow keys go from one to the next"></div>)"
      R"(<noscript><p>The values need JavaScript.</p></noscript>)";
  append(out, R"(<script type="application/json" id="data">{}</script><script>{}</script>)", json, kGatesScript);
  out += kPageEnd;
  return out;
}

}  // namespace mnemo
