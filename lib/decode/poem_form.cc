// Regulated verse is derived from its four line types and the rules that join them; tunes are parsed from patterns.
// Both give a PoemForm: alternatives, each with the tone patterns and the rhyme of every line. A poem is checked
// against all alternatives, and the faults against the nearest one are reported.
#include "decode/poem_form.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/error.h"
#include "decode/tunes.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

// The four lines of regulated verse, by their last five places; o is oblique, - level. An even line of a couplet ends
// level. Wang Li, Hanyu shilüxue (1958), names them a, A, b, B.
struct RegulatedLine {
  std::string_view strict;
  std::vector<std::string_view> loose;  // . is either
  std::vector<std::string_view> given_first;
};

const RegulatedLine& regulated_line(char type) {
  static const std::map<char, RegulatedLine> lines{
      {'a', {"oo--o", {".o.-o"}, {".o--o"}}},
      // A level third place would give three level tones at the end.
      {'A', {"ooo--", {".oo--"}, {".oo--"}}},
      {'b', {"---oo", {".-.oo"}, {".--oo"}}},
      // An oblique first place leaves the second as a lone level tone, unless the third compensates for it.
      {'B', {"--oo-", {"--.o-", "o--o-"}, {"--oo-", "o--o-"}}}};
  return lines.at(type);
}

TonePattern pattern_of(std::string_view places) {
  TonePattern out;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::uint32_t bit = std::uint32_t{1} << i;
    if (places[i] == '.') continue;
    out.fixed |= bit;
    if (places[i] == 'o') out.oblique |= bit;
  }
  return out;
}

LineRule regulated_rule(char type, int length, ToneRule tones, bool rhymes) {
  LineRule out;
  out.rhyme = rhymes ? 0 : -1;
  out.rhyme_tone = kLevel;
  if (tones == ToneRule::kOff) {
    out.patterns = out.given_first = {TonePattern()};
    return out;
  }
  const RegulatedLine& line = regulated_line(type);
  // A line of seven is a line of five after two places of the tone opposite to its second place.
  const bool opposite = line.strict[1] == 'o';
  const int before = length - 5;
  const auto whole = [&](std::string_view tail, char first, char second) {
    return before == 0 ? pattern_of(tail) : pattern_of(std::string{first, second} + std::string(tail));
  };
  const char tone = opposite ? '-' : 'o';
  if (tones == ToneRule::kStrict) {
    out.patterns = {whole(line.strict, tone, tone)};
    if (before > 0)
      out.given_first = {whole(line.strict, '.', tone)};
    else
      for (const std::string_view tail : line.given_first) out.given_first.push_back(whole(tail, '.', tone));
  } else {
    for (const std::string_view tail : line.loose) out.patterns.push_back(whole(tail, '.', tone));
    out.given_first = out.patterns;
  }
  return out;
}

// Couplets are joined: the second line of one and the first of the next have the same tone at the second place. So
// there are four variants, one for each first couplet.
PoemForm regulated_form(std::string name, int count, int length, ToneRule tones) {
  PoemForm out;
  out.name = std::move(name);
  out.rhymes = 1;
  out.mixed = {false};
  for (int l = 0; l < count; ++l) {
    PoemForm::Line line{length, std::vector<std::string>(static_cast<std::size_t>(length))};
    line.marks.back() = l % 2 == 0 ? "，" : l + 1 < count ? "。\n" : "。";
    out.lines.push_back(std::move(line));
  }
  for (const std::string_view first : {"aB", "bA", "AB", "BA"}) {
    // The second line of each couplet in turn: B A B A, or A B A B.
    std::vector<LineRule> rules;
    for (int l = 0; l < count; ++l) {
      const bool second_is_B = (first[1] == 'B') == (l / 2 % 2 == 0);
      const char type = l == 0 ? first[0] : l % 2 == 1 ? (second_is_B ? 'B' : 'A') : (second_is_B ? 'a' : 'b');
      // The first line rhymes if its type ends level; with tones off, the variants differ in this alone.
      const bool rhymes = l % 2 == 1 || (l == 0 && (first[0] == 'A' || first[0] == 'B'));
      rules.push_back(regulated_rule(type, length, tones, rhymes));
    }
    out.alternatives.push_back(std::move(rules));
  }
  return out;
}

struct Regulated {
  std::string_view name, traditional;
  int lines, length;
};
constexpr std::array<Regulated, 4> kRegulated{
    {{"五绝", "五絕", 4, 5}, {"七绝", "七絕", 4, 7}, {"五律", "五律", 8, 5}, {"七律", "七律", 8, 7}}};

