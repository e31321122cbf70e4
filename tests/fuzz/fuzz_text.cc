// Feeds any bytes to everything in lib/text that reads data from outside. The first two bytes choose reader and
// options, the rest is the data. Aborts if a guarantee of a header is broken; an Error is a valid result.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/encoder.h"
#include "text/line_reader.h"
#include "text/normalize.h"
#include "text/records.h"
#include "text/tokenizer.h"
#include "text/vectors.h"
#include "text/vocabulary.h"

using namespace mnemo;

namespace {

void require(bool promise) {
  if (!promise) std::abort();
}

bool is_boundary(std::string_view text, std::size_t at) {
  return at == text.size() || (at < text.size() && !is_continuation(text[at]));
}

void check_tokens(std::string_view line, const TokenizerOptions& options, Tokens& tokens) {
  Tokenizer(options).tokenize(line, tokens);
  std::size_t begin = 0, end = 0;
  std::string joined;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    require(tokens.begin(i) >= begin && tokens.end(i) >= end && tokens.begin(i) < tokens.end(i));
    begin = tokens.begin(i);
    end = tokens.end(i);
    require(end <= line.size() && is_boundary(line, begin) && is_boundary(line, end));
    require(!tokens.text(i).empty() && !find_invalid_utf8(tokens.text(i)));
    joined += tokens.text(i);
  }
  const bool whole = options.unit == Unit::kChar || options.unit == Unit::kGrapheme;
  if (whole && !options.lowercase && !options.zero_digits) require(joined == normalize(line, options.normalize));
}

// Read from its end, a line has the same units, the last one first.
void check_reversed(std::string_view line, TokenizerOptions options) {
  Tokens forward, backward;
  Tokenizer(options).tokenize(line, forward);
  options.reverse = true;
  Tokenizer(options).tokenize(line, backward);
  require(forward.size() == backward.size());
  for (std::size_t i = 0, j = backward.size(); i < forward.size(); ++i) {
    require(forward.text(i) == backward.text(--j));
    require(forward.begin(i) == backward.begin(j) && forward.end(i) == backward.end(j));
  }
}

void check_encoding(std::string_view line, const Vocabulary& vocabulary, const TokenizerOptions& options) {
  const TextEncoder encoder(Tokenizer(options), vocabulary, {2, 4, 3, 97});
  EncodedText text;
  encoder.encode(line, text);
  require(text.rows.size() == text.weights.size() && static_cast<std::size_t>(text.starts.back()) == text.rows.size());
  for (std::int32_t i = 0; i < text.units(); ++i)
    require(text.starts[static_cast<std::size_t>(i)] < text.starts[static_cast<std::size_t>(i) + 1]);
  for (const std::int32_t row : text.rows) require(row >= 0 && row < encoder.table_rows());
}

void check_line(std::string_view line) {
  require(!find_invalid_utf8(line));
  const Vocabulary vocabulary;
  Tokens tokens;
  for (const Unit unit : {Unit::kChar, Unit::kGrapheme, Unit::kWord, Unit::kUnicodeWord}) {
    for (const auto form : {Normalization::kNone, Normalization::kNfc, Normalization::kNfkc}) {
      for (const bool fold : {false, true}) check_tokens(line, {unit, form, fold, fold}, tokens);
    }
    check_reversed(line, {unit});
    check_encoding(line, vocabulary, {unit});
  }
  for (const auto form : {Normalization::kNfc, Normalization::kNfkc}) {
    const std::string normal = normalize(line, form);
    require(normalize(normal, form) == normal);
  }
}

void read_records(std::string data, unsigned choice, unsigned flags) {
  RecordOptions options;
  constexpr Format kFormats[] = {Format::kLines,    Format::kTsv,    Format::kCsv,  Format::kJsonl,
                                 Format::kFasttext, Format::kSpaced, Format::kTrees};
  options.format = kFormats[choice % 7];
  options.require_label = flags & 1;
  options.multi_label = (flags & 2) && options.format != Format::kLines && options.format != Format::kTrees;
  options.phrases = (flags & 2) && options.format == Format::kTrees;
  options.invalid_utf8 = static_cast<InvalidUtf8>((flags >> 2) % 3);
  if ((flags & 16) && options.format == Format::kCsv) options.header = false;
  const auto reader = open_records(LineReader::from_memory("fuzz", std::move(data), options.invalid_utf8), options);
  std::size_t records = 0, line = 0;
  for (Record record; reader->next(record); ++records) {
    reader->next_is_ready();
    require(record.line >= line);
    line = record.line;
    require(!find_invalid_utf8(record.text));
    require(options.multi_label || record.labels.size() <= 1);
    require(options.multi_label || options.format == Format::kLines || !options.require_label ||
            record.labels.size() == 1);
    for (const std::string& label : record.labels) require(!label.empty() && !find_invalid_utf8(label));
    if (record.text.size() < 2000) check_line(record.text);
  }
  require(reader->counts().records == records);
}

void read_vocabulary(std::string_view data) {
  const Vocabulary vocabulary = Vocabulary::parse(data);
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) require(vocabulary.find(vocabulary.text(id)) == id);
  require(Vocabulary::parse(vocabulary.serialize()).serialize() == vocabulary.serialize());
}

void read_vectors(std::string data, unsigned flags) {
  const auto vectors = PretrainedVectors::read(LineReader::from_memory("fuzz", std::move(data), InvalidUtf8::kReplace),
                                               {}, flags & 1 ? 3 : 0);
  require(vectors.dimension() > 0 && (!(flags & 1) || vectors.size() <= 3));
  require(vectors.report().kept == static_cast<std::int64_t>(vectors.size()));
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    require(vectors.find(vectors.word(i)) == static_cast<std::int64_t>(i));
    for (int k = 0; k < vectors.dimension(); ++k) require(std::isfinite(vectors.vector(i)[k]));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 2) return 0;
  std::string data(reinterpret_cast<const char*>(bytes) + 2, size - 2);
  try {
    const unsigned choice = bytes[0] % 9;
    if (choice == 7)
      read_vocabulary("mnemo-vocabulary-1\n" + data);
    else if (choice == 8)
      read_vectors(std::move(data), bytes[1]);
    else
      read_records(std::move(data), choice, bytes[1]);
  } catch (const Error&) {
  }
  return 0;
}
