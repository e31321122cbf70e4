#include "pipeline/translation_writer.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "text/html.h"
#include "text/html_page.h"
#include "text/json_line.h"
#include "text/line_reader.h"

namespace mnemo {
namespace {

constexpr std::string_view kSections = "section { margin: 0 0 2rem; } section p { margin: 0; } ";

}  // namespace

TranslationWriter::TranslationWriter(const TextTranslator& model, TranslationWriterOptions options)
    : model_(model), options_(std::move(options)) {}

std::string TranslationWriter::head() const {
  if (options_.format != TranslationFormat::kHtml) return "";
  const std::string style = std::string(kSections) + std::string(kWeightTableStyle);
  return page_head({.title = "mnemo translate", .style = style}) + "<h1>Translations</h1>\n";
}

std::string TranslationWriter::tail() const {
  return std::string(options_.format == TranslationFormat::kHtml ? kPageEnd : "");
}

// Units are words here, so that each has its own place in the text.
void TranslationWriter::replace_unknown(std::string_view line, Translation& one) const {
  std::string text;
  for (std::size_t i = 0; i < one.units.size(); ++i) {
    const auto [begin, end] = one.places[i];
    const std::string before = text.empty() ? "" : " ";
    const std::vector<float> shares =
        one.units[i] == Vocabulary::kUnknown ? one.attention[i].shares() : std::vector<float>();
    if (shares.empty()) {
      std::string_view unit = std::string_view(one.text).substr(begin, end - begin);
      unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
      one.places[i] = {static_cast<std::uint32_t>(text.size()), 0};
      text += before + std::string(unit);
    } else {
      const auto most = std::max_element(shares.begin(), shares.end()) - shares.begin();
      const auto [from, to] = one.source_places[static_cast<std::size_t>(most)];
      const std::string word(line.substr(from, to - from));
      const auto entry = options_.entries.find(word);
      one.places[i] = {static_cast<std::uint32_t>(text.size()), 0};
      text += before + (entry == options_.entries.end() ? word : entry->second);
    }
    one.places[i].second = static_cast<std::uint32_t>(text.size());
  }
  one.text = std::move(text);
}

std::string TranslationWriter::alignment(std::string_view line, const Translation& one) const {
  std::string out;
  for (const auto& [source, target] : align(model_, line, one))
    out += fmt::format("{}{}-{}", out.empty() ? "" : " ", source, target);
  return out;
}

void TranslationWriter::replace_unknown(std::string_view line, std::vector<Translation>& translations) const {
  for (Translation& one : translations)
    if (options_.replace_unknown) replace_unknown(line, one);
}

void TranslationWriter::write(std::string_view line, const std::vector<Translation>& translations, std::int64_t number,
                              const std::optional<RecordId>& id, const TextSink& out) const {
  if (options_.format == TranslationFormat::kJsonl) {
    if (id) out("{\"id\":" + json_of(*id).dump() + ",");
    bool opens = id.has_value();  // the brace that the id has after it already
    write_translations(model_, line, translations, options_.nbest, [&](std::string_view part) {
      if (opens && !part.empty()) part.remove_prefix(1), opens = false;
      out(part);
    });
    out("\n");
    return;
  }
  std::size_t rank = 0;
  for (const Translation& one : translations) {
    ++rank;
    if (options_.format == TranslationFormat::kText) {
      if (id) out(id->text + "\t");
      out(options_.nbest == 1 ? one.text + "\n" : fmt::format("{} ||| {} ||| {:.6f}\n", number, one.text, one.score));
      continue;
    }
    std::vector<std::string> units;
    units.reserve(one.units.size());
    for (const std::int32_t unit : one.units) units.emplace_back(model_.target().vocabulary.text(unit));
    const std::string which =
        options_.nbest == 1 ? "" : fmt::format(", translation {} of {}", rank, translations.size());
    out(fmt::format("<section><p class=\"note\">Line {}{}</p><p dir=\"auto\">{}</p><p dir=\"auto\"><b>{}</b></p>",
                    number + 1, which, escape_html(line), escape_html(one.text)));
    write_weight_table(
        units, one.source_units, [&](std::size_t i) { return one.attention[i].shares(); }, out);
    out("</section>\n");
  }
}

std::vector<std::pair<std::string, std::string>> read_term_pairs(
    const std::string& path, InvalidUtf8 policy, const std::function<void(const std::string& target)>& check) {
  LineReader reader(path, policy);
  std::vector<std::pair<std::string, std::string>> out;
  std::unordered_map<std::string, std::size_t> lines;
  std::string line;
  while (reader.next(line)) {
    if (line.empty()) continue;
    const std::size_t tab = line.find('\t');
    if (tab == std::string::npos || tab == 0 || tab + 1 == line.size() || line.find('\t', tab + 1) != std::string::npos)
      fail("{}:{}: expected SOURCE, tab, TARGET", reader.name(), reader.line_number());
    std::pair<std::string, std::string> term{line.substr(0, tab), line.substr(tab + 1)};
    const auto [match, fresh] = lines.emplace(term.first, reader.line_number());
    if (!fresh)
      fail("{}:{}: \"{}\" has an entry in line {} already", reader.name(), reader.line_number(), shown(term.first),
           match->second);
    try {
      if (check) check(term.second);
    } catch (const Error& error) {
      fail("{}:{}: {}", reader.name(), reader.line_number(), error.what());
    }
    out.push_back(std::move(term));
  }
  return out;
}

}  // namespace mnemo
