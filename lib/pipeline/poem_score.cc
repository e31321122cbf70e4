#include "pipeline/poem_score.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <span>

#include "base/json.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

std::string verdict(const std::vector<std::string>& faults) {
  return faults.empty() ? "ok" : fmt::format("{}", fmt::join(faults, "; "));
}

// The script that the poem's own characters show, or else the script of the model's vocabulary.
Script script_of_poem(const std::vector<std::u32string>& lines, const TextLanguageModel& model) {
  ScriptEvidence evidence;
  for (const std::u32string& line : lines)
    for (const char32_t c : line) evidence.add(c);
  const std::optional<Script> shown = evidence.script();
  return shown ? *shown : script_of(model.vocabulary());
}

// Adds the log-probability of the body, conditioned on nothing but the form.
void add_log_probability(const TextLanguageModel& model, const PoemForm& form, const std::string& body,
                         ThreadPool& pool, PoemScore& out) {
  std::vector<std::int32_t> ids;
  std::int64_t before = 0;
  Tokens tokens;
  const Poem poem{.title = {}, .author = {}, .form = form.name, .body = body};
  for_record_units(poem, model.has_conditions(), model.tokenizer(), tokens,
                   [&](Section section, const SourceUnit& source) {
                     const std::string_view unit = source.text;
                     if (section == Section::kForm && !model.vocabulary().contains(unit)) return;
                     if (unit == TextLanguageModel::kRecordEnd) return ids.push_back(model.text_end());
                     ids.push_back(model.vocabulary().find(unit));
                     if (section != Section::kBody) ++before;
                     if (ids.back() == Vocabulary::kUnknown) ++out.unknown;
                   });
  const std::vector<double> log_p = model.log_probabilities(ids, pool);
  for (const double one : std::span(log_p).subspan(static_cast<std::size_t>(before))) out.log_probability += one;
  out.units = std::ssize(ids) - before;
}

}  // namespace

double PoemScore::perplexity() const { return std::exp(-log_probability / static_cast<double>(units)); }

std::vector<std::string> PoemScore::faults_of(int line) const {
  std::vector<std::string> out;
  for (const PoemFault& fault : check.faults)
    if (fault.line == line) out.push_back(fault.message);
  return out;
}

Json PoemScore::json(std::int64_t number) const {
  Json out{{"poem", number},        {"ok", ok()},         {"rhyme", check.rhyme},        {"faults", faults_of(-1)},
           {"units", units},        {"unknown", unknown}, {"log_prob", log_probability}, {"perplexity", perplexity()},
           {"lines", Json::array()}};
  for (std::size_t l = 0; l < lines.size(); ++l)
    out["lines"].push_back(
        {{"text", to_utf8(lines[l])}, {"tones", check.tones[l]}, {"faults", faults_of(static_cast<int>(l))}});
  return out;
}

std::string PoemScore::tsv(std::int64_t number) const {
  std::string out = fmt::format("{}\t0\t{:.6f}\t{:.4f}\t{}\t{}\n", number, log_probability, perplexity(), check.rhyme,
                                verdict(faults_of(-1)));
  for (std::size_t l = 0; l < lines.size(); ++l)
    out += fmt::format("{}\t{}\t{}\t{}\t{}\n", number, l + 1, to_utf8(lines[l]), check.tones[l],
                       verdict(faults_of(static_cast<int>(l))));
  return out;
}

PoemScore score_poem(const TextLanguageModel& model, const PoemForm& form, RhymeBook book, const std::string& poem,
                     ThreadPool& pool) {
  PoemScore out;
  const std::string body = without_marks(poem);
  out.lines = lines_of(form, body);
  out.check = check_poem(form, out.lines, RhymeTable::of(book, script_of_poem(out.lines, model)), true);
  add_log_probability(model, form, body, pool, out);
  return out;
}

}  // namespace mnemo
