#include "text/subwords.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "tests/catch.h"
#include "tests/places.h"
#include "tests/unit/text/helpers.h"
#include "text/script.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

using namespace mnemo;

namespace {

using Words = std::map<std::string, std::uint64_t>;

std::vector<std::string> lines_of_file(const std::string& path) {
  std::vector<std::string> out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) out.push_back(line);
  return out;
}

std::vector<std::string> characters(std::string_view word) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < word.size(); at += utf8_length(word[at]))
    out.emplace_back(word.substr(at, utf8_length(word[at])));
  return out;
}

std::vector<Merge> learn(const std::vector<std::pair<std::vector<std::string>, std::uint64_t>>& words, std::size_t most,
                         std::uint64_t least) {
  PieceCounts counts;
  for (const auto& [pieces, count] : words) counts.add({pieces.begin(), pieces.end()}, count);
  return learn_merges(counts, most, least);
}

// Counts all pairs anew before each merge.
std::vector<Merge> learn_slowly(std::vector<std::pair<std::vector<std::string>, std::uint64_t>> words, std::size_t most,
                                std::uint64_t least) {
  std::vector<Merge> out;
  while (out.size() < most) {
    std::map<std::pair<std::string, std::string>, std::uint64_t> counts;
    for (const auto& [word, count] : words)
      for (std::size_t i = 0; i + 1 < word.size(); ++i) counts[{word[i], word[i + 1]}] += count;
    std::uint64_t highest = 0;
    std::pair<std::string, std::string> best;
    for (const auto& [pair, count] : counts)
      if (count >= highest) highest = count, best = pair;  // pairs ascend: the last of equals is the greatest
    if (highest < least || counts.empty()) break;
    out.push_back({best.first, best.second});
    for (auto& [word, count] : words)
      for (std::size_t i = 0; i + 1 < word.size(); ++i)
        if (word[i] == best.first && word[i + 1] == best.second) {
          word[i] += word[i + 1];
          word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
  }
  return out;
}

std::vector<std::string> cut(const Subwords& subwords, std::string_view word, const MergeDropout& dropout = {}) {
  std::vector<Piece> pieces;
  SubwordMemory memory;
  subwords.cut(word, pieces, memory, dropout);
  std::vector<std::string> out;
  std::size_t begin = 0;
  for (const Piece& piece : pieces) {
    out.emplace_back(word.substr(begin, piece.end - begin));
    begin = piece.end;
  }
  return out;
}

// Merges, learnt from the words of lines, and the vocabulary of pieces that occur at least `least` times.
struct Learnt {
  std::shared_ptr<Subwords> subwords;
  Vocabulary vocabulary;
};

Learnt learn_from(const std::vector<std::string>& lines, std::size_t most, std::uint64_t least) {
  const TokenizerOptions options{.unit = Unit::kSubword};
  Words words;
  Tokens tokens;
  for (const std::string& line : lines) {
    Tokenizer(options).tokenize(line, tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i) ++words[std::string(tokens.text(i))];
  }
  PieceCounts counts;
  for (const auto& [word, count] : words) {
    const std::vector<std::string> all = characters(word);
    counts.add({all.begin(), all.end()}, count);
  }
  Learnt out{std::make_shared<Subwords>(learn_merges(counts, most)), {}};
  VocabularyBuilder builder;
  for (const auto& [word, count] : words)
    for (const std::string& piece : cut(*out.subwords, word)) builder.add(piece, count);
  out.vocabulary = builder.build(least, 0);
  out.subwords->limit_to(out.vocabulary);
  return out;
}

std::string joined(const Tokens& tokens) {
  PieceJoiner joiner;
  std::string out;
  for (std::size_t i = 0; i < tokens.size(); ++i) out += joiner.add(tokens.text(i));
  return out + joiner.end();
}

std::vector<std::string> sample_lines() {
  std::vector<std::string> out;
  for (const char* file : {"reviews-en", "reviews-zh"})
    for (const std::string& line : lines_of_file(source_folder() + "/data/" + file + "/dev.tsv"))
      out.push_back(line.substr(line.find('\t') + 1));
  return out;
}

}  // namespace

