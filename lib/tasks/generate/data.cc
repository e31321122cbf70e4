// A corpus is either one stream of lines or a set of records (lines, or poems with the sections they are conditioned
// on). A stream is read once, since it may be a pipe: its units are numbered as they appear and get their vocabulary
// ids when all are counted, which keeps the text itself out of memory. With text.reverse the units of a record come
// from the tokenizer in the order of reading; a stream is kept in the order of the file and read from its end.
#include "tasks/generate/data.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/shown.h"
#include "pipeline/network_options.h"
#include "tasks/start_from.h"
#include "text/line_reader.h"
#include "text/poems.h"
#include "text/string_table.h"

namespace mnemo {
namespace {

void report_lines(const LineReader& lines, const Log& log) {
  report_byte_order_marks(lines.name(), lines.had_bom(), lines.bom_lines(), log);
  if (lines.crlf_lines() > 0) log(fmt::format("{}: lines that end in CRLF: {}", lines.name(), lines.crlf_lines()));
  if (lines.invalid_sequences() > 0)
    log(fmt::format("{}: {} replaced or skipped", lines.name(),
                    counted(lines.invalid_sequences(), "invalid UTF-8 sequence")));
}

// Opens a file by its name.
using OpenLines = std::function<LineReader(const std::string& path, InvalidUtf8 policy)>;

LineReader open_lines(const std::string& path, InvalidUtf8 policy) { return {path, policy}; }

// The files of one part of the data, and how they are read.
struct SourceText {
  const std::vector<DataFile>& names;
  const Config& config;
  const std::string& config_path;
  InvalidUtf8 invalid_utf8;
  OpenLines open = open_lines;

