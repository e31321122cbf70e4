// The form may have several ways of being written; all that fit the text so far are kept, each with the tone patterns
// of the current line and the rhymes still possible. A unit is allowed if some way accepts it, and a way accepts a unit
// only if enough unused characters of its rhymes remain for the places still to come, so that no rhyme runs out of
// characters.
#include "decode/poem_constraint.h"

#include <algorithm>

#include "base/error.h"
#include "text/utf8.h"

namespace mnemo {

bool is_ideograph(char32_t c) {
  return (c >= 0x3400 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x3ffff);
}

namespace {

bool fits(const TonePattern& pattern, std::ptrdiff_t place, Tones tones) {
  const Tones wanted = pattern.at(static_cast<int>(place));
  return wanted == kAnyTone || (tones & wanted) != 0;
}

bool holds(std::span<const std::uint8_t> readings, std::uint8_t one) {
  return std::find(readings.begin(), readings.end(), one) != readings.end();
}

// An addition to a message: the characters of the acrostic that fit nowhere because they are ambiguous.
std::string doubts(const PoemUnits& units, const std::vector<std::int32_t>& acrostic) {
  std::string out;
  for (const std::int32_t unit : acrostic)
    if (unit >= 0 && units.units()[unit].doubtful)
      out += fmt::format("; {} may stand for characters of different tones", to_utf8(units.units()[unit].character));
  return out;
}

}  // namespace

PoemUnits::PoemUnits(const std::vector<std::string_view>& texts, const RhymeTable& table)
    : table_(table), units_(texts.size()), of_poet_(texts.size()), count_(table.classes().size(), 0) {
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty()) continue;
    const auto [c, length] = decode_utf8(texts[i].data());
    if (length != texts[i].size()) continue;
    by_code_point_.emplace(c, static_cast<std::int32_t>(i));
    if (!is_ideograph(c)) continue;
    of_poet_[i] = {c, table.tones(c), table.readings(c)};
    units_[i] = {c, table.sure_tones(c), table.sure_readings(c)};
    units_[i].doubtful = units_[i].tones == 0 && of_poet_[i].tones != 0;
    for (const std::uint8_t reading : units_[i].readings) ++count_[reading];
  }
}

std::int32_t PoemUnits::find(char32_t code_point) const {
  const auto found = by_code_point_.find(code_point);
  return found == by_code_point_.end() ? -1 : found->second;
}

namespace {

// Throws Error for a mark of the form that the vocabulary lacks.
void check_marks(const PoemUnits& units, const PoemForm& form) {
  for (const PoemForm::Line& line : form.lines)
    for (const std::string& marks : line.marks)
      for (std::size_t i = 0; i < marks.size(); i += utf8_length(marks[i]))
        if (units.find(decode_utf8(marks.data() + i).value) < 0)
          throw Error(
              fmt::format("the model's vocabulary has no \"{}\", which {} needs; it was not in the training data",
                          marks[i] == '\n' ? "line break" : to_utf8(decode_utf8(marks.data() + i).value), form.name));
}

}  // namespace

