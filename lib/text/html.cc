#include "text/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool forbidden(char32_t c) {
  const bool control = (c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7F && c < 0xA0);
  const bool noncharacter = (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
  const bool turns = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
  return control || noncharacter || turns;
}

void append_escaped(std::string& out, std::string_view valid) {
  for (std::size_t i = 0; i < valid.size();) {
    const CodePoint c = decode_utf8(valid.data() + i);
    if (c.value == '&')
      out += "&amp;";
    else if (c.value == '<')
      out += "&lt;";
    else if (c.value == '>')
      out += "&gt;";
    else if (c.value == '"')
      out += "&quot;";
    else if (c.value == '\'')
      out += "&#39;";
    else
      out += forbidden(c.value) ? kReplacement : valid.substr(i, c.length);
    i += c.length;
  }
}

// Roughly the wide characters of East Asia: initial consonants of Hangul, and what follows the radicals of Han.
std::size_t columns_of(char32_t c) { return (c >= 0x1100 && c < 0x1160) || c >= 0x2E80 ? 2 : 1; }

}  // namespace

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) >= 0x80 &&
        find_invalid_utf8(text.substr(i, 4)).value_or(InvalidSequence{4, 0}).offset == 0) {
      ++columns, ++i;
      continue;
    }
    const CodePoint c = decode_utf8(text.data() + i);
    columns += columns_of(c.value);
    i += c.length;
  }
  return columns;
}

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  while (const auto invalid = find_invalid_utf8(text)) {
    append_escaped(out, text.substr(0, invalid->offset));
    out += kReplacement;
    text.remove_prefix(invalid->offset + invalid->length);
  }
  append_escaped(out, text);
  return out;
}

std::string shortened(std::string_view text, std::size_t columns) {
  if (columns_of(text) <= columns) return std::string(text);
  std::size_t end = 0, used = 1;
  while (end < text.size()) {
    std::size_t next = end + 1;
    while (next < text.size() && is_continuation(text[next])) ++next;
    used += columns_of(text.substr(end, next - end));
    if (used > columns) break;
    end = next;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::string shortened_html(std::string_view text, std::size_t columns) { return escape_html(shortened(text, columns)); }

std::string weight_table(const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                         const std::vector<std::vector<float>>& weights) {
  const auto first = [](const std::vector<std::string>& all) {
    return std::vector<std::string>(all.begin(),
                                    all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), kMostWeights)));
  };
  const auto shown_rows = first(rows), shown_columns = first(columns);
  std::string out;
  write_weight_table(
      shown_rows, shown_columns, [&](std::size_t i) { return weights[i]; },
      [&](std::string_view part) { out += part; });
  if (shown_rows.size() < rows.size() || shown_columns.size() < columns.size())
    fmt::format_to(std::back_inserter(out),
                   R"(<p class="note">The first {} of {} rows and {} of {} columns are shown.</p>)", shown_rows.size(),
                   rows.size(), shown_columns.size(), columns.size());
  return out;
}

void write_weight_table(const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                        const std::function<std::vector<float>(std::size_t row)>& weights,
                        const std::function<void(std::string_view)>& write) {
  std::string out = R"(<div class="scroll"><table class="weights"><thead><tr><th></th>)";
  for (const std::string& column : columns) out += "<th>" + escape_html(column) + "</th>";
  write(out + "</tr></thead><tbody>");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::vector<float> row = weights(i);
    out = "<tr><th>" + escape_html(rows[i]) + "</th>";
    for (std::size_t j = 0; j < columns.size(); ++j) {
      const double weight = std::clamp(static_cast<double>(row[j]), 0.0, 1.0);
      fmt::format_to(std::back_inserter(out),
                     R"x(<td style="background:rgba(33,113,181,{0:.2f})" title="{0:.2f}"></td>)x", weight);
    }
    write(out + "</tr>");
  }
  write("</tbody></table></div>");
}

}  // namespace mnemo