  std::string path(const DataFile& file) const { return data_path(file.file, config.data.dir, config_path); }
  const std::string& format(const DataFile& file) const { return file.format ? *file.format : config.data.format; }
};

using UseUnit = std::function<void(const SourceUnit& unit)>;

// Calls `use` for every unit of the files in their order, line ends included; `files` gets the files that were read.
// Pipes can be read only once.
void for_units(const SourceText& source, const Tokenizer& given, std::vector<SourceFile>& files, const Log& log,
               const UseUnit& use) {
  const Tokenizer tokenizer = given.forward();
  const bool subwords = tokenizer.options().unit == Unit::kSubword;
  const bool cut_at_blanks = tokenizer.options().unit == Unit::kWord || subwords;
  Tokens tokens;
  std::string line, blanks, rest;
  for (const DataFile& name : source.names) {
    const std::string path = source.path(name);
    files.push_back({path});
    LineReader lines = source.open(path, source.invalid_utf8);
    for (bool ends = false, inside = false; lines.next_piece(line, cut_at_blanks, ends);) {
      line.insert(0, blanks);
      blanks.clear();
      if (subwords && !ends) {
        // Blanks belong to the word after them.
        const std::size_t end = line.find_last_not_of(' ') + 1;
        blanks = line.substr(end);
        line.resize(end);
      }
      if (inside)
        tokenizer.tokenize_rest(line, tokens);
      else
        tokenizer.tokenize(line, tokens);
      inside = !ends;
      rest += for_source_units(line, tokens, [&](SourceUnit unit) {
        if (!rest.empty()) {
          rest += unit.before;
          unit.before = rest;
        }
        use(unit);
        rest.clear();
      });
      if (!ends) continue;
      ++files.back().records;
      use({TextLanguageModel::kLineEnd, rest, "\n"});
      rest.clear();
    }
    files.back().read = lines.digest();
    report_lines(lines, log);
  }
}

// `for_units` for a stream. Of one that is read from its end each line end is given before its line, so that it is read
// after it, as it is forwards: a line is read from one line end to the next, and the first begins after a text's end.
void for_stream_units(const SourceText& source, const Tokenizer& tokenizer, std::vector<SourceFile>& files,
                      const Log& log, const UseUnit& use) {
  if (!source.config.text.reverse) return for_units(source, tokenizer, files, log, use);
  bool line_begins = true;
  for_units(source, tokenizer, files, log, [&](const SourceUnit& unit) {
    const bool line_end = unit.text == TextLanguageModel::kLineEnd;
    if (line_begins) use({TextLanguageModel::kLineEnd, {}, "\n"});
    line_begins = line_end;
    if (!line_end) use(unit);
  });
}

// The parts of a run's data, to be filled.
struct Parts {
  UnitText &train, &dev, &test;
  Vocabulary& vocabulary;
};

// Every record of the files; lines are bodies that are conditioned on nothing.
std::vector<Poem> read_records(const SourceText& source, std::vector<SourceFile>& files, const Log& log) {
  std::vector<Poem> out;
  for (const DataFile& name : source.names) {
    const std::string path = source.path(name);
    files.push_back({path});
    const std::size_t before = out.size();
    LineReader lines = source.open(path, source.invalid_utf8);
    if (source.format(name) == "lines") {
      std::size_t empty = 0;
      for (std::string line; lines.next(line);) {
        if (line.empty())
          ++empty;
        else
          out.push_back({{}, {}, {}, line});
      }
      report_lines(lines, log);
      if (empty > 0) log(fmt::format("{}: {} empty lines skipped", path, empty));
    } else {
      PoemCounts c;
      std::vector<Poem> poems = read_poems(lines, c);
      std::move(poems.begin(), poems.end(), std::back_inserter(out));
      report_lines(lines, log);
      if (c.marks + c.notes + c.gaps + c.empty > 0)
        log(
            fmt::format("{}: {} poems; {} editors' marks and {} notes dropped, {} poems with lost characters and {} "
                        "without text left out",
                        path, c.poems, c.marks, c.notes, c.gaps, c.empty));
    }
    files.back().records = static_cast<std::int64_t>(out.size() - before);
    files.back().read = lines.digest();
  }
  return out;
}

void add_id(UnitText& to, std::int32_t id) {
  to.units.add(id);
  to.unknown += id == Vocabulary::kUnknown ? 1 : 0;
  ++to.measured;
}

void add_stream(const SourceText& source, const Vocabulary& vocabulary, const Log& log, UnitText& to,
                std::int64_t spelled = 0) {
  const bool reverse = source.config.text.reverse;
  for_stream_units(source, tokenizer_of(source.config.text, vocabulary), to.files, log, [&](const SourceUnit& unit) {
    add_id(to, vocabulary.find(unit.text));
    if (!reverse && to.beginning.size() < spelled) to.beginning.add(unit);
  });
  if (reverse) to.units.reverse();
}

void add_records(const std::vector<Poem>& poems, bool conditioned, const Config& config, const Vocabulary& vocabulary,
                 UnitText& to) {
  const Tokenizer tokenizer = tokenizer_of(config.text, vocabulary);
  Tokens tokens;
  for (const Poem& poem : poems) {
    UnitText::Record record;
    record.begin = to.units.size();
    for_record_units(poem, conditioned, tokenizer, tokens, [&](Section section, const SourceUnit& unit) {
      // The sections that a body is conditioned on are not measured.
      if (section == Section::kBody)
        add_id(to, vocabulary.find(unit.text));
      else
        to.units.add(vocabulary.find(unit.text));
      ++record.lengths[static_cast<std::size_t>(section)];
    });
    to.records.push_back(record);
  }
}

// Leaves out records whose body is in train, character for character.
void drop_known(std::vector<Poem>& poems, const std::vector<Poem>& train, const std::string& what, const Log& log) {
  std::unordered_set<std::string_view> known;
  for (const Poem& poem : train) known.insert(poem.body);
  const std::size_t before = poems.size();
  std::erase_if(poems, [&](const Poem& poem) { return known.contains(poem.body); });
  if (poems.size() < before)
    log(fmt::format("{}: {} records whose text is in train left out", what, before - poems.size()));
}

void check_train(std::int64_t units, const Config& config, const std::string& config_path) {
  if (units < 2)
    fail("{}: train has no text of at least two units",
         data_path(config.data.train.front().file, config.data.dir, config_path));
}

Vocabulary vocabulary_with_line_end(VocabularyBuilder& builder, const Config& config, const TextModel* from,
                                    const Log& log) {
  // A corpus of one line, of which a part is held out, has no line end.
  builder.add(TextLanguageModel::kLineEnd, 0);
  Vocabulary out = vocabulary_from(config.text, builder, from, log);
  out.add(TextLanguageModel::kLineEnd);
  return out;
}

void load_records(const Config& config, const std::string& config_path, InvalidUtf8 invalid_utf8, const Log& log,
                  const TextModel* from, Parts& out) {
  const DataConfig& d = config.data;
  const auto read = [&](const std::vector<DataFile>& names, UnitText& into) {
    return read_records({names, config, config_path, invalid_utf8}, into.files, log);
  };
  std::vector<Poem> train = read(d.train, out.train), dev = read(d.dev, out.dev), test = read(d.test, out.test);
  if (d.dev.empty() && d.dev_fraction > 0) {
    std::vector<std::string_view> bodies;
    bodies.reserve(train.size());
    for (const Poem& poem : train) bodies.push_back(poem.body);
    const std::vector<std::uint16_t> parts =
        split_by_text(bodies, {1 - d.dev_fraction, d.dev_fraction}, static_cast<std::uint64_t>(d.dev_seed));
    std::vector<Poem> kept;
    for (std::size_t i = 0; i < train.size(); ++i) (parts[i] == 1 ? dev : kept).push_back(std::move(train[i]));
    train = std::move(kept);
    out.dev.files = out.train.files;
  }
  drop_known(dev, train, "dev", log);
  drop_known(test, train, "test", log);
  const bool conditioned = config.data.has_conditions();
  const Tokenizer tokenizer(tokenizer_options(config.text));
  Tokens tokens;
  VocabularyBuilder builder;
  std::vector<std::string> controls;
  std::int64_t units = 0;
  for (const Poem& poem : train)
    for_record_units(poem, conditioned, tokenizer, tokens, [&](Section, const SourceUnit& source) {
      const std::string_view unit = source.text;
      // Control units are not units of a text, and are in the vocabulary whatever text.min_count says.
      if (unit.size() > 1 && unit.front() == '\n') {
        if (std::find(controls.begin(), controls.end(), unit) == controls.end()) controls.emplace_back(unit);
        return;
      }
      builder.add(unit);
      ++units;
    });
  check_train(units, config, config_path);
  out.vocabulary = vocabulary_with_line_end(builder, config, from, log);
  std::sort(controls.begin(), controls.end());
  for (const std::string& control : controls) out.vocabulary.add(control);
  add_records(train, conditioned, config, out.vocabulary, out.train);
  add_records(dev, conditioned, config, out.vocabulary, out.dev);
  add_records(test, conditioned, config, out.vocabulary, out.test);
}

// A stream whose vocabulary is not known yet: its units are numbered in the order in which they first appear.
struct RawStream {
  StringTable distinct;
  UnitStream units;