bool is_one_of(std::u32string_view marks, char32_t c) { return marks.find(c) != std::u32string_view::npos; }

// A blank in a pattern.
bool is_blank(char32_t c) { return c == U' ' || c == U'\t' || c == U'\r' || c == U'\u3000'; }

// The row without blanks at its ends.
std::string_view trimmed(std::string_view row) {
  while (!row.empty()) {
    const auto [c, length] = decode_utf8(row.data());
    if (!is_blank(c)) break;
    row.remove_prefix(length);
  }
  std::size_t end = 0;
  for (std::size_t i = 0; i < row.size();) {
    const auto [c, length] = decode_utf8(row.data() + i);
    i += length;
    if (!is_blank(c)) end = i;
  }
  return row.substr(0, end);
}

bool is_pattern(std::string_view row) {
  for (std::size_t i = 0; i < row.size();) {
    const auto [c, length] = decode_utf8(row.data() + i);
    if (!is_blank(c) && !is_one_of(U"平仄中、，。；！？", c) && !(c >= U'A' && c <= U'Z')) return false;
    i += length;
  }
  return true;
}

// The first line of a tune's text that is not empty.
std::string_view tune_name(std::string_view text) {
  const std::size_t begin = text.find_first_not_of("\n ");
  return text.substr(begin, text.find('\n', begin) - begin);
}

constexpr int kLongestLine = 31;

std::string tone_name(Tones tone) { return tone == kLevel ? "level" : "oblique"; }

// Faults of a line against one pattern.
std::vector<std::string> pattern_faults(const TonePattern& pattern, const std::u32string& line, const RhymeTable& table,
                                        bool given_first) {
  std::vector<std::string> out;
  for (int place = 0; place < static_cast<int>(line.size()); ++place) {
    const Tones wanted = pattern.at(place), has = table.tones(line[place]);
    if (wanted == kAnyTone || (has & wanted) != 0 || (has == 0 && given_first && place == 0)) continue;
    out.push_back(has == 0 ? fmt::format("place {}: the tone of {} is unknown", place + 1, to_utf8(line[place]))
                           : fmt::format("place {}: {} is {}, expected {}", place + 1, to_utf8(line[place]),
                                         tone_name(has), tone_name(wanted)));
  }
  return out;
}

PoemCheck check_alternative(const PoemForm& form, const std::vector<LineRule>& rules,
                            const std::vector<std::u32string>& lines, const RhymeTable& table, bool given_first) {
  PoemCheck out;
  std::vector<std::vector<std::size_t>> rhyming(form.rhymes);
  for (std::size_t l = 0; l < rules.size() && l < lines.size(); ++l) {
    if (static_cast<int>(lines[l].size()) != form.lines[l].length) continue;
    const auto& patterns = given_first ? rules[l].given_first : rules[l].patterns;
    std::vector<std::string> fewest;
    for (std::size_t p = 0; p < patterns.size(); ++p) {
      auto faults = pattern_faults(patterns[p], lines[l], table, given_first);
      if (p == 0 || faults.size() < fewest.size()) fewest = std::move(faults);
    }
    for (std::string& one : fewest) out.faults.push_back({static_cast<int>(l), std::move(one)});
    if (rules[l].rhyme >= 0) rhyming[rules[l].rhyme].push_back(l);
  }
  // The key shared by most lines is the rhyme; of several the first line's.
  for (int r = 0; r < form.rhymes; ++r) {
    const auto keys_of = [&](std::size_t l) {
      RhymeKeys keys;
      for (const std::uint8_t reading : table.readings(lines[l].back()))
        if ((table.classes()[reading].tone & rules[l].rhyme_tone) != 0)
          keys.set(rhyme_key(table, reading, form.mixed[r]));
      return keys;
    };
    std::map<int, int> counts;
    for (const std::size_t l : rhyming[r])
      for (int key = 0; key < kRhymeKeys; ++key)
        if (keys_of(l).test(key)) counts[key] += l == rhyming[r].front() ? 3 : 2;
    const auto best = std::max_element(counts.begin(), counts.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    for (const std::size_t l : rhyming[r]) {
      const std::string character = to_utf8(lines[l].back());
      if (table.readings(lines[l].back()).empty())
        out.faults.push_back({static_cast<int>(l), fmt::format("the rhyme of {} is unknown", character)});
      else if (best == counts.end() || !keys_of(l).test(best->first))
        out.faults.push_back({static_cast<int>(l), fmt::format("{} does not rhyme with the others", character)});
    }
    if (best == counts.end()) continue;
    const auto& classes = table.classes();
    const auto named = std::find_if(classes.begin(), classes.end(), [&](const RhymeClass& c) {
      return form.mixed[r] ? c.sound == best->first : &c == &classes[best->first];
    });
    out.rhyme += (out.rhyme.empty() ? "" : ", ") + named->name;
  }
  return out;
}

}  // namespace

