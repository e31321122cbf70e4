// Poems that keep their form, because units that would break it are never chosen.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "decode/constraint.h"
#include "decode/poem_form.h"

namespace mnemo {

/// Unified ideographs, including the compatibility ones and those of the supplementary planes.
bool is_ideograph(char32_t c);

/// A vocabulary's characters with their tones and rhymes.
class PoemUnits {
 public:
  /// `texts` [V] are the units' texts; `table` must outlive this object.
  PoemUnits(const std::vector<std::string_view>& texts, const RhymeTable& table);

  struct Unit {
    char32_t character = 0;  ///< 0: not one Chinese character
    Tones tones = 0;
    std::span<const std::uint8_t> readings;
    bool doubtful = false;  ///< without a tone, as the characters it may stand for have none in common
  };
  /// With the tones and readings that each has for every character it may stand for.
  const std::vector<Unit>& units() const { return units_; }
  /// With those of any character it may stand for.
  const std::vector<Unit>& units_of_poet() const { return of_poet_; }
  const RhymeTable& table() const { return table_; }
  /// The unit of that character, or -1.
  std::int32_t find(char32_t code_point) const;
  /// How many units have each class.
  const std::vector<int>& count() const { return count_; }

 private:
  const RhymeTable& table_;
  std::vector<Unit> units_, of_poet_;
  std::vector<int> count_;
  std::unordered_map<char32_t, std::int32_t> by_code_point_;
};

struct PoemOptions {
  /// The first characters of the poem's lines, or of every other line; empty: none.
  std::u32string acrostic;
  bool allow_repeats = false;  ///< a character may occur twice
};

/// The constraint of one poem. Lines, tones and rhyme follow the form: every variant of it that fits the text so far is
/// kept, and a rhyme only uses a class that has characters left for all places that need it. A character that may stand
/// for several others is allowed only where each of these is. Characters of the acrostic occur at their places and
/// nowhere else.
class PoemConstraint : public Constraint {
 public:
  /// `units` and `form` must outlive it. Throws Error if the form cannot be written: an acrostic whose length is not
  /// the number of lines or couplets, with a character that the vocabulary lacks, or with tones that no variant of the
  /// form allows there; no punctuation in the vocabulary; no rhyme class with enough characters.
  PoemConstraint(const PoemUnits& units, const PoemForm& form, const PoemOptions& options);

  std::unique_ptr<Constraint> clone() const override { return std::make_unique<PoemConstraint>(*this); }
  void block(std::span<std::uint8_t> blocked) const override;
  void note(std::int32_t unit) override;
  bool ended() const override { return line_ == std::ssize(form_->lines); }
  /// Whether the units noted are the poet's: then it is enough that one of the characters that a unit may stand for
  /// fits.
  void of_poet(bool on) { of_poet_ = on; }

 private:
  // A variant of the form that is still possible.
  struct Way {
    std::size_t alternative;
    std::vector<TonePattern> patterns;  // of this line, those that fit so far
    std::vector<RhymeKeys> keys;        // [rhymes] those still possible
  };

  bool accepts(const Way& way, std::int32_t unit, bool plenty = false) const;
  bool rhymes_left(const Way& way, std::span<const std::uint8_t> taken, int spare = 0) const;
  RhymeKeys keys_of(const Way& way, std::int32_t unit) const;
  int left(int rhyme, int key, Tones tone, std::span<const std::uint8_t> taken) const;
  void take(Way& way, std::int32_t unit) const;
  void begin_line();
  std::int32_t given() const;
  const PoemUnits::Unit& unit_of(std::int32_t unit) const {
    return (of_poet_ ? units_->units_of_poet() : units_->units())[unit];
  }
  Tones tones_of(std::int32_t unit) const;
  Tones tones_given(const PoemUnits::Unit& unit) const;
  const LineRule& rule(const Way& way) const { return form_->alternatives[way.alternative][line_]; }

  const PoemUnits* units_;
  const PoemForm* form_;
  bool allow_repeats_, of_poet_ = false;
  std::ptrdiff_t line_ = 0, place_ = 0;
  std::vector<std::int32_t> acrostic_;  // [lines] units, -1: free
  std::vector<std::int32_t> marks_;     // punctuation that comes next, in reverse
  std::vector<Way> ways_;
  std::vector<std::uint8_t> used_;  // [V]
  std::vector<int> unused_;         // [classes] units that have it
  // [alternative][line][rhyme]: places at level and at oblique tones from that line on.
  std::vector<std::vector<std::vector<std::array<int, 2>>>> needed_;
};

}  // namespace mnemo
