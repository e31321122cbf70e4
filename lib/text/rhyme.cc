// Tables are built from generated lists of the books' groups: first the readings of every character in its own right,
// then, for characters that stand for several in the text's script, the union and the intersection of the readings of
// these.
#include "text/rhyme.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "text/utf8.h"
#include "text/vocabulary.h"

namespace mnemo {
namespace {

struct Group {
  std::string_view name, characters;
};
// A character, and those it may stand for: itself too if it is also a traditional one.
struct Merged {
  std::string_view character, forms;
};
// Where transcriptions of a book and of the book that it follows differ, `...Disputed` lists the characters and
// `...Agreed` the readings that both have.
#include "text/rhyme_tables.inc"

struct Book {
  RhymeBook book;
  std::string_view name;
  std::span<const Group> groups;
  std::span<const Merged> merged;
  std::string_view disputed;
  std::span<const Group> agreed;
};
constexpr std::array<Book, 3> kBooks{
    {{RhymeBook::kPingshui, "pingshui", kPingshui, kPingshuiMerged, {}, {}},
     {RhymeBook::kXinyun, "xinyun", kXinyun, kXinyunMerged, {}, {}},
     {RhymeBook::kCilin, "cilin", kCilin, kCilinMerged, kCilinDisputed, kCilinAgreed}}};

const Book& find(RhymeBook book) {
  return *std::find_if(kBooks.begin(), kBooks.end(), [&](const Book& b) { return b.book == book; });
}

// The Pingshui book lists 30 level groups, 29 rising, 30 departing and 17 entering ones, the first three in the same
// order of sounds except in two places: the level group 蒸 has no partner, and neither has the departing 泰, which
// comes before 卦, the partner of 佳.
constexpr int kLevelGroups = 30, kRising = 29, kDeparting = 30, kZheng = 24, kTai = 8;

RhymeClass pingshui_class(std::string_view name, int index) {
  RhymeClass out{std::string(name), kOblique, 0};
  const int rising = index - kLevelGroups, departing = rising - kRising, entering = departing - kDeparting;
  if (rising < 0) {
    out.tone = kLevel;
    out.sound = index;
  } else if (departing < 0) {
    out.sound = rising < kZheng ? rising : rising + 1;
  } else if (entering < 0) {
    out.sound = departing == kTai ? kLevelGroups : departing > kTai && departing <= kZheng ? departing - 1 : departing;
  } else {
    out.sound = kLevelGroups + 1 + entering;
  }
  return out;
}

// The groups of the other books are named "PART TONE"; both level tones of the new rhymes are one class.
std::string class_name(std::string_view group) {
  const std::size_t blank = group.find(' ');
  const std::string_view part = group.substr(0, blank), tone = group.substr(blank + 1);
  const bool level = tone == "阴平" || tone == "阳平" || tone == "平声";
  return std::string(part) + (level ? " 平" : tone == "入声" ? " 入" : " 仄");
}

// Groups come in order, so an equal reading could only be the last one.
void add_reading(std::vector<std::uint8_t>& readings, std::uint8_t reading) {
  if (readings.empty() || readings.back() != reading) readings.push_back(reading);
}

std::unordered_set<char32_t> set_of(std::string_view text) {
  const std::u32string characters = to_code_points(text);
  return {characters.begin(), characters.end()};
}

}  // namespace

void ScriptEvidence::add(char32_t character, std::uint64_t times) {
  static const std::unordered_set<char32_t> traditional_only = set_of(kTraditionalOnly);
  static const std::unordered_set<char32_t> simplified_only = set_of(kSimplifiedOnly);
  if (traditional_only.contains(character)) traditional += times;
  if (simplified_only.contains(character)) simplified += times;
}

std::optional<Script> ScriptEvidence::script() const {
  const auto nearly_all = [](std::uint64_t of_one, std::uint64_t of_other) { return of_other <= of_one / 99; };
  if (traditional + simplified == 0) return std::nullopt;
  if (nearly_all(traditional, simplified)) return Script::kTraditional;
  return nearly_all(simplified, traditional) ? Script::kSimplified : Script::kMixed;
}

Script script_of(const Vocabulary& vocabulary) {
  ScriptEvidence evidence;
  for (std::int32_t id = 1; id < vocabulary.size(); ++id) {
    // Longer units are names of forms, which are simplified whatever the script of the poems.
    const std::u32string unit = to_code_points(vocabulary.text(id));
    if (unit.size() == 1) evidence.add(unit[0], std::max<std::uint64_t>(vocabulary.count(id), 1));
  }
  return evidence.script().value_or(Script::kMixed);
}

std::string_view name_of(RhymeBook book) { return find(book).name; }

std::optional<RhymeBook> rhyme_book_from_name(std::string_view name) {
  for (const Book& book : kBooks)
    if (book.name == name) return book.book;
  return std::nullopt;
}

const RhymeTable& RhymeTable::of(RhymeBook book, Script script) {
  // Each is built by itself, as most runs need only one.
  constexpr std::size_t kTables = 2 * kBooks.size();
  static std::array<std::once_flag, kTables> made;
  static std::array<std::unique_ptr<const RhymeTable>, kTables> tables;
  const std::size_t i = 2 * static_cast<std::size_t>(book) + (script == Script::kTraditional ? 1 : 0);
  std::call_once(made[i], [&] { tables[i].reset(new RhymeTable(book, script)); });
  return *tables[i];
}

RhymeTable::RhymeTable(RhymeBook book, Script script) {
  std::vector<std::string> parts;
  std::vector<std::uint8_t> class_of_group;
  for (const Group& group : find(book).groups) {
    if (book == RhymeBook::kPingshui) {
      classes_.push_back(pingshui_class(group.name, static_cast<int>(classes_.size())));
    } else {
      const std::string name = class_name(group.name), part = name.substr(0, name.find(' '));
      if (parts.empty() || parts.back() != part) parts.push_back(part);
      if (classes_.empty() || classes_.back().name != name)
        classes_.push_back({name, name.ends_with("平") ? kLevel : kOblique, static_cast<int>(parts.size()) - 1});
    }
    class_of_group.push_back(static_cast<std::uint8_t>(classes_.size() - 1));
    for (const char32_t c : to_code_points(group.characters)) add_reading(readings_[c], class_of_group.back());
  }
  for (const char32_t c : to_code_points(find(book).disputed)) doubtful_[c] = {};
  for (std::size_t g = 0; g < find(book).agreed.size(); ++g)
    for (const char32_t c : to_code_points(find(book).agreed[g].characters))
      add_reading(doubtful_[c].readings, class_of_group[g]);
  for (auto& [character, sure] : doubtful_) sure.tones = tones_of(sure.readings);
  add_merged(book, script);
}

void RhymeTable::add_merged(RhymeBook book, Script script) {
  std::vector<std::pair<char32_t, Readings>> found;
  std::vector<std::pair<char32_t, Doubtful>> doubtful;
  for (const Merged& merged : find(book).merged) {
    const char32_t character = decode_utf8(merged.character.data()).value;
    const std::u32string forms = to_code_points(merged.forms);
    if (script == Script::kTraditional && forms.find(character) != std::u32string::npos) continue;
    Readings any = readings_[character];
    const auto first = sure_readings(forms[0]);
    Doubtful every{{first.begin(), first.end()}, kAnyTone};
    for (const char32_t form : forms) {
      const auto of = readings(form), sure = sure_readings(form);
      Readings all, common;
      std::set_union(any.begin(), any.end(), of.begin(), of.end(), std::back_inserter(all));
      std::set_intersection(every.readings.begin(), every.readings.end(), sure.begin(), sure.end(),
                            std::back_inserter(common));
      any = std::move(all);
      every.readings = std::move(common);
      every.tones = static_cast<Tones>(every.tones & sure_tones(form));
    }
    found.emplace_back(character, std::move(any));
    doubtful.emplace_back(character, std::move(every));
  }
  // Stored only now, as the loop needs the characters' own readings.
  for (auto& [character, any] : found) readings_[character] = std::move(any);
  for (auto& [character, every] : doubtful) doubtful_[character] = std::move(every);
}

std::span<const std::uint8_t> RhymeTable::readings(char32_t character) const {
  const auto found = readings_.find(character);
  return found == readings_.end() ? std::span<const std::uint8_t>() : found->second;
}

Tones RhymeTable::tones(char32_t character) const { return tones_of(readings(character)); }

std::span<const std::uint8_t> RhymeTable::sure_readings(char32_t character) const {
  const auto found = doubtful_.find(character);
  return found == doubtful_.end() ? readings(character) : found->second.readings;
}

Tones RhymeTable::sure_tones(char32_t character) const {
  const auto found = doubtful_.find(character);
  return found == doubtful_.end() ? tones(character) : found->second.tones;
}

Tones RhymeTable::tones_of(std::span<const std::uint8_t> readings) const {
  Tones out = 0;
  for (const std::uint8_t one : readings) out = static_cast<Tones>(out | classes_[one].tone);
  return out;
}

}  // namespace mnemo
