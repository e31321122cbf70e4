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

const std::u32string kCharacters =
    U"春夏秋冬東風同中空紅公工山間還關閑天年前邊煙田眠先月日水白落夜遠草鳥樹雨雪客路不一是有處上下坐看此望古酒愁樓流舟"
    U"州頭遊休留幽求花家斜沙霞茶清聲明城情生行名驚心深林音尋吟琴長香光陽霜鄉床涼望故國入去事少小老大我爾何人來開"
    U"董動孔洞桶總送夢鳳痛弄貢好寶草早島道到照笑少";

// Poems by chance.
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
  const PoemUnits units(words.views, book);
  const PoemForm form = form_from_name(form_name, tones).value();
  const PoemConstraint start(units, form, options);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const std::string poem = random_poem(start, words, seed);
    INFO(form_name << ": " << poem);
    const PoemCheck check = check_poem(form, verse_lines(poem), book, options.allow_repeats, !options.acrostic.empty());
    CHECK((check.faults.empty() ? "" : check.faults[0].message) == "");
    for (std::size_t i = 0; i < options.acrostic.size(); ++i)
      CHECK(verse_lines(poem)[i * (form.lines.size() / options.acrostic.size())][0] == options.acrostic[i]);
  }
}

std::string message(const std::string& form_name, const std::u32string& characters, const PoemOptions& options) {
  const Words words(characters);
  const PoemUnits units(words.views, RhymeBook::kPingshui);
  const PoemForm form = form_from_name(form_name, ToneRule::kStrict).value();
  try {
    PoemConstraint(units, form, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("poems by chance keep their form") {
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

TEST_CASE("tunes by chance keep their pattern, mixed and changing rhymes too") {
  for (const std::string tune : {"浣溪沙", "菩萨蛮", "西江月", "蝶恋花", "减字木兰花"})
    check_random_poems(tune, RhymeBook::kCilin, ToneRule::kStrict, {.acrostic = {}, .allow_repeats = true});
}

TEST_CASE("a rhyme goes only where enough characters are left") {
  // 東風同: three that rhyme with one another, as many as two couplets and a first line need at the most; 山 alone.
  const Words words(U"東風同山月日水白落夜遠草鳥樹雨雪客路天年前邊煙田");
  const PoemUnits units(words.views, RhymeBook::kPingshui);
  const PoemForm form = form_from_name("五绝", ToneRule::kStrict).value();
  const PoemConstraint start(units, form, {});
  for (std::uint64_t seed = 0; seed < 200; ++seed)
    CHECK(check_poem(form, verse_lines(random_poem(start, words, seed)), RhymeBook::kPingshui, false).faults.empty());
}

TEST_CASE("forms that cannot be written are refused with the reason") {
  CHECK_THAT(message("五绝", kCharacters, {.acrostic = U"春夏秋冬春"}),
             Contains("5 characters") && Contains("4 lines"));
  CHECK_THAT(message("五绝", kCharacters, {.acrostic = U"春夏秋龘"}), Contains("龘"));
  CHECK_THAT(message("五绝", U"月日水白落夜遠草鳥樹", {}), Contains("no rhyme has enough characters"));
  const std::vector<std::string_view> no_marks{"<unk>", "東", "風", "月"};
  const PoemUnits units(no_marks, RhymeBook::kPingshui);
  const PoemForm form = form_from_name("五绝", ToneRule::kStrict).value();
  CHECK_THROWS_AS(PoemConstraint(units, form, {}), Error);
}
