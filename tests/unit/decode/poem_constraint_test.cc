// Poems drawn at random under a constraint, from a vocabulary without a model, must pass the check of their form, also
// when characters are ambiguous; impossible forms are refused with the reason.
#include "decode/poem_constraint.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "tests/catch.h"
#include "text/utf8.h"

using namespace mnemo;
using Catch::Matchers::Contains;

namespace {

// The characters and punctuation: a vocabulary without a model.
struct Words {
  explicit Words(const std::u32string& characters) {
    texts.emplace_back("<unk>");
    std::set<char32_t> seen;
    for (const char32_t c : characters + U"，。、；\n") {
      if (!seen.insert(c).second) continue;
      texts.emplace_back();
      append_utf8(texts.back(), c);
    }
    for (const std::string& text : texts) views.push_back(text);
  }
  std::vector<std::string> texts;
  std::vector<std::string_view> views;
};

const RhymeTable& traditional(RhymeBook book) { return RhymeTable::of(book, Script::kTraditional); }

const std::u32string kCharacters =
    U"春夏秋冬東風同中空紅公工山間還關閑天年前邊煙田眠先月日水白落夜遠草鳥樹雨雪客路不一是有處上下坐看此望古酒愁樓流舟"
    U"州頭遊休留幽求花家斜沙霞茶清聲明城情生行名驚心深林音尋吟琴長香光陽霜鄉床涼望故國入去事少小老大我爾何人來開"
    U"董動孔洞桶總送夢鳳痛弄貢好寶草早島道到照笑少";

// A random poem.
std::string random_poem(const PoemConstraint& start, const Words& words, std::uint64_t seed) {
  const auto poem = start.clone();
  RandomStream random(seed, Purpose::kTest);
  std::string out;
  while (!poem->ended()) {
    std::vector<std::uint8_t> blocked(words.texts.size(), 0);
    blocked[0] = 1;
    poem->block(blocked);
    std::vector<std::int32_t> open;
    for (std::size_t v = 0; v < blocked.size(); ++v)
      if (!blocked[v]) open.push_back(static_cast<std::int32_t>(v));
    REQUIRE_FALSE(open.empty());
    const std::int32_t unit = open[random.below(open.size())];
    poem->note(unit);
    out += words.texts[static_cast<std::size_t>(unit)];
  }
  return out;
}

void check_random_poems(const std::string& form_name, RhymeBook book, ToneRule tones, const PoemOptions& options) {
  const Words words(kCharacters);
  const PoemUnits units(words.views, traditional(book));
  const PoemForm form = form_from_name(form_name, tones).value();
  const PoemConstraint start(units, form, options);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const std::string poem = random_poem(start, words, seed);
    INFO(form_name << ": " << poem);
    const PoemCheck check =
        check_poem(form, verse_lines(poem), traditional(book), options.allow_repeats, !options.acrostic.empty());
    CHECK((check.faults.empty() ? "" : check.faults[0].message) == "");
    for (std::size_t i = 0; i < options.acrostic.size(); ++i)
      CHECK(verse_lines(poem)[i * (form.lines.size() / options.acrostic.size())][0] == options.acrostic[i]);
  }
}

