// Sentences of tokens with columns of tags, from the usual formats, with everything needed to write them again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/line_reader.h"
#include "text/records.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace mnemo {

/// conll:    one token per line, columns separated by runs of blanks or tabs; an empty line between sentences. Lines
///           that begin with `-DOCSTART-` are not tokens. A line that begins with `#` and has another number of columns
///           than the tokens is a comment.
/// conllu:   the ten columns of Universal Dependencies between tabs; lines of multiword tokens (`3-4`), empty nodes
///           (`8.1`) and comments are not tokens.
/// slashed:  one sentence per line, of `token/tag` between blanks; the tag follows the last slash. The brackets of
///           compounds, `[word/tag word/tag]tag`, are dropped and counted if they close within the line.
/// lines:    plain text, one sentence per line, cut by a tokenizer.
/// jsonl:    one object per line. Its text is `text`; its tokens are `tokens` (strings, or objects of `start` and
///           `end`), or if there are none those of a tokenizer. Its tags are those that `spans` spell in bio (objects
///           of `start`, `end` and `type` or `label`, or arrays [start, end, type]), or else the strings of `tags` or
///           each token's `tag`. Positions are counted in code points, ends exclusive. A span that does not begin and
///           end with tokens is extended to the tokens that it touches, and counted; a repeated span is read once, and
///           counted.
enum class SentenceFormat { kConll, kConllu, kSlashed, kLines, kJsonl };

std::string_view name_of(SentenceFormat format);
std::optional<SentenceFormat> sentence_format_from_name(std::string_view name);

/// The index, from 0, of one of conllu's ten columns, by its name or its number from 1. Throws UsageError.
std::size_t conllu_column(const std::string& name);

struct SentenceOptions {
  SentenceFormat format = SentenceFormat::kConll;
  /// Column of the tokens: a number from 1, for conllu also a name (id, form, lemma, upos, xpos, feats, head, deprel,
  /// deps, misc), for jsonl the key of the text. Empty: the first, `form` and `text`, respectively.
  std::string token = {};
  /// Columns of tags. Empty: the last one, for conllu `upos`.
  std::vector<std::string> tags = {};
  /// jsonl: the key of the spans; empty: `spans`.
  std::string spans = {};
  /// conll: one character between columns; empty: any run of blanks and tabs.
  std::string separator = {};
  /// conll: drop one ASCII digit at the end of tokens of two or more characters.
  bool strip_position = false;
  /// If false, tags may be missing: a conll row may end before them.
  bool require_tags = true;
  /// If false, jsonl's tags and spans are not read.
  bool read_tags = true;
  /// jsonl: spans are words, which may have an empty type.
  bool spans_are_words = false;
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kError;
  /// Every sentence has an id: in conllu the comment `# sent_id = ID`, in jsonl the key `id`, in lines and slashed what
  /// precedes the first tab of a line. conll has none.
  bool ids = false;
  std::optional<Part> part = {};  ///< the part of the file that is read; empty: all of it
  /// lines and jsonl: how texts are cut; tokens of only white space are left out.
  TokenizerOptions tokenizer = {};
};

struct Sentence {
  std::vector<std::string> tokens;
  std::vector<std::vector<std::string>> tags;  ///< [columns][tokens]; "_" for missing tags
  /// The lines of the file that the sentence was read from, without the empty one after it; for conll with the empty
  /// and -DOCSTART- lines before it.
  std::vector<std::string> lines;
  std::vector<std::int32_t> line_tokens;                        ///< [lines] the token that a line holds, or -1
  std::optional<std::string> text;                              ///< lines, and jsonl if it has one
  std::vector<std::pair<std::uint32_t, std::uint32_t>> places;  ///< [tokens] bytes of the text, if there is one
  std::size_t line = 0;                                         ///< number of the first line
  std::optional<RecordId> id;                                   ///< with SentenceOptions::ids
  bool by_spans = false;                                        ///< jsonl: tags are bio made from spans
};

/// [tokens] 1 for each token that is preceded by a blank in the sentence's text, if it has one.
std::vector<std::uint8_t> blanks_before(const Sentence& sentence);

/// A text and the positions of its tokens in it, in bytes.
struct PlacedText {
  std::string text;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> places;
};
/// Tokens joined by `between`.
PlacedText join_tokens(const std::vector<std::string>& tokens, std::string_view between);

struct SentenceCounts {
  std::size_t sentences = 0, crlf_lines = 0, invalid_sequences = 0;
  bool had_bom = false;
  std::size_t bom_lines = 0;       ///< lines after the first one that began with a byte order mark
  std::size_t moved_spans = 0;     ///< jsonl: spans whose ends were not those of tokens
  std::string first_moved;         ///< "FILE:LINE: ..." of the first one
  std::size_t repeated_spans = 0;  ///< jsonl: repetitions of a span that were dropped
  std::size_t invalid_bytes = 0;   ///< replaced or skipped
  std::size_t compounds = 0;       ///< slashed: pairs of brackets that were dropped
};

/// Reads sentences one by one, in the order of the file. Errors are "FILE:LINE: ...".
class SentenceReader {
 public:
  /// Throws UsageError for options that do not fit the format, Error if the file cannot be opened.
  static std::unique_ptr<SentenceReader> open(const std::string& path, const SentenceOptions& options);
  static std::unique_ptr<SentenceReader> open(LineReader lines, const SentenceOptions& options);
  virtual ~SentenceReader() = default;
  SentenceReader(const SentenceReader&) = delete;
  SentenceReader& operator=(const SentenceReader&) = delete;

  /// Reads the next sentence; false at the end. In `lines`, `jsonl` and `slashed` every line is a sentence; an empty
  /// one has no tokens, and is an error in `jsonl`. In `conll`, lines that begin with # are comments if they have the
  /// form `# key = value` or another number of columns than the rows; blocks of only comments before the first row
  /// belong to the sentence after them. Throws Error on a row that does not fit, and for a sentence of rows of more
  /// than kMaxLineBytes.
  bool next(Sentence& sentence);
  /// True if `next` most likely returns without waiting for input.
  virtual bool next_is_ready() { return lines_.next_is_ready(); }
  SentenceCounts counts() const;
  ByteDigest digest() const { return lines_.digest(); }
  const std::string& name() const { return lines_.name(); }

 protected:
  SentenceReader(LineReader lines, SentenceOptions options) : lines_(std::move(lines)), options_(std::move(options)) {}

  virtual bool read(Sentence& sentence) = 0;
  /// Learns what it must from the beginning of the file and enters the part of it.
  virtual void enter_part() { lines_.enter_lines(); }
  /// Reads a line that holds a sentence, and its id if there are ids. False at the end.
  bool next_line(std::string& line, Sentence& sentence);

  [[noreturn]] void fail_at(std::size_t line, const std::string& message) const;

  LineReader lines_;
  SentenceOptions options_;
  SentenceCounts counts_;  // only those that the readers of formats count themselves

 private:
  std::size_t sentences_ = 0;
};

}  // namespace mnemo
