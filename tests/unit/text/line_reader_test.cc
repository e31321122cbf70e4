#include "text/line_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unit/text/helpers.h"
#include "text/tokenizer.h"

using mnemo::Error;
using mnemo::InvalidUtf8;
using mnemo::LineReader;
using mnemo::Tokenizer;
using mnemo::Tokens;
using mnemo::Unit;

namespace {

using Lines = std::vector<std::string>;

Lines all_lines(LineReader& reader) {
  Lines lines;
  for (std::string line; reader.next(line);) lines.push_back(line);
  CHECK(reader.line_number() == lines.size());
  return lines;
}

Lines lines_of(const std::string& bytes, InvalidUtf8 policy = InvalidUtf8::kError) {
  auto reader = LineReader::from_memory("memory", bytes, policy);
  return all_lines(reader);
}

std::string error_of(const std::string& bytes) {
  return message_of<Error>([&] { lines_of(bytes); });
}

// A pipe whose reading end has a path.
class Pipe {
 public:
  Pipe() { REQUIRE(pipe(ends_) == 0); }
  ~Pipe() {
    close_writer();
    ::close(ends_[0]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  std::string path() const { return "/dev/fd/" + std::to_string(ends_[0]); }
  int reader() const { return ends_[0]; }
  void write(const std::string& bytes) {
    REQUIRE(::write(ends_[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  void close_writer() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  int ends_[2];
};

}  // namespace

TEST_CASE("lines end at LF or at the end of the input") {
  CHECK(lines_of("").empty());
  CHECK(lines_of("a") == Lines{"a"});
  CHECK(lines_of("a\n") == Lines{"a"});
  CHECK(lines_of("a\n\n") == Lines{"a", ""});
  CHECK(lines_of("\n") == Lines{""});
  CHECK(lines_of("a\nb") == Lines{"a", "b"});
  CHECK_THROWS_WITH(lines_of(std::string("a\0b\n", 4)), contains_text("memory:1:2: a NUL byte"));
}

TEST_CASE("CRLF ends a line and is counted, and other CRs are characters") {
  auto reader = LineReader::from_memory("memory", "a\r\nb\nc\rd\r\r\n\r\ne\r", InvalidUtf8::kError);
  CHECK(all_lines(reader) == Lines{"a", "b", "c\rd\r", "", "e\r"});
  CHECK(reader.crlf_lines() == 3);
}

TEST_CASE("a byte order mark is removed at the start of any line") {
  auto reader = LineReader::from_memory("memory", "\uFEFFa\n\uFEFFb\n", InvalidUtf8::kError);
  CHECK(all_lines(reader) == Lines{"a", "b"});
  CHECK(reader.had_bom());
  auto twice = LineReader::from_memory("memory", "\uFEFF\uFEFFa", InvalidUtf8::kError);
  CHECK(all_lines(twice) == Lines{"a"});
  CHECK(lines_of("\uFEFF").empty());
  CHECK(lines_of("\uFEFF\n") == Lines{""});
  auto without = LineReader::from_memory("memory", "a", InvalidUtf8::kError);
  all_lines(without);
  CHECK_FALSE(without.had_bom());
}

TEST_CASE("invalid UTF-8 is an error with line and column") {
  const auto message = error_of("gut\n中文 \xC3\x28 x\n");
  CHECK_THAT(message, contains_text("memory:2:4: invalid UTF-8 (bytes 0xC3 0x28)"));
  CHECK_THAT(message, contains_text("--invalid-utf8"));
  CHECK_THAT(error_of("\xFF"), contains_text("memory:1:1: invalid UTF-8 (bytes 0xFF);"));
  CHECK_THAT(error_of("ab\xE4\xB8"), contains_text("memory:1:3: invalid UTF-8 (bytes 0xE4 0xB8)"));
  CHECK_THAT(error_of("\uFEFFab\xFF"), contains_text("memory:1:3:"));
  CHECK_THAT(error_of(std::string("\xFF\xFE"
                                  "a\0",
                                  4)),
             contains_text("iconv -f UTF-16"));
}

TEST_CASE("invalid UTF-8 is replaced or skipped on request, and counted") {
  const std::string bytes =
      "a\xC3(\xF0\x9F\x98\n\xED\xA0\x80"
      "b\n\xE4\xB8\n";
  auto replacing = LineReader::from_memory("memory", bytes, InvalidUtf8::kReplace);
  CHECK(all_lines(replacing) == Lines{"a\uFFFD(\uFFFD", "\uFFFD\uFFFD\uFFFDb", "\uFFFD"});
  CHECK(replacing.invalid_sequences() == 6);
  auto skipping = LineReader::from_memory("memory", bytes, InvalidUtf8::kSkip);
  CHECK(all_lines(skipping) == Lines{"a(", "b", ""});
  CHECK(skipping.invalid_sequences() == 6);
}

TEST_CASE("a file of any size is read, and gzip data are recognised by their magic bytes") {
  const TemporaryFolder folder;
  std::string bytes;
  Lines expected;
  for (int i = 0; i < 50000; ++i) {
    expected.push_back(fmt::format("line {}{}", i, std::string(static_cast<std::size_t>(i % 50), 'x')));
    bytes += expected.back() + "\n";
  }
  write_file(folder / "plain.gz", bytes);  // the name does not matter
  write_file(folder / "packed", gzip(bytes));
  for (const char* name : {"plain.gz", "packed"}) {
    LineReader reader(folder / name, InvalidUtf8::kError);
    CHECK(all_lines(reader) == expected);
  }
}

TEST_CASE("gzip members in a row are one text, and zeros may follow") {
  CHECK(lines_of(gzip("a\nb") + gzip("c\n") + gzip("") + gzip("d")) == Lines{"a", "bc", "d"});
  CHECK(lines_of(gzip("a\n") + std::string(1000, '\0')) == Lines{"a"});
  CHECK(lines_of(gzip("")).empty());
}

TEST_CASE("damaged gzip data are an error with the line") {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i * 7919 % 10007) + "\n";
  const std::string packed = gzip(text);
  CHECK_THAT(error_of(packed.substr(0, packed.size() / 2)), contains_text("cut off"));
  CHECK_THAT(error_of(packed.substr(0, packed.size() - 1)), contains_text("memory:20001: the gzip data are cut off"));
  CHECK_THAT(error_of("\x1f\x8b"), contains_text("cut off"));
  std::string wrong_sum = packed;
  wrong_sum[wrong_sum.size() - 8] ^= 1;
  CHECK_THAT(error_of(wrong_sum), contains_text("damaged gzip data"));
  std::string wrong_middle = packed;
  wrong_middle.replace(wrong_middle.size() / 2, 40, 40, '\xFF');
  CHECK_THAT(error_of(wrong_middle), contains_text("damaged gzip data"));
  CHECK_THAT(error_of(packed + "more"), contains_text("damaged gzip data"));
}

TEST_CASE("bytes that only begin like gzip data are text") {
  CHECK(lines_of("\x1f") == Lines{"\x1f"});
  CHECK(lines_of("\x1f"
                 "abc\n") == Lines{"\x1f"
                                   "abc"});
}

TEST_CASE("a file that cannot be read is an error that names it") {
  const TemporaryFolder folder;
  const auto open = [](const std::string& path) {
    return message_of<Error>([&] {
      LineReader reader(path, InvalidUtf8::kError);
      all_lines(reader);
    });
  };
  CHECK_THAT(open(folder / "none"), contains_text(folder / "none: cannot open: "));
  CHECK_THAT(open(folder.path()), contains_text(folder.path() + ": is a folder"));
}

TEST_CASE("a single line of 16 MB is one line") {
  std::string long_line;
  long_line.resize(16000000, 'x');
  for (std::size_t i = 0; i < long_line.size(); i += 1001)
    long_line.replace(i, 3, i + 3 < long_line.size() ? "中" : "xxx");
  CHECK(lines_of(long_line + "\nnext") == Lines{long_line, "next"});
  CHECK(lines_of(gzip(long_line)) == Lines{long_line});
}

TEST_CASE("standard input is read through the path -") {
  Pipe pipe;
  pipe.write("a\nb\n");
  pipe.close_writer();
  const int saved = dup(STDIN_FILENO);
  dup2(pipe.reader(), STDIN_FILENO);
  {
    LineReader reader("-", InvalidUtf8::kError);
    CHECK(reader.name() == "standard input");
    CHECK(all_lines(reader) == Lines{"a", "b"});
  }
  dup2(saved, STDIN_FILENO);
  ::close(saved);
}

TEST_CASE("a reader knows whether the next line is there") {
  Pipe pipe;
  LineReader reader(pipe.path(), InvalidUtf8::kError);
  std::string line;
  CHECK_FALSE(reader.next_is_ready());
  pipe.write("one\ntwo\nthr");
  CHECK(reader.next_is_ready());
  CHECK(reader.next(line));
  CHECK(reader.next_is_ready());
  CHECK(reader.next(line));
  CHECK(line == "two");
  CHECK_FALSE(reader.next_is_ready());  // half a line is not a line
  pipe.write("ee\n");
  CHECK(reader.next_is_ready());
  CHECK(reader.next(line));
  CHECK(line == "three");
  pipe.write("\x1f");
  CHECK_FALSE(reader.next_is_ready());
  pipe.close_writer();
  CHECK(reader.next_is_ready());
  CHECK(reader.next(line));
  CHECK(line == "\x1f");
  CHECK(reader.next_is_ready());
  CHECK_FALSE(reader.next(line));
}

TEST_CASE("the first byte of a slow input is not held back") {
  Pipe pipe;
  LineReader reader(pipe.path(), InvalidUtf8::kError);
  pipe.write("\n");
  std::string line = "x";
  CHECK(reader.next_is_ready());
  CHECK(reader.next(line));
  CHECK(line.empty());
}

TEST_CASE("gzip data may come in single bytes") {
  Pipe pipe;
  LineReader reader(pipe.path(), InvalidUtf8::kError);
  for (const char byte : gzip("one\ntwo")) {
    pipe.write({byte});
    reader.next_is_ready();
  }
  pipe.close_writer();
  CHECK(all_lines(reader) == Lines{"one", "two"});
}

TEST_CASE("a read that is ready never blocks, even for a line longer than any buffer") {
  Pipe pipe;
  LineReader reader(pipe.path(), InvalidUtf8::kError);
  const std::string piece(30000, 'y');
  for (int i = 0; i < 40; ++i) {
    pipe.write(piece);
    CHECK_FALSE(reader.next_is_ready());
  }
  pipe.write("\n");
  CHECK(reader.next_is_ready());
  std::string line;
  CHECK(reader.next(line));
  CHECK(line.size() == 40 * piece.size());
}

TEST_CASE("a long line is read in pieces that no unit spans") {
  std::string english, chinese, wild;
  for (int i = 0; i < 200000; ++i) english += i % 7 == 0 ? "  word" : " to";
  for (int i = 0; i < 200000; ++i) chinese += i % 9 == 0 ? "，" : "山";
  // Blanks and ideographs after characters that join: a combining mark, a joiner, a letter of two code points.
  for (int i = 0; i < 120000; ++i)
    wild += i % 3 == 0 ? "e\u0301 山" : i % 3 == 1 ? "\U0001F469\u200D\U0001F469 " : "\u0600山";
  const std::string solid(900000, 'x');
  std::string text = "\ufeffshort\r\n";
  for (const std::string& line : {english, chinese, wild, solid}) text += line + "\n";
  const Unit unit = GENERATE(Unit::kChar, Unit::kGrapheme, Unit::kWord);
  const bool words = unit == Unit::kWord;
  LineReader whole = LineReader::from_memory("w", text, InvalidUtf8::kError);
  LineReader pieces = LineReader::from_memory("p", text, InvalidUtf8::kError);
  std::string line, piece;
  std::size_t most = 0, lines = 0;
  while (whole.next(line)) {
    std::string joined;
    std::vector<std::string> parts;
    for (bool ends = false; !ends;) {
      REQUIRE(pieces.next_piece(piece, words, ends));
      CHECK(pieces.line_number() == whole.line_number());
      if (line == english || (line == chinese && !words)) most = std::max(most, piece.size());
      joined += piece;
      parts.push_back(piece);
    }
    CHECK((joined == line));
    CHECK((parts.size() > 1) == (line == english || (line != solid && lines > 0 && !words)));
    const Tokenizer tokenizer({.unit = unit});
    std::vector<std::string> expected, found;
    Tokens tokens;
    tokenizer.tokenize(line, tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i) expected.emplace_back(tokens.text(i));
    for (const std::string& part : parts) {
      tokenizer.tokenize(part, tokens);
      for (std::size_t i = 0; i < tokens.size(); ++i) found.emplace_back(tokens.text(i));
    }
    CHECK((found == expected));
    ++lines;
  }
  bool ends = false;
  CHECK_FALSE(pieces.next_piece(piece, words, ends));
  CHECK(lines == 5);
  CHECK(most < 600000);
  CHECK(pieces.had_bom());
  CHECK(pieces.crlf_lines() == 1);
}

TEST_CASE("invalid UTF-8 in a later piece is reported with its column in the line") {
  std::string text = "one\n";
  for (int i = 0; i < 200000; ++i) text += "ab ";
  text += "\xff\n";
  LineReader reader = LineReader::from_memory("f", text, InvalidUtf8::kError);
  std::string piece;
  std::string message;
  try {
    for (bool ends = false; reader.next_piece(piece, true, ends);) {
    }
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK(message.find("f:2:600001: invalid UTF-8") == 0);
}

TEST_CASE("a line that is too long is refused with its number, before it is read whole") {
  const std::string longest(mnemo::kMaxLineBytes, 'a');
  CHECK(lines_of("x\n" + longest + "\ny") == Lines{"x", longest, "y"});
  for (const std::string& bytes : {"x\n" + longest + "a\ny", "x\n" + longest + "a"})
    CHECK_THAT(error_of(bytes), contains_text("memory:2: a line of more than 16 MiB"));
  // If there is no end at all, `next_is_ready` still returns.
  auto zeros = LineReader("/dev/zero", InvalidUtf8::kError);
  CHECK(zeros.next_is_ready());
  std::string line;
  CHECK_THROWS_WITH(zeros.next(line), contains_text("/dev/zero:1: a line of more than 16 MiB"));
  // Few compressed bytes that become many.
  CHECK_THAT(error_of(gzip(longest + longest)), contains_text("memory:1: a line of more than 16 MiB"));
  // In pieces a line may have any length, if it can be cut.
  std::string words;
  while (words.size() <= mnemo::kMaxLineBytes) words += "word ";
  auto pieces = LineReader::from_memory("memory", words, InvalidUtf8::kError);
  std::size_t bytes = 0;
  for (bool ends = false; pieces.next_piece(line, true, ends);) bytes += line.size();
  CHECK(bytes == words.size());
  auto uncut = LineReader::from_memory("memory", "x\n" + longest + "a", InvalidUtf8::kError);
  bool ends = false;
  CHECK(uncut.next_piece(line, true, ends));
  CHECK_THROWS_WITH(uncut.next_piece(line, true, ends), contains_text("memory:2: a line of more than 16 MiB"));
}

TEST_CASE("NUL bytes are not text, and reveal UTF-16 without a mark") {
  using namespace std::string_literals;
  CHECK_THAT(error_of("p\0o\0s\0\t\0\n\0"s),
             contains_text("memory:1:2: a NUL byte, which text cannot contain; this looks like "
                           "UTF-16: convert it with iconv -f UTF-16LE -t UTF-8"));
  CHECK_THAT(error_of("\0p\0o\0\n"s), contains_text("memory:1:1: a NUL byte"));
  CHECK_THAT(error_of("\0p\0o\0\n"s), contains_text("iconv -f UTF-16BE -t UTF-8"));
  CHECK_THAT(error_of("a\nbc\0d"s),
             contains_text("memory:2:3: a NUL byte, which text cannot contain; convert the file"));
  CHECK_THAT(error_of("a\0\xFF"s), contains_text("memory:1:2: a NUL byte"));
  CHECK_THAT(error_of("\xFF\0a"s), contains_text("memory:1:1: invalid UTF-8 (bytes 0xFF)"));
  CHECK(lines_of("a\0b"s, InvalidUtf8::kReplace) == Lines{"a\uFFFDb"});
  CHECK(lines_of("a\0\0b\xFF"s, InvalidUtf8::kSkip) == Lines{"ab"});
}

TEST_CASE("byte order marks of concatenated files are dropped and counted") {
  auto reader = LineReader::from_memory("memory", "\uFEFFa\nb\n\uFEFFc\n\uFEFF\uFEFFd\uFEFF\n", InvalidUtf8::kError);
  CHECK(all_lines(reader) == Lines{"a", "b", "c", "d\uFEFF"});
  CHECK(reader.had_bom());
  CHECK(reader.bom_lines() == 2);
}

TEST_CASE("the digest is of the bytes that were read, before decompression, also of pipes") {
  const auto digest_of = [](LineReader reader) {
    all_lines(reader);
    return reader.digest();
  };
  const std::string text = "one\ntwo\n", packed = gzip(text);
  for (const std::string& bytes : {text, packed, std::string()}) {
    mnemo::ByteDigest expected;
    expected.add(bytes);
    CHECK(digest_of(LineReader::from_memory("memory", bytes, InvalidUtf8::kError)) == expected);
    Pipe pipe;
    pipe.write(bytes);
    pipe.close_writer();
    CHECK(digest_of(LineReader(pipe.path(), InvalidUtf8::kError)) == expected);
  }
  mnemo::ByteDigest known;
  known.add("foobar");
  CHECK(known.fnv1a64 == 0x85944171f73967e8ull);  // as Fowler, Noll and Vo publish it
  CHECK(known.bytes == 6);
}