PoemConstraint::PoemConstraint(const PoemUnits& units, const PoemForm& form, const PoemOptions& options)
    : units_(&units),
      form_(&form),
      allow_repeats_(options.allow_repeats),
      acrostic_(form.lines.size(), -1),
      used_(units.units().size(), 0),
      unused_(units.count()) {
  const std::size_t given = options.acrostic.size(), lines = form.lines.size();
  if (given != 0 && given != lines && given * 2 != lines)
    throw Error(
        fmt::format("the acrostic has {} characters: {} has {} lines, and takes {} or, for every other line, {}", given,
                    form.name, lines, lines, lines / 2));
  for (std::size_t i = 0; i < given; ++i) {
    const std::int32_t unit = units.find(options.acrostic[i]);
    if (unit < 0 || units.units()[unit].character == 0)
      throw Error(fmt::format("the acrostic's {} is not a Chinese character of the model's vocabulary",
                              to_utf8(options.acrostic[i])));
    acrostic_[i * (lines / given)] = unit;
    if (std::exchange(used_[unit], 1) == 0)
      for (const std::uint8_t reading : units.units()[unit].readings) --unused_[reading];
  }
  check_marks(units, form);
  for (std::size_t a = 0; a < form.alternatives.size(); ++a) {
    const auto& rules = form.alternatives[a];
    needed_.emplace_back(lines + 1, std::vector<std::array<int, 2>>(static_cast<std::size_t>(form.rhymes), {0, 0}));
    for (std::size_t l = lines; l-- > 0;) {
      needed_[a][l] = needed_[a][l + 1];
      if (rules[l].rhyme >= 0)
        ++needed_[a][l][static_cast<std::size_t>(rules[l].rhyme)][rules[l].rhyme_tone == kOblique];
    }
    bool open = true;
    for (std::size_t l = 0; l < lines; ++l) {
      const auto& patterns = rules[l].given_first;
      open = open && (acrostic_[l] < 0 || std::any_of(patterns.begin(), patterns.end(), [&](const TonePattern& p) {
                        return fits(p, 0, tones_given(units_->units()[acrostic_[l]]));
                      }));
    }
    Way way{a, {}, std::vector<RhymeKeys>(static_cast<std::size_t>(form.rhymes), RhymeKeys().set())};
    if (open) ways_.push_back(std::move(way));
  }
  if (ways_.empty())
    throw Error(fmt::format("no variant of {} fits the acrostic's tones{}", form.name, doubts(units, acrostic_)));
  std::erase_if(ways_, [&](const Way& way) { return !rhymes_left(way, {}); });
  // Different rhymes are different classes of the book.
  const auto& classes = units.table().classes();
  for (const Tones tone : {kLevel, kOblique}) {
    const auto has = std::count_if(classes.begin(), classes.end(), [&](const RhymeClass& c) { return c.tone == tone; });
    std::ptrdiff_t asks = 0;
    for (std::size_t r = 0; r < static_cast<std::size_t>(form.rhymes); ++r)
      asks += needed_[0][0][r][tone == kOblique] > 0 && !form.mixed[r] ? 1 : 0;
    if (asks > has)
      throw Error(fmt::format("{} asks for {} different {} rhymes: the book has {}", form.name, asks,
                              tone == kLevel ? "level" : "oblique", has));
  }
  if (ways_.empty())
    throw Error(fmt::format("no rhyme has enough characters for {} in the model's vocabulary", form.name));
  begin_line();
}

std::int32_t PoemConstraint::given() const { return place_ == 0 ? acrostic_[line_] : -1; }

// Tones of a line's first character that the poet gave: any, if the book does not know it. If it may be level or
// oblique, it counts as oblique: the compensation for that in regulated verse does no harm if it is level; a tune has
// none.
Tones PoemConstraint::tones_given(const PoemUnits::Unit& unit) const {
  if (unit.doubtful) return form_->is_tune() ? 0 : kOblique;
  return unit.tones == 0 ? kAnyTone : unit.tones;
}

// The unit's tones at this place.
Tones PoemConstraint::tones_of(std::int32_t unit) const {
  return given() == unit ? tones_given(unit_of(unit)) : unit_of(unit).tones;
}

void PoemConstraint::begin_line() {
  if (ended()) return;
  for (Way& way : ways_) way.patterns = acrostic_[line_] >= 0 ? rule(way).given_first : rule(way).patterns;
}

// Characters left for a rhyme at places of that tone once one with the readings `taken` is used.
int PoemConstraint::left(int rhyme, int key, Tones tone, std::span<const std::uint8_t> taken) const {
  const auto& classes = units_->table().classes();
  const auto of_class = [&](int c) {
    if (allow_repeats_) return units_->count()[c] > 0 ? form_->characters() : 0;
    return unused_[c] - (holds(taken, static_cast<std::uint8_t>(c)) ? 1 : 0);
  };
  if (!form_->mixed[static_cast<std::size_t>(rhyme)])
    return key < std::ssize(classes) && classes[key].tone == tone ? of_class(key) : 0;
  int out = 0;
  for (int c = 0; c < std::ssize(classes); ++c)
    if (classes[c].sound == key && classes[c].tone == tone) out += of_class(c);
  return out;
}

// Whether each rhyme has a key with enough characters for the places still to come after this one, and `spare` more.
bool PoemConstraint::rhymes_left(const Way& way, std::span<const std::uint8_t> taken, int spare) const {
  const bool last = place_ + 1 == form_->lines[line_].length && !taken.empty();
  const auto& needed = needed_[way.alternative][line_ + (last ? 1 : 0)];
  for (int r = 0; r < form_->rhymes; ++r) {
    const auto [level, oblique] = needed[r];
    if (level + oblique == 0) continue;
    bool any = false;
    for (int key = 0; key < kRhymeKeys && !any; ++key)
      any = way.keys[r].test(key) && (level == 0 || left(r, key, kLevel, taken) >= level + spare) &&
            (oblique == 0 || left(r, key, kOblique, taken) >= oblique + spare);
    if (!any) return false;
  }
  return true;
}