std::string message(const std::string& form_name, const std::u32string& characters, const PoemOptions& options) {
  const Words words(characters);
  const PoemUnits units(words.views, traditional(RhymeBook::kPingshui));
  const PoemForm form = form_from_name(form_name, ToneRule::kStrict).value();
  try {
    PoemConstraint(units, form, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("random poems keep their form") {
  for (const std::string form : {"五绝", "七绝", "五律", "七律"}) {
    for (const ToneRule tones : {ToneRule::kStrict, ToneRule::kLoose, ToneRule::kOff})
      check_random_poems(form, RhymeBook::kPingshui, tones, {});
    check_random_poems(form, RhymeBook::kXinyun, ToneRule::kStrict, {});
  }
  check_random_poems("五绝", RhymeBook::kPingshui, ToneRule::kStrict, {.acrostic = U"春夏秋冬"});
  check_random_poems("七绝", RhymeBook::kPingshui, ToneRule::kStrict, {.acrostic = U"春夏秋冬"});
  check_random_poems("七律", RhymeBook::kPingshui, ToneRule::kStrict, {.acrostic = U"春夏秋冬"});
  check_random_poems("五律", RhymeBook::kPingshui, ToneRule::kLoose, {.acrostic = U"山月水花風雨雪天"});
}

TEST_CASE("random poems to tunes keep their pattern, with mixed and changing rhymes too") {
  for (const std::string tune : {"浣溪沙", "菩萨蛮", "西江月", "蝶恋花", "减字木兰花"})
    check_random_poems(tune, RhymeBook::kCilin, ToneRule::kStrict, {.acrostic = {}, .allow_repeats = true});
}

TEST_CASE("a rhyme is only chosen if enough characters are left") {
  // 東風同: three that rhyme with one another, the most that two couplets and a first line need; 山 alone.
  const Words words(U"東風同山月日水白落夜遠草鳥樹雨雪客路天年前邊煙田");
  const PoemUnits units(words.views, traditional(RhymeBook::kPingshui));
  const PoemForm form = form_from_name("五绝", ToneRule::kStrict).value();
  const PoemConstraint start(units, form, {});
  for (std::uint64_t seed = 0; seed < 200; ++seed)
    CHECK(check_poem(form, verse_lines(random_poem(start, words, seed)), units.table(), false).faults.empty());
}

namespace {

// The characters that those of simplified texts may stand for.
const std::vector<std::pair<char32_t, std::u32string>> kMerged{
    {U'征', U"征徵"}, {U'累', U"累纍"},     {U'种', U"种種"}, {U'几', U"几幾"},   {U'干', U"干乾幹"}, {U'宁', U"宁寧"},
    {U'离', U"离離"}, {U'蒙', U"蒙矇濛懞"}, {U'划', U"划劃"}, {U'机', U"机機"},   {U'卷', U"卷捲"},   {U'据', U"据據"},
    {U'台', U"台臺"}, {U'丰', U"丰豐"},     {U'谷', U"谷穀"}, {U'复', U"復複覆"}, {U'沈', U"沈瀋"},   {U'听', U"听聽"}};

std::u32string merged_characters() {
  std::u32string out;
  for (const auto& [character, forms] : kMerged) out += character;
  return out;
}

// Poems from a vocabulary with merged characters are right by the traditional table, whatever these stand for.
void check_every_form(const std::string& form_name, const PoemOptions& options) {
  const Words words(kCharacters + merged_characters());
  const PoemUnits units(words.views, RhymeTable::of(RhymeBook::kPingshui, Script::kSimplified));
  const PoemForm form = form_from_name(form_name, ToneRule::kStrict).value();
  const PoemConstraint start(units, form, options);
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const std::string poem = random_poem(start, words, seed);
    for (std::size_t which = 0; which < 4; ++which) {
      std::vector<std::u32string> lines = verse_lines(poem);
      for (std::u32string& line : lines)
        for (std::size_t i = 0; i < line.size(); ++i)
          for (const auto& [character, forms] : kMerged)
            // First characters that the poet gave are free where the pattern is.
            if (line[i] == character && (i > 0 || options.acrostic.empty())) line[i] = forms[which % forms.size()];
      const PoemCheck check =
          check_poem(form, lines, traditional(RhymeBook::kPingshui), true, !options.acrostic.empty());
      INFO(poem << " with old form " << which);
      CHECK((check.faults.empty() ? "" : check.faults[0].message) == "");
    }
  }
}

}  // namespace

TEST_CASE("in a simplified text a poem is right whatever its merged characters stand for") {
  for (const std::string form : {"五绝", "七绝", "五律", "七律"}) check_every_form(form, {});
}

TEST_CASE("in a traditional text merged characters are allowed where their own tone is") {
  const Words words(kCharacters + merged_characters());
  const PoemUnits units(words.views, traditional(RhymeBook::kPingshui));
  const PoemForm form = parse_tune("试\n仄中平A，平中平A。\n", "f", ToneRule::kStrict);
  const PoemConstraint start(units, form, {});
  std::vector<std::uint8_t> blocked(words.texts.size(), 0);
  start.block(blocked);
  const auto open = [&](char32_t c) { return blocked[static_cast<std::size_t>(units.find(c))] == 0; };
  for (const char32_t c : {U'累', U'几', U'宁', U'看'}) CHECK(open(c));
  for (const char32_t c : {U'征', U'种', U'干', U'离', U'蒙', U'划'}) CHECK_FALSE(open(c));
}

TEST_CASE("a character that the poet gives may be any of those it may stand for") {
  // 机 is 機, which rhymes with 飛, or 机, which is oblique or rhymes with 枝.
  const Words words(U"机飛歸衣枝春夏秋冬东风月日水白落夜");
  const PoemUnits units(words.views, RhymeTable::of(RhymeBook::kPingshui, Script::kSimplified));
  const PoemForm form = parse_tune("试\n平A，平A。\n", "f", ToneRule::kStrict);
  PoemConstraint poem(units, form, {});
  const auto open = [&](char32_t c) {
    std::vector<std::uint8_t> blocked(words.texts.size(), 0);
    poem.block(blocked);
    return blocked[static_cast<std::size_t>(units.find(c))] == 0;
  };
  CHECK_FALSE(open(U'机'));
  poem.of_poet(true);
  CHECK(open(U'机'));
  poem.note(units.find(U'机'));
  poem.of_poet(false);
  poem.note(units.find(U'，'));
  CHECK(open(U'飛'));
  CHECK_FALSE(open(U'春'));
}

TEST_CASE("a first character that may be level or oblique is compensated for, or refused in a tune") {
  const Words words(kCharacters + U"种種几幾");
  const PoemUnits units(words.views, RhymeTable::of(RhymeBook::kPingshui, Script::kSimplified));
  const PoemForm strict = form_from_name("五绝", ToneRule::kStrict).value();
  const PoemForm loose = form_from_name("五绝", ToneRule::kLoose).value();
  const PoemConstraint start(units, strict, {.acrostic = U"春种秋几"});
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    std::vector<std::u32string> lines = verse_lines(random_poem(start, words, seed));
    INFO(to_utf8(lines[1]) << to_utf8(lines[3]));
    // Oblique, then level: no lone level tone in either line that rhymes.
    lines[1][0] = U'種';
    CHECK(check_poem(strict, lines, traditional(RhymeBook::kPingshui), true, true).faults.empty());
    lines[1][0] = U'种';
    lines[3][0] = U'幾';
    CHECK(check_poem(loose, lines, traditional(RhymeBook::kPingshui), true, true).faults.empty());
  }
  const PoemForm tune = parse_tune("试\n平中平A，平中平A。\n", "f", ToneRule::kStrict);
  try {
    PoemConstraint(units, tune, {.acrostic = U"种春"});
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK_THAT(std::string(error.what()), Contains("种 may stand for characters of different tones"));
  }
}

TEST_CASE("forms that cannot be written are refused with the reason") {
  CHECK_THAT(message("五绝", kCharacters, {.acrostic = U"春夏秋冬春"}),
             Contains("5 characters") && Contains("4 lines"));
  CHECK_THAT(message("五绝", kCharacters, {.acrostic = U"春夏秋龘"}), Contains("龘"));
  CHECK_THAT(message("五绝", U"月日水白落夜遠草鳥樹", {}), Contains("no rhyme has enough characters"));
  const std::vector<std::string_view> no_marks{"<unk>", "東", "風", "月"};
  const PoemUnits units(no_marks, traditional(RhymeBook::kPingshui));
  const PoemForm form = form_from_name("五绝", ToneRule::kStrict).value();
  CHECK_THROWS_AS(PoemConstraint(units, form, {}), Error);
}
