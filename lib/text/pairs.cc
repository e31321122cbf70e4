#include "text/pairs.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/shown.h"
#include "text/cut.h"
#include "text/json_line.h"

namespace mnemo {
namespace {

ReadCounts counts_of(const LineReader& lines, std::size_t records, std::size_t empty_lines) {
  return {records,         empty_lines,       lines.crlf_lines(),   lines.invalid_sequences(),
          lines.had_bom(), lines.bom_lines(), lines.invalid_bytes()};
}

class ParallelReader : public PairReader {
 public:
  ParallelReader(const std::string& source, const std::string& target, InvalidUtf8 policy)
      : source_(source, policy), target_(target, policy) {}

  bool next(TextPair& pair) override {
    const bool has_source = source_.next(pair.source), has_target = target_.next(pair.target);
    if (has_source != has_target) {
      // What is left of the longer file is read only to be counted.
      LineReader& longer = has_source ? source_ : target_;
      std::string rest;
      while (longer.next(rest)) {
      }
      fail("{} has {}, {} has {}: expected as many, line by line", source_.name(), lines_of(source_), target_.name(),
           lines_of(target_));
    }
    if (!has_source) return false;
    pair.line = source_.line_number();
    return true;
  }

  bool next_is_ready() override { return source_.next_is_ready() && target_.next_is_ready(); }

  std::vector<File> files() const override {
    return {{source_.name(), counts_of(source_, source_.line_number(), 0), source_.digest()},
            {target_.name(), counts_of(target_, target_.line_number(), 0), target_.digest()}};
  }

 private:
  static std::string lines_of(const LineReader& reader) {
    return counted(static_cast<std::int64_t>(reader.line_number()), "line");
  }

  LineReader source_, target_;
};

// The pairs of one file, a line each.
class LinePairReader : public PairReader {
 public:
  LinePairReader(const std::string& path, const PairOptions& options)
      : lines_(path, options.invalid_utf8, options.part), ids_(options.ids) {}

  bool next(TextPair& pair) override {
    if (lines_.awaited_part()) enter_part();
    while (lines_.next(line_)) {
      if (line_.empty()) {
        ++empty_lines_;
        continue;
      }
      pair.line = lines_.line_number();
      take(pair);
      ++records_;
      return true;
    }
    return false;
  }

  bool next_is_ready() override { return lines_.next_is_ready(); }

  std::vector<File> files() const override {
    return {{lines_.name(), counts_of(lines_, records_, empty_lines_), lines_.digest()}};
  }

 protected:
  virtual void take(TextPair& pair) = 0;
  /// Learns what it must from the beginning of the file and enters the part of it.
  virtual void enter_part() { lines_.enter_lines(); }

  LineReader lines_;
  std::string line_;
  bool ids_;

 private:
  std::size_t records_ = 0, empty_lines_ = 0;
};

class TsvPairReader : public LinePairReader {
 public:
  TsvPairReader(const std::string& path, const PairOptions& options)
      : LinePairReader(path, options),
        source_(column(options.source, "data.source", 1)),
        target_(column(options.target, "data.target", 2)) {}

 protected:
  void take(TextPair& pair) override {
    if (ids_) pair.id = take_id(line_, lines_);
    read_row();
    pair.source = cells_[source_ - 1];
    pair.target = cells_[target_ - 1];
  }

  // Every part has the columns of the file's first row.
  void enter_part() override {
    while (!lines_.awaited_part()->is_first() && width_ == 0 && lines_.next(line_)) {
      if (line_.empty()) continue;
      if (ids_) take_id(line_, lines_);
      read_row();
    }
    lines_.enter_lines();
  }

 private:
  void read_row() {
    cells_.clear();
    const std::string_view line = line_;
    for (std::size_t at = 0; at <= line.size();) {
      const std::size_t end = std::min(line.find('\t', at), line.size());
      cells_.push_back(line.substr(at, end - at));
      at = end + 1;
    }
    if (width_ == 0) {
      width_ = cells_.size();
      width_line_ = lines_.line_number();
      if (const std::size_t needed = std::max(source_, target_); width_ < needed)
        fail(
            "{}:{}: expected {} columns or more, separated by tabs (source in column {}, target in column {}), found "
            "{}",
            lines_.name(), lines_.line_number(), needed, source_, target_, width_);
    }
    if (cells_.size() != width_)
      fail("{}:{}: expected {} columns as in line {}, found {} (tsv, separated by tabs)", lines_.name(),
           lines_.line_number(), width_, width_line_, cells_.size());
  }