// The keys that the unit's readings have for the rhyme at this place.
RhymeKeys PoemConstraint::keys_of(const Way& way, std::int32_t unit) const {
  const LineRule& r = rule(way);
  RhymeKeys out;
  for (const std::uint8_t reading : unit_of(unit).readings)
    if ((units_->table().classes()[reading].tone & r.rhyme_tone) != 0)
      out.set(static_cast<std::size_t>(
          rhyme_key(units_->table(), reading, form_->mixed[static_cast<std::size_t>(r.rhyme)])));
  return out;
}

// `plenty`: no choice here can leave too few characters for the rhymes.
bool PoemConstraint::accepts(const Way& way, std::int32_t unit, bool plenty) const {
  const PoemUnits::Unit& u = units_->units()[unit];
  const Tones tones = tones_of(unit);
  if (std::none_of(way.patterns.begin(), way.patterns.end(),
                   [&](const TonePattern& p) { return fits(p, place_, tones); }))
    return false;
  const LineRule& r = rule(way);
  if (r.rhyme >= 0 && place_ + 1 == form_->lines[line_].length) {
    if ((way.keys[r.rhyme] & keys_of(way, unit)).none()) return false;
    Way next = way;
    take(next, unit);
    return rhymes_left(next, u.readings);
  }
  // Characters that the poet gave are counted as taken from the start.
  return plenty || given() == unit || u.readings.empty() || rhymes_left(way, u.readings);
}

// Removes the patterns and rhymes that the unit rules out.
void PoemConstraint::take(Way& way, std::int32_t unit) const {
  const Tones tones = tones_of(unit);
  std::erase_if(way.patterns, [&](const TonePattern& p) { return !fits(p, place_, tones); });
  const LineRule& r = rule(way);
  if (r.rhyme < 0 || place_ + 1 != form_->lines[line_].length) return;
  way.keys[r.rhyme] &= keys_of(way, unit);
  // Different rhymes must have different sounds.
  if (way.keys[r.rhyme].count() == 1)
    for (int other = 0; other < form_->rhymes; ++other)
      if (other != r.rhyme && form_->mixed[other] == form_->mixed[r.rhyme]) way.keys[other] &= ~way.keys[r.rhyme];
}

void PoemConstraint::block(std::span<std::uint8_t> blocked) const {
  const std::int32_t only = !marks_.empty() ? marks_.back() : given();
  std::vector<bool> plenty;
  for (const Way& way : ways_) plenty.push_back(rhymes_left(way, {}, 1));
  const auto any_accepts = [&](std::int32_t v) {
    for (std::size_t w = 0; w < ways_.size(); ++w)
      if (accepts(ways_[w], v, plenty[w])) return true;
    return false;
  };
  for (std::int32_t v = 0; v < std::ssize(blocked); ++v) {
    if (blocked[v] && v != only) continue;
    bool allowed;
    if (only >= 0)
      allowed = v == only;
    else
      allowed = units_->units()[v].character != 0 && (allow_repeats_ || !used_[v]) && any_accepts(v);
    blocked[v] = allowed ? 0 : 1;
  }
}

void PoemConstraint::note(std::int32_t unit) {
  if (!marks_.empty()) {
    marks_.pop_back();
  } else {
    const PoemUnits::Unit& u = units_->units()[unit];
    std::erase_if(ways_, [&](const Way& way) { return !accepts(way, unit); });
    if (ways_.empty()) throw Error(fmt::format("{} does not fit the form at its place", to_utf8(u.character)));
    for (Way& way : ways_) take(way, unit);
    if (std::exchange(used_[unit], 1) == 0)
      for (const std::uint8_t reading : u.readings) --unused_[reading];
    const std::string& marks = form_->lines[line_].marks[place_];
    for (std::size_t i = 0; i < marks.size(); i += utf8_length(marks[i]))
      marks_.insert(marks_.begin(), units_->find(decode_utf8(marks.data() + i).value));
    if (++place_ < form_->lines[line_].length) return;
  }
  if (!marks_.empty() || place_ < form_->lines[line_].length) return;
  ++line_;
  place_ = 0;
  begin_line();
}

}  // namespace mnemo