std::optional<ToneRule> tone_rule_from_name(std::string_view name) {
  if (name == "strict") return ToneRule::kStrict;
  if (name == "loose") return ToneRule::kLoose;
  if (name == "off") return ToneRule::kOff;
  return std::nullopt;
}

int PoemForm::characters() const {
  int out = 0;
  for (const Line& line : lines) out += line.length;
  return out;
}

std::optional<PoemForm> form_from_name(std::string_view name, ToneRule tones) {
  for (const Regulated& form : kRegulated)
    if (name == form.name || name == form.traditional)
      return regulated_form(std::string(form.name), form.lines, form.length, tones);
  const auto traditional =
      std::find_if(kTraditionalNames.begin(), kTraditionalNames.end(), [&](const auto& one) { return one[0] == name; });
  if (traditional != kTraditionalNames.end()) name = (*traditional)[1];
  for (const std::string_view tune : kTunes)
    if (tune_name(tune) == name) return parse_tune(tune, std::string(name), tones);
  return std::nullopt;
}

std::vector<std::string> form_names() {
  std::vector<std::string> out;
  out.reserve(kRegulated.size() + kTunes.size());
  for (const Regulated& form : kRegulated) out.emplace_back(form.name);
  for (const std::string_view tune : kTunes) out.emplace_back(tune_name(tune));
  return out;
}

namespace {

// Reads a tune's pattern character by character: places make up a line, a letter makes its last place a rhyme, and
// punctuation ends it. A line that ended with its rhyme stays open for the mark that may follow.
class TuneParser {
 public:
  TuneParser(std::string name, ToneRule tones) : name_(std::move(name)), tones_(tones) {}

  PoemForm parse(std::string_view text) {
    constexpr std::string_view kByteOrderMark = "\ufeff";
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    for (std::size_t at = 0; at < text.size(); ++number_) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      std::string_view row = text.substr(at, end - at);
      at = end + 1;
      row = trimmed(row.substr(0, row.find('#')));
      if (!row.empty()) add_row(row);
    }
    return finish();
  }

 private:
  [[noreturn]] void wrong(const std::string& what) const { fail("{}:{}: {}", name_, number_, what); }

  void add_row(std::string_view row) {
    if (out_.name.empty()) {
      if (is_pattern(row)) wrong("expected the tune's name, found a pattern");
      out_.name = row;
      return;
    }
    for (std::size_t i = 0; i < row.size();) {
      const auto [c, length] = decode_utf8(row.data() + i);
      i += length;
      if (!is_blank(c)) add(c);
    }
    end_line();
    if (!out_.lines.empty()) out_.lines.back().marks.back() += "\n";
  }

  void add(char32_t c) {
    if (const Tones tone = c == U'平' ? kLevel : c == U'仄' ? kOblique : c == U'中' ? kAnyTone : 0; tone != 0)
      add_place(tone);
    else if (c >= U'A' && c <= U'Z')
      add_rhyme(c);
    else if (c == U'、' || is_one_of(U"，。；！？", c))
      add_mark(c);
    else
      wrong(fmt::format("expected 平, 仄, 中, A to Z or one of 、，。；！？, found {}", to_utf8(c)));
  }

  void add_place(Tones tone) {
    if (line_.length == kLongestLine) wrong(fmt::format("a line of more than {} places", kLongestLine));
    if (rules_.back().rhyme >= 0) end_line();
    const std::uint32_t bit = std::uint32_t{1} << line_.length;
    if (tone != kAnyTone) pattern_.fixed |= bit;
    if (tone == kOblique) pattern_.oblique |= bit;
    ++line_.length;
    line_.marks.emplace_back();
  }

  void add_rhyme(char32_t letter) {
    if (line_.length == 0) wrong("a rhyme before the line's first place");
    if (rules_.back().rhyme >= 0) wrong("a place with two rhymes");
    const Tones last = pattern_.at(line_.length - 1);
    if (last == kAnyTone) wrong("a rhyme needs a place that is level or oblique");
    const auto [found, made] = letters_.emplace(letter, static_cast<int>(letters_.size()));
    if (made) rhyme_tones_.push_back(0);
    rhyme_tones_[found->second] = static_cast<Tones>(rhyme_tones_[found->second] | last);
    rules_.back().rhyme = found->second;
    rules_.back().rhyme_tone = last;
  }

