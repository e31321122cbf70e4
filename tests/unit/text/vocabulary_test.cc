#include "text/vocabulary.h"

#include <map>
#include <string>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/unit/text/helpers.h"

using mnemo::Error;
using mnemo::StringTable;
using mnemo::Vocabulary;
using mnemo::VocabularyBuilder;

namespace {

std::string contents(const Vocabulary& vocabulary) {
  std::string text;
  for (std::int32_t id = 0; id < vocabulary.size(); ++id)
    text += fmt::format("{}:{} ", vocabulary.text(id), vocabulary.count(id));
  return text;
}

Vocabulary example() {
  VocabularyBuilder builder;
  for (const char* token : {"b", "the", "a", "the", "b", "the", "rare", "<unk>", "中", "中", "new\nline", ""})
    builder.add(token);
  return builder.build(1, 0);
}

}  // namespace

TEST_CASE("FNV-1a has its published values") {
  CHECK(mnemo::fnv1a("") == 0x811c9dc5u);
  CHECK(mnemo::fnv1a("a") == 0xe40c292cu);
  CHECK(mnemo::fnv1a("foobar") == 0xbf9cf968u);
  CHECK(mnemo::fnv1a("bar", mnemo::fnv1a("foo")) == 0xbf9cf968u);
}

TEST_CASE("a string table behaves like a map") {
  StringTable table;
  std::map<std::string, std::int32_t> map;
  mnemo::RandomStream random(1, mnemo::Purpose::kTest);
  CHECK(table.find("x") == -1);
  for (int i = 0; i < 200000; ++i) {
    std::string text;
    for (auto n = random.below(4); n > 0; --n) text += static_cast<char>(random.below(20));
    const auto [place, fresh] = map.emplace(text, static_cast<std::int32_t>(map.size()));
    if (fresh && table.find(text) != -1) FAIL("found what was never inserted");
    if (table.insert(text) != place->second) FAIL("another number");
  }
  CHECK(table.size() == map.size());
  for (const auto& [text, index] : map) {
    CHECK(table.find(text) == index);
    CHECK(table.text(index) == text);
  }
}

TEST_CASE("strings with equal hashes are still different strings") {
  // Two of the many pairs that 32 bits cannot tell apart, found by trying.
  REQUIRE(mnemo::fnv1a("costarring") == mnemo::fnv1a("liquid"));
  StringTable table;
  CHECK(table.insert("costarring") == 0);
  CHECK(table.find("liquid") == -1);
  CHECK(table.insert("liquid") == 1);
  CHECK(table.find("costarring") == 0);
}

TEST_CASE("tokens are ordered by count, then by bytes") {
  CHECK(contents(example()) == "<unk>:1 the:3 b:2 中:2 :1 a:1 new\nline:1 rare:1 ");
}

TEST_CASE("rare tokens and those beyond the limit are unknown") {
  VocabularyBuilder builder;
  builder.add("a", 5);
  builder.add("b", 3);
  builder.add("c", 3);
  builder.add("d", 1);
  CHECK(builder.distinct() == 4);
  CHECK(contents(builder.build(2, 0)) == "<unk>:1 a:5 b:3 c:3 ");
  CHECK(contents(builder.build(1, 2)) == "<unk>:4 a:5 b:3 ");
  CHECK(contents(builder.build(9, 0)) == "<unk>:12 ");
  CHECK(contents(VocabularyBuilder().build(1, 0)) == "<unk>:0 ");
}

TEST_CASE("a token spelled <unk> is the unknown token") {
  const Vocabulary vocabulary = example();
  CHECK(vocabulary.find("<unk>") == Vocabulary::kUnknown);
  CHECK_FALSE(vocabulary.contains("<unk>"));
  CHECK(vocabulary.text(Vocabulary::kUnknown) == "<unk>");
  VocabularyBuilder builder;
  builder.add("<unk>", 100);
  builder.add("x");
  CHECK(contents(builder.build(1, 1)) == "<unk>:100 x:1 ");
}

TEST_CASE("find and text are inverse") {
  const Vocabulary vocabulary = example();
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) CHECK(vocabulary.find(vocabulary.text(id)) == id);
  CHECK(vocabulary.find("missing") == Vocabulary::kUnknown);
  CHECK(vocabulary.contains("the"));
  CHECK_FALSE(vocabulary.contains("missing"));
  CHECK(Vocabulary().find("x") == Vocabulary::kUnknown);
}

TEST_CASE("words can be added later") {
  Vocabulary vocabulary = example();
  const auto size = vocabulary.size();
  CHECK(vocabulary.add("pretrained") == size);
  CHECK(vocabulary.add("pretrained") == size);
  CHECK(vocabulary.add("the") == 1);
  CHECK(vocabulary.add("<unk>") == Vocabulary::kUnknown);
  CHECK(vocabulary.size() == size + 1);
  CHECK(vocabulary.count(size) == 0);
}

TEST_CASE("a vocabulary survives serialisation") {
  Vocabulary vocabulary = example();
  vocabulary.add(std::string(300, 'x'));
  for (int i = 0; i < 1000; ++i) vocabulary.add(fmt::format("word {}", i));
  const std::string bytes = vocabulary.serialize();
  const Vocabulary again = Vocabulary::parse(bytes);
  CHECK(contents(again) == contents(vocabulary));
  CHECK(again.serialize() == bytes);
  CHECK(contents(Vocabulary::parse(Vocabulary().serialize())) == "<unk>:0 ");
  VocabularyBuilder builder;
  builder.add("huge", ~std::uint64_t{0});
  CHECK(Vocabulary::parse(builder.build(1, 0).serialize()).count(1) == ~std::uint64_t{0});
}

TEST_CASE("damaged vocabularies are refused") {
  const std::string bytes = example().serialize();
  const auto after_magic = [](std::string_view rest) { return fmt::format("mnemo-vocabulary-1\n{}", rest); };
  const auto error = [](const std::string& damaged) { return message_of<Error>([&] { Vocabulary::parse(damaged); }); };
  for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_THAT(error(bytes.substr(0, n)), contains_text("damaged"));
  CHECK_THAT(error(bytes + "x"), contains_text("more bytes"));
  CHECK_THAT(error(after_magic(std::string("\x02\x00\x01\x01"
                                           "a\x01\x01"
                                           "a",
                                           8))),
             contains_text("repeated"));
  CHECK_THAT(error(after_magic(std::string("\x01\x00\x05\x01<unk>", 9))), contains_text("repeated"));
  CHECK_THAT(error(after_magic(std::string("\x01\x00\x01\x01\xFF", 5))), contains_text("not UTF-8"));
  CHECK_THAT(error(after_magic(std::string(10, '\xFF'))), contains_text("more than 64 bits"));
  CHECK_THAT(error(after_magic("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01")), contains_text("cut off"));
  CHECK_THAT(error(after_magic(std::string("\x01\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x01"
                                           "a",
                                           14))),
             contains_text("cut off"));
}

TEST_CASE("no flipped bit of a vocabulary does harm") {
  const std::string bytes = example().serialize();
  for (std::size_t i = 0; i < 8 * bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ (1 << i % 8));
    const auto message = message_of<Error>([&] {
      const Vocabulary vocabulary = Vocabulary::parse(damaged);
      CHECK(vocabulary.serialize() == damaged);
    });
    if (!message.empty()) CHECK_THAT(message, contains_text("the vocabulary is damaged"));
  }
}
