// Drafts a configuration for parallel text: one file of pairs, or two files with equally many lines for each part,
// whose names differ in the end (train.en, train.de).
#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/shown.h"
#include "tasks/draft.h"
#include "text/pairs.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

struct SeenPairs {
  std::int64_t pairs = 0;
  ScriptCount source, target;
};

void look_at(const std::string& source, const std::string& target, const PairOptions& options, SeenPairs& out) {
  const auto reader = PairReader::open(source, target, options);
  TextPair pair;
  while (reader->next(pair)) {
    ++out.pairs;
    out.source.add(pair.source);
    out.target.add(pair.target);
  }
}

Json parallel_json(const std::vector<std::string>& files, const char* part) {
  if (files.size() != 2)
    fail("{}: found {} for {}: expected one file of pairs, or two: the source and its translation", files.front(),
         counted(std::ssize(files), "file"), part);
  return {{"source", files[0]}, {"target", files[1]}};
}

// The format of a single file of pairs, if its first lines fit one.
std::optional<PairFormat> format_of(const std::string& path, InvalidUtf8 policy) {
  const std::vector<std::string> lines = first_lines(path, 100, policy);
  if (lines.empty()) fail("{}: has no text", path);
  if (parse_objects(lines).likely()) return PairFormat::kJsonl;
  if (std::ranges::all_of(lines, [](const std::string& line) { return line.find('\t') != std::string::npos; }))
    return PairFormat::kTsv;
  return std::nullopt;
}

void draft_unit(const char* key, const ScriptCount& script, Draft& draft) {
  if (script.unsegmented())
    draft.set(key, "char",
              fmt::format("{}% of the letters are of a script without blanks between words", script.share()));
  else
    draft.set(key, "subword", "words are cut into parts that recur, so that none is unknown");
}

}  // namespace

void draft_translate(const PartFiles& parts, Draft& draft) {
  const std::vector<std::string>& train = parts.train;
  PairOptions options;
  options.invalid_utf8 = parts.invalid_utf8;
  SeenPairs seen;
  if (train.size() == 1) {
    const auto format = format_of(train.front(), parts.invalid_utf8);
    if (!format)
      fail(
          "{}: found no pairs: expected source, tab, target on each line, objects with source and target, or two files",
          train.front());
    options.format = *format;
    draft.set("data.format", *format == PairFormat::kTsv ? "tsv" : "jsonl", "one file of pairs");
    look_at(train.front(), "", options, seen);
  } else {
    draft.set("data.format", "parallel", "two files, line by line: the first named is the source");
    draft.set("data.train", parallel_json(train, "train"), "whatever is not for dev or test");
    if (!parts.dev.empty()) draft.set("data.dev", parallel_json(parts.dev, "dev"), "from the names of the files");
    if (!parts.test.empty()) draft.set("data.test", parallel_json(parts.test, "test"), "from the names of the files");
    look_at(train[0], train[1], options, seen);
  }
  if (seen.pairs == 0) fail("{}: has no pairs", train.front());
  draft_unit("text.unit", seen.source, draft);
  if (seen.target.unsegmented() != seen.source.unsegmented()) draft_unit("text.target_unit", seen.target, draft);
  draft_dev(parts, seen.pairs, draft);
  draft.note(counted(seen.pairs, "pair"));
  note_sizes(seen.pairs, draft);
}

}  // namespace mnemo