  void add_mark(char32_t mark) {
    if (line_.length == 0) wrong("punctuation before the line's first place");
    append_utf8(line_.marks.back(), mark);
    if (mark != U'、') end_line();
  }

  void end_line() {
    if (line_.length == 0) return;
    rules_.back().patterns = rules_.back().given_first = {tones_ == ToneRule::kOff ? TonePattern() : pattern_};
    out_.lines.push_back(std::move(line_));
    line_ = {};
    pattern_ = {};
    rules_.emplace_back();
  }

  PoemForm finish() {
    if (out_.lines.empty()) fail("{}: a pattern without a place", name_);
    rules_.pop_back();
    std::string& last = out_.lines.back().marks.back();
    if (last.ends_with('\n')) last.pop_back();
    out_.rhymes = static_cast<int>(letters_.size());
    for (const Tones both : rhyme_tones_) out_.mixed.push_back(both == kAnyTone);
    out_.alternatives.push_back(std::move(rules_));
    return std::move(out_);
  }

  std::string name_;  ///< of the file, in messages
  ToneRule tones_;
  std::size_t number_ = 1;  ///< of the row
  PoemForm out_;
  std::vector<LineRule> rules_ = std::vector<LineRule>(1);  ///< of the lines, the open one included
  PoemForm::Line line_;                                     ///< the open one, and its tones
  TonePattern pattern_;
  std::map<char32_t, int> letters_;  ///< of rhymes
  std::vector<Tones> rhyme_tones_;
};

}  // namespace

PoemForm parse_tune(std::string_view text, const std::string& name, ToneRule tones) {
  return TuneParser(name, tones).parse(text);
}

std::vector<std::u32string> lines_of(const PoemForm& form, std::string_view text) {
  std::vector<std::u32string> as_marked = verse_lines(text);
  if (!form.is_tune()) return as_marked;
  const std::vector<std::u32string> pieces = verse_lines(text, true);
  std::vector<std::u32string> out;
  std::size_t next = 0;
  for (const PoemForm::Line& line : form.lines) {
    std::u32string& verse = out.emplace_back();
    while (next < pieces.size() && verse.size() < static_cast<std::size_t>(line.length)) verse += pieces[next++];
    if (verse.size() != static_cast<std::size_t>(line.length)) return as_marked;
  }
  return next == pieces.size() ? out : as_marked;
}

PoemCheck check_poem(const PoemForm& form, const std::vector<std::u32string>& lines, const RhymeTable& table,
                     bool allow_repeats, bool given_first) {
  PoemCheck best;
  for (std::size_t i = 0; i < form.alternatives.size(); ++i) {
    PoemCheck one = check_alternative(form, form.alternatives[i], lines, table, given_first);
    if (i == 0 || one.faults.size() < best.faults.size()) best = std::move(one);
  }
  if (lines.size() != form.lines.size())
    best.faults.push_back({-1, fmt::format("{} lines, expected {}", lines.size(), form.lines.size())});
  for (std::size_t l = 0; l < lines.size(); ++l) {
    if (l < form.lines.size() && static_cast<int>(lines[l].size()) != form.lines[l].length)
      best.faults.push_back(
          {static_cast<int>(l), fmt::format("{} characters, expected {}", lines[l].size(), form.lines[l].length)});
    std::string tones;
    for (const char32_t c : lines[l]) {
      const Tones tone = table.tones(c);
      tones += tone == kLevel ? "平" : tone == kOblique ? "仄" : tone == kAnyTone ? "通" : "？";
    }
    best.tones.push_back(std::move(tones));
  }
  std::map<char32_t, std::size_t> first;
  for (std::size_t l = 0; l < lines.size() && !allow_repeats; ++l)
    for (const char32_t c : lines[l]) {
      const auto [found, made] = first.emplace(c, l);
      if (!made)
        best.faults.push_back(
            {static_cast<int>(l), fmt::format("{} already occurs in line {}", to_utf8(c), found->second + 1)});
    }
  std::stable_sort(best.faults.begin(), best.faults.end(),
                   [](const PoemFault& a, const PoemFault& b) { return a.line < b.line; });
  return best;
}

}  // namespace mnemo