TEST_CASE("merges and cuts are those of subword-nmt") {
  const Json golden = parse_json(read_file(source_folder() + "/tests/golden/subwords.json"));
  REQUIRE(golden["cases"].size() == 2);
  for (const Json& each : golden["cases"]) {
    INFO(each["file"]);
    // Its words end in a mark that belongs to the last character.
    Words words;
    for (const std::string& line : lines_of_file(source_folder() + "/data/" + each["file"].get<std::string>())) {
      const std::string text = line.substr(line.find('\t') + 1);
      for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(' ', begin), text.size());
        if (end > begin) ++words[text.substr(begin, end - begin)];
        begin = end + 1;
      }
    }
    std::vector<std::pair<std::vector<std::string>, std::uint64_t>> spelled;
    for (const auto& [word, count] : words) {
      spelled.emplace_back(characters(word), count);
      spelled.back().first.back() += "</w>";
    }
    std::vector<Merge> expected;
    for (const Json& pair : each["learnt"]) expected.push_back({pair[0], pair[1]});
    const std::vector<Merge> merges = learn(spelled, each["merges"], each["least"]);
    CHECK(merges == expected);

    // A last character with its mark is one code point of the private area here.
    std::map<std::string, std::string> stand_ins;
    const auto stand_in = [&](std::string piece) {
      if (!piece.ends_with("</w>")) return piece;
      piece.resize(piece.size() - 4);
      std::vector<std::string> all = characters(piece);
      const auto found = stand_ins.try_emplace(all.back(), to_utf8(0xF0000 + static_cast<char32_t>(stand_ins.size())));
      all.back() = found.first->second;
      std::string out;
      for (const std::string& c : all) out += c;
      return out;
    };
    std::vector<Merge> marked;
    for (const Merge& merge : merges) marked.push_back({stand_in(merge.left), stand_in(merge.right)});
    const Subwords subwords(marked);
    std::size_t wrong = 0;
    for (const Json& pieces : each["cut"]) {
      std::string word;
      for (const Json& piece : pieces) word += piece.get<std::string>();
      std::vector<std::string> wanted = pieces;
      wanted.back() = stand_in(wanted.back() + "</w>");
      wrong += cut(subwords, stand_in(word + "</w>")) != wanted;
    }
    CHECK(each["cut"].size() > 70);
    CHECK(wrong == 0);
  }
}

TEST_CASE("merges are those of counting all pairs anew each time, whatever the order of the words") {
  RandomStream random(3, Purpose::kTest);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::pair<std::vector<std::string>, std::uint64_t>> words;
    std::set<std::string> seen;
    const auto letters = 1 + random.below(4), number = 1 + random.below(12);
    while (words.size() < number) {
      std::string word;
      for (auto length = 1 + random.below(12); length > 0; --length)
        word +=
            random.below(8) == 0 ? std::string("好") : std::string(1, static_cast<char>('a' + random.below(letters)));
      if (seen.insert(word).second) words.emplace_back(characters(word), 1 + random.below(5));
    }
    const std::vector<Merge> expected = learn_slowly(words, 40, 2);
    CHECK(learn(words, 40, 2) == expected);
    random.shuffle(words);
    CHECK(learn(words, 40, 2) == expected);
  }
  CHECK(learn({}, 10, 2).empty());
  CHECK(learn({{{"a", "b"}, 1}}, 10, 2).empty());
}

TEST_CASE("units join to the line again, whatever it holds") {
  const auto lines = sample_lines();
  const Learnt learnt = learn_from(lines, 600, 3);
  const Tokenizer tokenizer({.unit = Unit::kSubword, .normalize = Normalization::kNone}, learnt.subwords);
  Tokens tokens;
  std::size_t bytes = 0;
  const auto check = [&](const std::string& line) {
    tokenizer.tokenize(line, tokens);
    INFO(line);
    CHECK(joined(tokens) == line);
    std::size_t begin = 0, end = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const bool byte = byte_of_unit(tokens.text(i)).has_value();
      bytes += byte;
      if (!byte && !learnt.vocabulary.contains(tokens.text(i))) FAIL(tokens.text(i));
      if (tokens.begin(i) < begin || tokens.end(i) < end || tokens.end(i) > line.size()) FAIL(tokens.text(i));
      begin = tokens.begin(i), end = tokens.end(i);
    }
    if (!line.empty()) CHECK(end == line.size());
  };
  for (const std::string& line : lines) check(line);
  for (const char* line :
       {"", " ", "  ", " a", "a ", "a  b", "\t", "\xC2\xA0", "<unk>", "<0xE4>", "▁", "e\xCC\x81",
        "𝔘👩‍👩‍👧🇩🇪", "日本語とカタカナー", "中文English混合123。", "नमस्ते", "\xF4\x8F\xBF\xBF"})
    check(line);
  RandomStream random(5, Purpose::kTest);
  for (int round = 0; round < 300; ++round) {
    std::string line;
    for (auto length = random.below(30); length > 0; --length) {
      const auto value = random.below(3) == 0 ? random.below(0x110000) : 0x20 + random.below(0x60);
      if (value < 0xD800 || value > 0xDFFF) append_utf8(line, static_cast<char32_t>(value));
    }
    check(line);
  }
  CHECK(bytes > 100);
}