  // Calls `use` with each unit's number in `distinct`.
  void for_each(std::int64_t begin, std::int64_t end, const std::function<void(std::int32_t number)>& use) const {
    std::vector<std::int32_t> block(std::size_t{1} << 16);
    for (std::int64_t at = begin; at < end; at += std::ssize(block)) {
      const auto part = std::span(block).first(static_cast<std::size_t>(std::min(end - at, std::ssize(block))));
      units.read(at, part);
      for (const std::int32_t number : part) use(number);
    }
  }
};

// Reads train once, since it may be a pipe, and since its hash must be that of the very bytes that are learnt.
void load_stream(const Config& config, const std::string& config_path, InvalidUtf8 invalid_utf8, const Log& log,
                 const TextModel* from, Parts& out) {
  const DataConfig& d = config.data;
  RawStream all;
  for_stream_units({d.train, config, config_path, invalid_utf8}, Tokenizer(tokenizer_options(config.text)),
                   out.train.files, log,
                   [&](const SourceUnit& unit) { all.units.add(all.distinct.insert(unit.text)); });
  const bool keeps_dev_out = d.dev.empty() && d.dev_fraction > 0;
  const auto size = static_cast<double>(all.units.size());
  const std::int64_t kept =
      keeps_dev_out ? static_cast<std::int64_t>(std::floor(size * (1.0 - d.dev_fraction))) : all.units.size();
  check_train(kept, config, config_path);
  std::vector<std::uint64_t> counts(all.distinct.size());
  all.for_each(0, kept, [&](std::int32_t number) { ++counts[static_cast<std::size_t>(number)]; });
  VocabularyBuilder builder;
  for (std::size_t i = 0; i < counts.size(); ++i)
    if (counts[i] > 0) builder.add(all.distinct.text(static_cast<std::int32_t>(i)), counts[i]);
  out.vocabulary = vocabulary_with_line_end(builder, config, from, log);
  // Of each different unit, or word of subwords.
  std::vector<std::vector<std::int32_t>> ids(counts.size());
  SubwordMemory memory;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::string_view unit = all.distinct.text(static_cast<std::int32_t>(i));
    const auto add = [&](std::string_view piece) { ids[i].push_back(out.vocabulary.find(piece)); };
    if (out.vocabulary.subwords() && unit != TextLanguageModel::kLineEnd)
      out.vocabulary.subwords()->for_each_unit(unit, memory, add);
    else
      add(unit);
  }
  const auto put_into = [&ids](UnitText& to) {
    return [&](std::int32_t number) {
      for (const std::int32_t id : ids[static_cast<std::size_t>(number)]) add_id(to, id);
    };
  };
  all.for_each(0, kept, put_into(out.train));
  all.for_each(kept, all.units.size(), put_into(out.dev));
  if (config.text.reverse) {
    out.train.units.reverse();
    if (keeps_dev_out) out.dev.units.reverse();
  }
  if (keeps_dev_out) out.dev.files = out.train.files;
  if (!d.dev.empty()) add_stream({d.dev, config, config_path, invalid_utf8}, out.vocabulary, log, out.dev);
  if (!d.test.empty()) add_stream({d.test, config, config_path, invalid_utf8}, out.vocabulary, log, out.test);
}

}  // namespace

