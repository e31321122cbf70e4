// Tags keep their spelling from the data until a batch is made. Each column's scheme is guessed from train unless
// data.scheme names it, and sequences that the scheme would not allow are read by conlleval's rule, which never fails;
// both are reported, since a wrong scheme would otherwise go unnoticed.
#include "tasks/tag/data.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>

#include "base/error.h"
#include "base/shown.h"
#include "tasks/label_list.h"
#include "tasks/split.h"
#include "text/packed_bytes.h"

namespace mnemo {
namespace {

constexpr std::uint32_t kBySpans = 1, kBreaks = 2;

// Tags of one kind: the number of tokens that have them, and the first one.
struct SeenTags {
  std::int64_t count = 0;
  std::string tag, place;

  void add(const std::string& seen, const TaggedSentences& train, const TaggedSentences::Entry& entry, std::size_t t) {
    if (count++ > 0) return;
    tag = seen;
    place = train.place(entry, t);
  }
};

// Why tags that nearly spell spans follow no scheme; empty if they are far from it.
std::string near_scheme(const TaggedSentences& train, std::size_t k) {
  std::int64_t tokens = 0, spans = 0;
  SeenTags outside, misspelled, others;
  for (const auto& entry : train.entries())
    for (std::size_t t = 0; t < entry.tokens.size(); ++t) {
      const std::string& tag = entry.tags[k][t];
      const auto meant = meant_tag(tag);
      const bool spells = tag.size() > 2 && tag[1] == '-' && std::string_view("BIESMLU").find(tag[0]) < 7;
      ++tokens;
      spans += spells || (meant && meant != "O") ? 1 : 0;
      if (meant) (meant == "O" ? outside : misspelled).add(tag, train, entry, t);
      if (!meant && !spells && tag != "O") others.add(tag, train, entry, t);
    }
  if (spans == 0 || tokens <= 10 * others.count) return "";
  std::vector<std::string> reasons;
  for (const SeenTags* seen : {&outside, &misspelled})
    if (seen->count > 0)
      reasons.push_back(fmt::format("{} of {} tokens have tags such as \"{}\" at {}, which spans spell {}", seen->count,
                                    tokens, shown(seen->tag), seen->place, shown(*meant_tag(seen->tag))));
  if (others.count > 0)
    reasons.push_back(
        fmt::format("{} of {} are not, the first \"{}\" at {}", others.count, tokens, shown(others.tag), others.place));
  return reasons.empty() ? "letters of several schemes" : fmt::format("{}", fmt::join(reasons, "; "));
}

// Reports if most tags of a column look like spans but some do not, so that all stand for themselves; and if tokens
// have only the mark of conllu for a missing tag.
void report_near_scheme(const TaggedSentences& train, std::size_t k, const std::string& name, const Log& log) {
  if (const std::string reason = near_scheme(train, k); !reason.empty())
    log(
        fmt::format("column {}: its tags stand for themselves, as they follow no scheme of spans ({}); data.scheme can "
                    "name one: iob1, bio, ioe2, bioes, bmes or bilou",
                    shown(name), reason));
  std::int64_t missing = 0;
  for (const auto& entry : train.entries()) missing += std::count(entry.tags[k].begin(), entry.tags[k].end(), "_");
  if (missing > 0)
    log(fmt::format("column {}: {} tokens have the tag \"_\", which is learnt as any other", shown(name), missing));
}

// The columns of train: their schemes, and the tags of the model.
std::vector<TagColumn> find_columns(const Config& config, const TaggedSentences& train, const Log& log) {
  std::vector<std::string> names = config.data.columns;
  if (names.empty()) names.emplace_back(config.data.format == "conllu" ? "upos" : "tag");
  std::vector<TagColumn> out;
  for (std::size_t k = 0; k < names.size(); ++k) {
    SchemeGuess guess;
    std::set<std::string> found;
    for (const auto& entry : train.entries()) {
      guess.add(entry.tags[k]);
      found.insert(entry.tags[k].begin(), entry.tags[k].end());
    }
    // Words are always spelled in BMES, even if those of train are too short to show it.
    const TagScheme guessed = finds_words(names[k]) ? TagScheme::kBmes : guess.scheme();
    TagColumn column{names[k], scheme_from_name(config.data.scheme).value_or(guessed), TagScheme::kNone, {}};
    if (column.data_scheme == TagScheme::kNone && config.data.scheme == "auto")
      report_near_scheme(train, k, names[k], log);
    column.scheme = model_scheme(config, column.data_scheme);
    column.tags = model_tags({found.begin(), found.end()}, column.data_scheme, column.scheme);
    out.push_back(std::move(column));
  }
  return out;
}

}  // namespace

// A record's tag says whether it is by spans and has breaks. Its bytes: the number of tokens and of columns; of each
// token its length, its bytes, its line less that of the first, and its break if the record has any; of each column and
// token the number of its tag.
void TaggedSentences::add(const Entry& entry) {
  std::string bytes;
  append_number(bytes, entry.tokens.size());
  append_number(bytes, entry.tags.size());
  const std::size_t line = entry.lines.empty() ? 0 : entry.lines.front();
  for (std::size_t t = 0; t < entry.tokens.size(); ++t) {
    append_number(bytes, entry.tokens[t].size());
    bytes += entry.tokens[t];
    append_number(bytes, entry.lines[t] - line);
    if (!entry.breaks.empty()) append_number(bytes, entry.breaks[t]);
  }
  for (const std::vector<std::string>& column : entry.tags)
    for (const std::string& tag : column) append_number(bytes, static_cast<std::uint64_t>(tags_->insert(tag)));
  store().add(entry.file, line, (entry.by_spans ? kBySpans : 0) | (entry.breaks.empty() ? 0 : kBreaks), {bytes});
}

TaggedSentences::Entry TaggedSentences::entry(std::int64_t record) const {
  const std::int64_t i = number(record);
  const std::uint32_t kind = store().tag(i);
  PackedReader reader(store().bytes(i), "", "a sentence");
  const std::uint64_t tokens = reader.number(), columns = reader.number(), line = store().line(i);
  Entry out;
  for (std::uint64_t t = 0; t < tokens; ++t) {
    out.tokens.emplace_back(reader.take(reader.number()));
    out.lines.push_back(line + reader.number());
    if ((kind & kBreaks) != 0) out.breaks.push_back(static_cast<std::uint8_t>(reader.number()));
  }
  out.tags.resize(columns);
  for (std::vector<std::string>& column : out.tags)
    for (std::uint64_t t = 0; t < tokens; ++t)
      column.emplace_back(tags_->text(static_cast<std::int32_t>(reader.number())));
  out.file = store().file(i);
  out.by_spans = by_spans(record);
  return out;
}

std::int32_t TaggedSentences::length(std::int64_t record) const {
  return static_cast<std::int32_t>(PackedReader(store().bytes(number(record)), "", "a sentence").number());
}

bool TaggedSentences::by_spans(std::int64_t record) const { return (store().tag(number(record)) & kBySpans) != 0; }

std::string TaggedSentences::text_of(RecordStore::Copy record) const {
  PackedReader reader(record.bytes, "", "a sentence");
  std::vector<std::string> tokens(reader.number());
  reader.number();  // of columns
  for (std::string& token : tokens) {
    token = reader.take(reader.number());
    reader.number();  // of the line
    if ((record.tag & kBreaks) != 0) reader.number();
  }
  return join_tokens(tokens, " ").text;
}

std::string TaggedSentences::place(std::int64_t record) const {
  const Entry own = entry(record);
  return own.tokens.empty() ? shown_path(files[own.file].path) : place(own, 0);
}

std::string TaggedSentences::place(const Entry& entry, std::size_t token) const {
  return fmt::format("{}:{}", shown_path(files[entry.file].path), entry.lines[token]);
}

void report_repairs(const TaggedSentences& sentences, const std::vector<TagColumn>& columns, const Log& log) {
  for (std::size_t k = 0; k < columns.size(); ++k) {
    if (columns[k].data_scheme == TagScheme::kNone) continue;
    std::int64_t repaired = 0;
    std::string first;
    for (const auto& entry : sentences.entries()) {
      const auto& tags = entry.tags[k];
      const auto spelled = spell_spans(conlleval_spans(tags), tags.size(), columns[k].data_scheme);
      if (spelled == tags) continue;
      const auto at = std::mismatch(tags.begin(), tags.end(), spelled.begin()).first - tags.begin();
      if (repaired++ == 0)
        first = fmt::format("{}: {} read as {}", sentences.place(entry, at), shown(tags[at]), shown(spelled[at]));
    }
    if (repaired > 0)
      log(fmt::format("sentences whose column {} is not a sequence of {}, read by conlleval's rule: {}; the first: {}",
                      shown(columns[k].name), name_of(columns[k].data_scheme), repaired, first));
  }
}

void report_reader(const SentenceReader& reader, const Log& log) {
  const SentenceCounts counts = reader.counts();
  report_byte_order_marks(reader.name(), counts.had_bom, counts.bom_lines, log);
  if (counts.crlf_lines > 0) log(fmt::format("{}: lines that end in CRLF: {}", reader.name(), counts.crlf_lines));
  if (counts.invalid_sequences > 0)
    log(fmt::format("{}: invalid UTF-8 sequences replaced or skipped: {}", reader.name(), counts.invalid_sequences));
  if (counts.moved_spans > 0)
    log(fmt::format("spans that do not begin and end with tokens, read as the tokens they touch: {}; the first: {}",
                    counts.moved_spans, counts.first_moved));
  if (counts.repeated_spans > 0)
    log(fmt::format("{}: spans that a line has twice, read once: {}", reader.name(), counts.repeated_spans));
  if (counts.compounds > 0)
    log(fmt::format("{}: compounds in brackets, of which the words are read: {}", reader.name(), counts.compounds));
}

TaggedSentences read_sentences(const std::vector<DataFile>& files, const Config& config, const ReadRequest& request,
                               const std::string& what) {
  TaggedSentences out(request.storage);
  std::size_t tokens = 0;
  for (const DataFile& file : files) {
    const std::string path = data_path(file.file, config.data.dir, request.config_path);
    out.files.push_back({path});
    const SentenceOptions options = sentence_options(config, file, request.invalid_utf8, true);
    const auto reader = SentenceReader::open(path, options);
    const std::size_t columns = std::max<std::size_t>(1, config.data.columns.size());
    Sentence s;
    while (reader->next(s)) {
      if (s.tags.size() != columns)
        fail("{}: {} has one column of tags, the model {}: {}", reader->name(), name_of(options.format), columns,
             fmt::join(config.data.columns, ", "));
      if (predicts_words(config)) cut_words(config, s);
      std::vector<std::uint8_t> breaks = predicts_words(config) ? blanks_before(s) : std::vector<std::uint8_t>();
      std::vector<std::size_t> lines(s.tokens.size(), s.line);
      for (std::size_t i = 0; i < s.line_tokens.size(); ++i)
        if (s.line_tokens[i] >= 0) lines[s.line_tokens[i]] = s.line + i;
      tokens += s.tokens.size();
      out.add({std::move(s.tokens), std::move(s.tags), std::move(lines), std::move(breaks),
               static_cast<std::uint32_t>(out.files.size() - 1), s.by_spans});
    }
    out.files.back().records = static_cast<std::int64_t>(reader->counts().sentences);
    out.files.back().read = reader->digest();
    report_reader(*reader, request.log);
  }
  out.finish();
  if (tokens == 0)
    fail("{}: {} has no tokens", out.files.empty() ? "data." + what : shown_path(out.files.front().path), what);
  return out;
}

void respell_spans(TaggedSentences& sentences, const std::vector<TagColumn>& columns) {
  const TagScheme scheme = columns.front().data_scheme;
  if (scheme == TagScheme::kNone || scheme == TagScheme::kBio) return;
  bool any = false;
  for (std::int64_t i = 0; i < sentences.size() && !any; ++i) any = sentences.by_spans(i);
  if (!any) return;
  TaggedSentences out(sentences.storage());
  out.files = sentences.files;
  for (auto entry : sentences.entries()) {
    if (entry.by_spans) entry.tags[0] = spell_spans(conlleval_spans(entry.tags[0]), entry.tokens.size(), scheme);
    out.add(entry);
  }
  out.finish();
  sentences = std::move(out);
}

void check_schemes(const TaggedSentences& sentences, const std::vector<TagColumn>& columns) {
  for (std::size_t k = 0; k < columns.size(); ++k) {
    const TagScheme scheme = columns[k].data_scheme;
    if (scheme == TagScheme::kNone) continue;
    for (const auto& entry : sentences.entries())
      for (std::size_t t = 0; t < entry.tokens.size(); ++t)
        if (!split_tag(entry.tags[k][t], scheme))
          fail("{}: tag \"{}\" is not of the scheme {}: {}", sentences.place(entry, t), shown(entry.tags[k][t]),
               name_of(scheme), tags_of(scheme));
  }
}

UnseenTags unseen_tags(const TaggedSentences& sentences, const std::vector<TagColumn>& columns) {
  UnseenTags out;
  for (std::size_t k = 0; k < columns.size(); ++k) {
    const TagColumn& column = columns[k];
    std::unordered_set<std::string> known(column.tags.begin(), column.tags.end()), types;
    for (const std::string& tag : column.tags)
      if (const auto parts = split_tag(tag, column.scheme)) types.insert(std::string(parts->type));
    const auto is_known = [&](const std::string& tag) {
      if (column.data_scheme == TagScheme::kNone) return known.contains(tag);
      const auto parts = split_tag(tag, column.data_scheme);
      return parts->letter == 'O' ? known.contains("O") : types.contains(std::string(parts->type));
    };
    for (const auto& entry : sentences.entries())
      for (std::size_t t = 0; t < entry.tokens.size(); ++t)
        if (!is_known(entry.tags[k][t]) && out.count++ == 0)
          out.first = fmt::format("\"{}\" of column {} at {}", shown(entry.tags[k][t]), shown(column.name),
                                  sentences.place(entry, t));
  }
  return out;
}

void report_unseen(const UnseenTags& unseen, const std::string& what, const Log& log) {
  if (unseen.count > 0)
    log(fmt::format("{}: tags that do not occur in train and so count as missed: {}, the first {}", what, unseen.count,
                    unseen.first));
}

bool has_spans(const TaggedSentences& sentences, const TagColumn& column) {
  if (column.data_scheme == TagScheme::kNone) return false;
  for (const auto& entry : sentences.entries())
    if (!conlleval_spans(entry.tags[0]).empty()) return true;
  return false;
}

void TaggingData::describe_labels(const Log& log) const {
  for (std::size_t k = 0; k < columns.size(); ++k) {
    std::map<std::string, std::int64_t> counts;
    for (const auto& entry : train_sentences().entries())
      for (const std::string& tag : entry.tags[k]) ++counts[tag];
    std::vector<std::pair<std::string, std::int64_t>> names;
    names.reserve(counts.size());
    for (const auto& [tag, count] : counts) names.emplace_back(shown_label(tag), count);
    log(fmt::format("tags of column {} in train: {}", shown(columns[k].name), listed_by_count(std::move(names))));
  }
}

std::unique_ptr<TaskData> TaggingData::with(std::unique_ptr<Dataset> its_train, std::unique_ptr<Dataset> its_dev,
                                            std::unique_ptr<Dataset> its_test) const {
  auto out = std::make_unique<TaggingData>(columns);
  out->train = std::move(its_train);
  out->dev = std::move(its_dev);
  out->test = std::move(its_test);
  return out;
}

namespace {

void check_columns(const Config& config) {
  const auto& columns = config.data.columns;
  for (const char* name : {kWordsColumn, kTaggedWordsColumn})
    if (columns.size() > 1 && std::find(columns.begin(), columns.end(), name) != columns.end())
      throw UsageError(fmt::format("data.columns: {} must be the only one, as its tokens are characters", name));
  if (predicts_words(config) && config.text.unit != "char")
    throw UsageError(fmt::format("data.columns: {} are found in characters; set text.unit to char", columns.front()));
}

void check_train_columns(const TaggedSentences& train, const std::vector<TagColumn>& columns, const Log& log) {
  check_schemes(train, columns);
  for (const TagColumn& column : columns) {
    if (column.tags.size() < 2)
      fail("{}: column {} has only the tag \"{}\"; a tagger needs two", train.files.front().path, shown(column.name),
           shown(column.tags.front()));
    log(fmt::format("column {}: {} tags, scheme {}", shown(column.name), column.tags.size(),
                    name_of(column.data_scheme)));
  }
}

void check_metric_on_dev(const Config& config, const TaggingData& data, const Log& log) {
  const std::string& metric = config.training.early_stopping.metric;
  const bool spans = data.columns.front().data_scheme != TagScheme::kNone;
  if (metric == "f1" && !spans)
    throw UsageError("training.early_stopping.metric: f1 counts spans, but the tags spell none; use token_accuracy");
  if (!spans || data.dev->size() == 0 || has_spans(data.dev_sentences(), data.columns.front())) return;
  if (metric == "f1")
    throw UsageError("training.early_stopping.metric: f1 is not defined on dev, which has no span; use loss");
  if (metric == "auto") log("dev has no span, so F1 is not defined on it: the model is chosen by the loss");
}

}  // namespace

std::unique_ptr<TaggingData> read_tagging_data(const Config& config, const ReadRequest& request) {
  const DataConfig& d = config.data;
  check_train_named(d);
  check_columns(config);
  const auto read = [&](const std::vector<DataFile>& files, const char* what) {
    return std::make_unique<TaggedSentences>(files.empty() ? TaggedSentences(request.storage)
                                                           : read_sentences(files, config, request, what));
  };
  auto train = read(d.train, "train");
  auto out = std::make_unique<TaggingData>(find_columns(config, *train, request.log));
  auto dev = read(d.dev, "dev"), test = read(d.test, "test");
  for (TaggedSentences* part : {train.get(), dev.get(), test.get()}) respell_spans(*part, out->columns);
  check_train_columns(*train, out->columns, request.log);
  for (const auto& [part, what] : {std::pair{dev.get(), "dev"}, {test.get(), "test"}}) {
    check_schemes(*part, out->columns);
    report_unseen(unseen_tags(*part, out->columns), what, request.log);
  }
  for (const TaggedSentences* part : {train.get(), dev.get(), test.get()})
    report_repairs(*part, out->columns, request.log);
  out->train = std::move(train);
  out->dev = std::move(dev);
  out->test = std::move(test);
  if (d.dev.empty()) keep_dev_out(config, "sentence", *out, request.log);
  check_metric_on_dev(config, *out, request.log);
  return out;
}

}  // namespace mnemo