TEST_CASE("pieces stand where they came from, also in a line that normalising and folding changed") {
  const std::vector<std::string> lines(3, "İstanbul'da CAFE\xCC\x81 ﬁnal ẞ 12 x");
  TokenizerOptions options{
      .unit = Unit::kSubword, .normalize = Normalization::kNfkc, .lowercase = true, .zero_digits = true};
  const std::string& line = lines[0];
  const Subwords characters_alone{std::vector<Merge>{}};
  Tokens tokens;
  Tokenizer(options, std::make_shared<Subwords>(characters_alone)).tokenize(line, tokens);
  std::string found;
  for (std::size_t i = 0; i < tokens.size(); ++i)
    found += std::string(tokens.text(i)) + "=" + line.substr(tokens.begin(i), tokens.end(i) - tokens.begin(i)) + "|";
  CHECK(found ==
        " =|i=İ|s=s|t=t|a=a|n=n|b=b|u=u|l=l|'='|d=d|a=a| = |c=C|a=A|f=F|é=E\xCC\x81| = |f=ﬁ|i=ﬁ|n=n|a=a|l=l| = |ß=ẞ| "
        "= |0=1|0=2| = |x=x|");
}

TEST_CASE("no piece has letters of two scripts, or letters and digits") {
  const Learnt learnt = learn_from(std::vector<std::string>(50, "abc中文abc中文 12km カタカナひらがな a,b жx"), 500, 1);
  std::size_t letters = 0;
  for (std::int32_t id = 1; id < learnt.vocabulary.size(); ++id) {
    std::set<int> classes;
    for (const char32_t c : to_code_points(learnt.vocabulary.text(id)))
      if (c != U' ') classes.insert(character_class(c));
    classes.erase(kJoiningMark);
    INFO(learnt.vocabulary.text(id));
    CHECK(classes.size() <= 1);
    letters += classes.size();
  }
  CHECK(letters > 10);
}

TEST_CASE("words of subwords end at blanks, at another script and at punctuation") {
  const auto words = [](std::string_view text) {
    std::vector<std::string> out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = subword_word_end(text, at);
      out.emplace_back(text.substr(at, end - at));
      at = end;
    }
    return out;
  };
  using List = std::vector<std::string>;
  CHECK(words(" ab cd") == List{" ab", " cd"});
  CHECK(words("ab   cd  ") == List{"ab", "  ", " cd", "  "});
  CHECK(words("don't") == List{"don", "'", "t"});
  CHECK(words("3.5km, x") == List{"3", ".", "5", "km", ",", " x"});
  CHECK(words("中文ab日本カナー") == List{"中文", "ab", "日本", "カナー"});
  CHECK(words("e\xCC\x81 \xCC\x81z") == List{"e\xCC\x81", " \xCC\x81z"});
  CHECK(words("a\tb\xC2\xA0") == List{"a", "\t", "b", "\xC2\xA0"});
}

