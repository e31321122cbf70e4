#include "text/html_page.h"

#include <fmt/format.h>

#include "base/sha256.h"
#include "text/html.h"

namespace mnemo {
namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --paper: #fff; --ink: #222; --soft: #555; --line: #e3e3e3; --good: #084594;
  --bad: #b23c00; --good-back: #d7e6f5; --bad-back: #fbdcc4; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181c; --ink: #e4e4e4; --soft: #a6a6a6; --line: #3a3d42; --good: #8ab8e6; --bad: #f0a070;
    --good-back: #1d3a57; --bad-back: #5a2f14; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 58rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0 0 .5rem; }
p { margin: .5rem 0; max-width: 44rem; overflow-wrap: anywhere; }
.note { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
th:first-child, td:first-child, .words { text-align: left; }
thead th { border-bottom: 1px solid var(--soft); font-weight: 600; max-width: 16rem; }
tbody th { font-weight: 400; max-width: 22rem; min-width: 7.5rem; }
.charts { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: 0; min-width: 0; }
svg { max-width: 100%; height: auto; font-family: inherit; }
.scroll svg { max-width: none; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 34rem) { body { padding: 1rem .75rem 3rem; } th, td { padding-right: .6rem; } }
)css";

}  // namespace

std::string content_hash(std::string_view content) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string hex = sha256(content);
  std::string out = "sha256-";
  for (std::size_t at = 0; at < hex.size(); at += 6) {  // three bytes
    const std::string some = hex.substr(at, 6);
    const std::size_t bytes = some.size() / 2;
    const unsigned long bits = std::stoul(some, nullptr, 16) << (8 * (3 - bytes));
    for (std::size_t i = 0; i < 4; ++i) out += i <= bytes ? kDigits[(bits >> (18 - 6 * i)) & 63] : '=';
  }
  return out;
}

std::string page_style(std::string_view style) { return std::string(kStyle) + std::string(style); }

std::string page_head(const PageHead& head) {
  const std::string script = (head.script_hash.empty() ? "" : fmt::format("; script-src '{}'", head.script_hash)) +
                             (head.asks_server ? "; connect-src 'self'" : "");
  return fmt::format(R"(<!DOCTYPE html>
<html lang="{}"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'{}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{}</title><style>{}</style></head><body><main>
)",
                     escape_html(head.language), script, escape_html(head.title), page_style(head.style));
}

}  // namespace mnemo