std::unique_ptr<TaskData> LanguageData::with(std::unique_ptr<Dataset>, std::unique_ptr<Dataset>,
                                             std::unique_ptr<Dataset>) const {
  throw Error("a language model's text cannot be divided into folds");
}

std::unique_ptr<LanguageData> read_language_data(const Config& config, const ReadRequest& request,
                                                 const TextModel* from) {
  check_train_named(config.data);
  auto out = std::make_unique<LanguageData>();
  auto train = std::make_unique<UnitText>(), dev = std::make_unique<UnitText>(), test = std::make_unique<UnitText>();
  Parts parts{*train, *dev, *test, out->vocabulary};
  const auto load = config.data.has_records() ? load_records : load_stream;
  load(config, request.config_path, request.invalid_utf8, request.log, from, parts);
  for (const auto& [name, text, files] : {std::tuple{"train", train.get(), &config.data.train},
                                          {"dev", dev.get(), &config.data.dev},
                                          {"test", test.get(), &config.data.test}}) {
    if (text->measured > 0)
      request.log(fmt::format("{}: {}{} units, {} unknown", name,
                              text->records.empty() ? "" : fmt::format("{} records, ", text->records.size()),
                              text->measured, text->unknown));
    else if (!files->empty())
      fail("{}: {} has no text{}", data_path(files->front().file, config.data.dir, request.config_path), name,
           config.data.has_records() ? " that is not in train" : "");
  }
  out->train = std::move(train);
  out->dev = std::move(dev);
  out->test = std::move(test);
  return out;
}

namespace {

// The one file that a model reads, with the model's own configuration.
struct ModelSource {
  ModelSource(const std::string& path, const TextLanguageModel& model, const TextSource& from)
      : files(1), config(model.config()), invalid_utf8(from.invalid_utf8), spelled(from.spelled) {
    files[0].file = path;
    config.data.dir.clear();
    if (from.format.empty()) return;
    if (from.format != "lines" && !model.has_records())
      throw UsageError(fmt::format("--format-in {}: the model reads one stream of lines", from.format));
    config.data.format = from.format;
  }
  SourceText source(OpenLines open = open_lines) const { return {files, config, none, invalid_utf8, std::move(open)}; }

  std::vector<DataFile> files;
  Config config;
  std::string none;
  InvalidUtf8 invalid_utf8;
  std::int64_t spelled;
};

UnitText read_units(const ModelSource& one, const TextLanguageModel& model, const OpenLines& open, const Log& log) {
  UnitText out;
  if (model.has_records()) {
    std::vector<Poem> records = read_records(one.source(open), out.files, log);
    add_records(records, model.has_conditions(), one.config, model.vocabulary(), out);
    if (one.spelled > 0) out.spelled_records = std::move(records);
  } else {
    add_stream(one.source(open), model.vocabulary(), log, out, one.spelled);
  }
  return out;
}

}  // namespace

void for_corpus_units(const std::string& path, const TextLanguageModel& model, const TextSource& from, const Log& log,
                      const std::function<void(std::int32_t unit)>& use) {
  const ModelSource one(path, model, from);
  std::vector<SourceFile> files;
  if (!model.has_records()) {
    for_units(one.source(), model.tokenizer(), files, log,
              [&](const SourceUnit& unit) { use(model.vocabulary().find(unit.text)); });
    return;
  }
  const Tokenizer tokenizer = model.tokenizer().forward();
  Tokens tokens;
  for (const Poem& poem : read_records(one.source(), files, log))
    for_record_units(poem, false, tokenizer, tokens,
                     [&](Section, const SourceUnit& unit) { use(model.vocabulary().find(unit.text)); });
}

UnitText read_units(const std::string& path, const TextLanguageModel& model, const TextSource& from, const Log& log) {
  return read_units(ModelSource(path, model, from), model, open_lines, log);
}

SharedText::SharedText(std::string path) : path_(std::move(path)) {
  std::error_code none;
  if (path_ == "-" || !std::filesystem::is_regular_file(path_, none)) bytes_ = read_unpacked(path_);
}

UnitText SharedText::units(const TextLanguageModel& model, const TextSource& from, const Log& log) {
  const OpenLines open = [this](const std::string& path, InvalidUtf8 policy) {
    if (!bytes_) return LineReader(path, policy);
    return LineReader::from_memory(path == "-" ? "standard input" : path, *bytes_, policy);
  };
  UnitText out = read_units(ModelSource(path_, model, from), model, open, log);
  const ByteDigest& read = out.files.front().read;
  if (digest_ && *digest_ != read)
    fail("{}: changed between two readings; measure both models on the same text", path_);
  digest_ = read;
  return out;
}

}  // namespace mnemo
