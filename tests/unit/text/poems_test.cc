#include "text/poems.h"

#include "base/error.h"
#include "base/file.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

using namespace mnemo;
using Catch::Matchers::Contains;

namespace {

struct Read {
  std::vector<Poem> poems;
  PoemCounts counts;
};

Read read(const std::string& json) {
  const TemporaryFolder folder;
  write_file(folder / "p.json", json);
  LineReader lines(folder / "p.json", InvalidUtf8::kError);
  Read out;
  out.poems = read_poems(lines, out.counts);
  return out;
}

std::string message(const std::string& json) {
  try {
    read(json);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("poems: titles, authors, forms and bodies of a collection") {
  const Read r = read(R"([
    {"author": "李白", "title": "靜夜思", "paragraphs": ["牀前看月光，疑是地上霜。", "舉頭望山月，低頭思故鄉。"], "id": "1", "tags": ["a"]},
    {"author": "蘇軾", "rhythmic": "水调歌头", "paragraphs": ["明月几时有，把酒问青天。"]},
    {"title": null, "paragraphs": ["一二三四五，", "一二三四五六七。"]}])");
  REQUIRE(r.poems.size() == 3);
  CHECK(r.poems[0].author == "李白");
  CHECK(r.poems[0].title == "靜夜思");
  CHECK(r.poems[0].form == "五绝");
  CHECK(r.poems[0].body == "牀前看月光，疑是地上霜。\n舉頭望山月，低頭思故鄉。");
  CHECK(r.poems[1].form == "水调歌头");
  CHECK(r.poems[1].title.empty());
  CHECK(r.poems[2].form == "杂言");
  CHECK(r.counts.poems == 3);
}

TEST_CASE("poems: editors' marks are dropped and counted, and poems with gaps are left out") {
  const Read r = read(R"([
    {"paragraphs": ["[爽]節在重九，物華（一作「物」）新雨餘。"]},
    {"paragraphs": ["冰□已鏤津。"]},
    {"paragraphs": ["軍中囗囗端。"]},
    {"paragraphs": ["疲{艹/尔}竟何人。"]},
    {"paragraphs": []},
    {"paragraphs": ["（全闕）"]}])");
  REQUIRE(r.poems.size() == 1);
  CHECK(r.poems[0].body == "爽節在重九，物華新雨餘。");
  CHECK(r.counts.marks == 2);
  CHECK(r.counts.notes == 2);
  CHECK(r.counts.gaps == 3);
  CHECK(r.counts.empty == 2);
}

TEST_CASE("poems: an invalid collection is refused with file and poem") {
  CHECK_THAT(message("{"), Contains("p.json:2: not valid JSON"));
  CHECK_THAT(message("{}"), Contains("p.json: not a collection of poems: expected an array, found an object"));
  CHECK_THAT(message("[1]"), Contains("poem 1: expected an object, found a number"));
  CHECK_THAT(message(R"([{"paragraphs": ["a"]}, {"title": "x"}])"), Contains("poem 2: no key \"paragraphs\""));
  CHECK_THAT(message(R"([{"paragraphs": "a"}])"), Contains("\"paragraphs\" is a string, expected an array"));
  CHECK_THAT(message(R"([{"paragraphs": [1]}])"), Contains("a paragraph is a number"));
  CHECK_THAT(message(R"([{"paragraphs": ["a"], "author": 5}])"), Contains("\"author\" is a number"));
}

TEST_CASE("lines of verse end at punctuation and line breaks, but not at a pause") {
  CHECK(verse_lines("中仄、平。\n\n平，平") == std::vector<std::u32string>{U"中仄平", U"平", U"平"});
  CHECK(verse_lines("").empty());
  CHECK(form_by_lines("") == "杂言");
  CHECK(form_by_lines("一二三四五，一二三四五。") == "五言");
  CHECK(form_by_lines("一二三四五六七，一二三四五六七。一二三四五六七，一二三四五六七。") == "七绝");
}