TEST_CASE("a piece that is no unit is cut into those that were merged, and a character into its bytes") {
  Subwords subwords({{"a", "b"}, {"ab", "c"}, {"abc", "d"}});
  CHECK(cut(subwords, "abcdabc") == std::vector<std::string>{"abcd", "abc"});
  Vocabulary vocabulary;
  for (const char* piece : {"ab", "c", "abcd"}) vocabulary.add(piece);
  subwords.limit_to(vocabulary);
  CHECK(cut(subwords, "abcdabc") == std::vector<std::string>{"abcd", "ab", "c"});
  CHECK(cut(subwords, "a好") == std::vector<std::string>{"a", "\xE5", "\xA5", "\xBD"});
  std::vector<Piece> pieces;
  SubwordMemory memory;
  subwords.cut("c好", pieces, memory);
  REQUIRE(pieces.size() == 4);
  CHECK_FALSE(pieces[0].byte);
  CHECK(pieces[3].byte);
  CHECK(byte_unit(0xE4) == "<0xE4>");
  for (int byte = 0; byte < 256; ++byte)
    CHECK(byte_of_unit(byte_unit(static_cast<unsigned char>(byte))) == static_cast<unsigned char>(byte));
  for (const char* other : {"", "<0xE4", "<0xe4>", "<0xG0>", "<0x100>", "a<0xE4>"}) CHECK_FALSE(byte_of_unit(other));
}

TEST_CASE("bytes that are no character become one replacement character, and the text goes on") {
  PieceJoiner joiner;
  std::string out;
  for (const char* unit : {" a", "<0xE5>", "<0xA5>", " b", "<0xFF>", "<0xE5>", "<0xA5>", "<0xBD>", "<0xE5>"})
    out += joiner.add(unit);
  out += joiner.end();
  CHECK(out == "a\xEF\xBF\xBD b\xEF\xBF\xBD好\xEF\xBF\xBD");
  CHECK(joiner.add(" next") == "next");
}

TEST_CASE("merges left out at random still give the word, and the same ones for the same stream") {
  const Learnt learnt = learn_from(sample_lines(), 600, 1);
  const auto with_rate = [&](double rate, std::uint64_t line) {
    RandomStream random(1, Purpose::kSubword, line, 2);
    std::string out;
    for (const char* word : {" wonderful", " restaurant", " disappointing"})
      for (const std::string& piece : cut(*learnt.subwords, word, {rate, &random})) out += piece + "|";
    return out;
  };
  const auto plain = [](std::string text) {
    std::erase(text, '|');
    return text;
  };
  std::set<std::string> different;
  for (std::uint64_t line = 0; line < 20; ++line) {
    different.insert(with_rate(0.3, line));
    CHECK(plain(with_rate(0.3, line)) == " wonderful restaurant disappointing");
    CHECK(with_rate(0.3, line) == with_rate(0.3, line));
  }
  CHECK(different.size() > 10);
  CHECK(with_rate(0, 1) == with_rate(0, 2));
  const std::string all = with_rate(1, 1);
  CHECK(std::count(all.begin(), all.end(), '|') == 35);
}

TEST_CASE("a very long word is cut in time that is not quadratic") {
  // A million characters: trying every merge at every place would take hours.
  const Subwords subwords({{"a", "b"}, {"ab", "ab"}});
  std::string word;
  for (int i = 0; i < 500'000; ++i) word += "ab";
  CHECK(cut(subwords, word).size() == 250'000);
}

TEST_CASE("stored merges are read again, and damaged ones are refused") {
  const Learnt learnt = learn_from(sample_lines(), 300, 1);
  const std::string bytes = learnt.subwords->serialize();
  const Subwords back = Subwords::parse(bytes);
  CHECK(back.serialize() == bytes);
  for (const char* word : {" wonderful", " 房间很好", "zzz"}) CHECK(cut(back, word) == cut(*learnt.subwords, word));
  for (std::size_t size = 0; size < bytes.size(); size += 7)
    CHECK_THROWS_AS(Subwords::parse(bytes.substr(0, size)), Error);
  CHECK_THROWS_AS(Subwords::parse(bytes + "x"), Error);
  CHECK_THROWS_WITH(Subwords::parse("mnemo-subwords-1\n\x01\x80\x80\x44\x61"), contains_text("not made before"));
  // Each merge doubles the last piece: 2^40 bytes if it were believed.
  std::string doubling = "mnemo-subwords-1\n\x28";
  doubling += "aa";
  for (std::uint32_t i = 0; i < 39; ++i) {
    for (int twice = 0; twice < 2; ++twice) {
      std::uint32_t value = 0x110000 + i;
      for (; value >= 0x80; value >>= 7) doubling += static_cast<char>(value | 0x80);
      doubling += static_cast<char>(value);
    }
  }
  CHECK_THROWS_WITH(Subwords::parse(doubling), contains_text("too long"));
}