  static std::size_t column(const std::string& wish, const char* key, std::size_t otherwise) {
    if (wish.empty()) return otherwise;
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(wish.data(), wish.data() + wish.size(), number);
    if (error != std::errc() || end != wish.data() + wish.size() || number == 0)
      throw UsageError(fmt::format("{}: expected the number of a column, from 1, found \"{}\"", key, shown(wish)));
    return number;
  }

  std::size_t source_, target_, width_ = 0, width_line_ = 0;
  std::vector<std::string_view> cells_;
};

class JsonlPairReader : public LinePairReader {
 public:
  JsonlPairReader(const std::string& path, const PairOptions& options)
      : LinePairReader(path, options),
        source_(options.source.empty() ? "source" : options.source),
        target_(options.target.empty() ? "target" : options.target) {}

 protected:
  void take(TextPair& pair) override {
    const JsonDocument object = parse_json_line(line_, lines_.name(), lines_.line_number());
    if (ids_) pair.id = json_id(*object, lines_.name(), lines_.line_number());
    pair.source = text_of(*object, source_);
    pair.target = text_of(*object, target_);
  }

 private:
  std::string text_of(const Json& object, const std::string& key) const {
    const auto match = object.find(key);
    if (match == object.end())
      fail("{}:{}: no key \"{}\" in the object", lines_.name(), lines_.line_number(), shown(key));
    if (!match->is_string())
      fail("{}:{}: \"{}\" is {}, expected a string", lines_.name(), lines_.line_number(), shown(key),
           described_type(*match));
    std::string text = match->get<std::string>();
    if (text.find('\n') != std::string::npos)
      fail("{}:{}: \"{}\" has a line break, expected one line", lines_.name(), lines_.line_number(), shown(key));
    return text;
  }

  std::string source_, target_;
};

}  // namespace

std::optional<PairFormat> pair_format_from_name(std::string_view name) {
  if (name == "parallel") return PairFormat::kParallel;
  if (name == "tsv") return PairFormat::kTsv;
  if (name == "jsonl") return PairFormat::kJsonl;
  return std::nullopt;
}

std::pair<std::string, std::string> two_paths(const std::string& argument) {
  const std::size_t comma = argument.find(',');
  if (comma == std::string::npos || comma == 0 || comma + 1 == argument.size())
    throw UsageError(fmt::format("{}: parallel text is two files: expected SOURCE,TARGET, or --format-in tsv or jsonl",
                                 argument == "-" ? "standard input" : escaped(argument)));
  return {argument.substr(0, comma), argument.substr(comma + 1)};
}

bool names_two_files(const std::string& argument) {
  const auto exists = [&](std::size_t begin, std::size_t count) {
    std::error_code ignored;
    return std::filesystem::exists(argument.substr(begin, count), ignored);
  };
  const std::size_t comma = argument.find(',');
  return comma != std::string::npos && !exists(0, argument.npos) &&
         (exists(0, comma) || exists(comma + 1, argument.npos));
}

std::unique_ptr<PairReader> PairReader::open(const std::string& path, const std::string& target_path,
                                             const PairOptions& options) {
  if (options.format == PairFormat::kParallel) {
    if (options.ids || options.part)
      throw UsageError(fmt::format("{}: not for parallel text in two files; expected --format-in tsv or jsonl",
                                   options.part ? "--part" : "--id"));
    if (target_path.empty()) throw UsageError(fmt::format("{}: parallel text needs a file for the target, too", path));
    return std::make_unique<ParallelReader>(path, target_path, options.invalid_utf8);
  }
  if (options.format == PairFormat::kTsv) return std::make_unique<TsvPairReader>(path, options);
  return std::make_unique<JsonlPairReader>(path, options);
}

}  // namespace mnemo
