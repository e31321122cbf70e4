// Lines of similar length are searched side by side: each step of the decoder is one product for the hypotheses of all
// of them, and a line whose search has ended leaves the batch. Batches run on the pool's threads, one each. Every row
// of a product is computed alone, so that a line's translation is the same whatever is beside it.
#include "pipeline/translation.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "decode/beam_search.h"
#include "models/translation_steps.h"
#include "pipeline/line_scorer.h"
#include "text/script.h"
#include "text/subwords.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr std::int64_t kHypotheses = 128;    // in a batch, about
constexpr std::int64_t kSourceUnits = 4096;  // in a batch of several lines

// One line that is being translated.
struct Item {
  std::int64_t number = 0;
  std::vector<std::int32_t> source;
  Tokens tokens;
  std::unique_ptr<Constraint> constraint;
  BeamOptions beam;
  SingleSearch::Options single;
  std::unique_ptr<Search> search;
  std::vector<AttentionChain> attention;     // [hypotheses]
  std::vector<std::vector<float>> coverage;  // [hypotheses][source units] of all steps
};

// Bytes that no line has, and those of control characters, which a sample might draw: a subword model could spell them
// by their units.
bool breaks_a_line(const Vocabulary& vocabulary, std::int32_t unit) {
  const auto byte = vocabulary.subwords() ? byte_of_unit(vocabulary.text(unit)) : std::nullopt;
  return byte ? *byte < 0x20 || *byte == 0x7F : vocabulary.text(unit).find_first_of("\n\r") != std::string_view::npos;
}

// A stretch of a line, bytes [begin, end), that is a term of the glossary.
struct Stretch {
  std::size_t begin, end, term;
};

// Adds where a term is in a line, and not as a part of a longer word; in scripts without blanks it may be anywhere.
void add_places(std::string_view line, std::string_view source, std::size_t term, std::vector<Stretch>& places) {
  const auto goes_on = [](std::string_view left, std::string_view right) {
    if (left.empty() || right.empty()) return false;
    std::size_t at = left.size() - 1;
    while (at > 0 && is_continuation(left[at])) --at;
    return within_word(decode_utf8(&left[at]).value, decode_utf8(right.data()).value);
  };
  for (std::size_t at = line.find(source); at != std::string_view::npos; at = line.find(source, at + 1))
    if (!goes_on(line.substr(0, at), source) && !goes_on(source, line.substr(at + source.size())))
      places.push_back({at, at + source.size(), term});
}

// The targets of the glossary's terms that a line has, but those that it has only within longer ones.
std::vector<std::string> terms_of_line(std::string_view line,
                                       const std::vector<std::pair<std::string, std::string>>& glossary) {
  std::vector<Stretch> places;
  for (std::size_t term = 0; term < glossary.size(); ++term) add_places(line, glossary[term].first, term, places);
  // A stretch then comes after those that it lies within.
  std::ranges::sort(places, [](const Stretch& a, const Stretch& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  std::vector<std::size_t> terms;
  std::size_t reached = 0;
  for (const Stretch& place : places) {
    if (place.end > reached) terms.push_back(place.term);
    reached = std::max(reached, place.end);
  }
  std::ranges::sort(terms);
  terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
  std::vector<std::string> out;
  out.reserve(terms.size());
  for (const std::size_t term : terms) out.push_back(glossary[term].second);
  return out;
}

// An error of a search does not say which line it is about.
template <typename F>
void in_line(const Item& item, const F& work) {
  try {
    work();
  } catch (const Error& error) {
    fail("line {}: {}", item.number + 1, error.what());
  }
}

class LineTranslator {
 public:
  LineTranslator(const TextTranslator& model, const TranslationOptions& options)
      : model_(model), options_(options), required_(options.required) {
    if (!required_ && (!options.prefixes.empty() || !options.glossary.empty()))
      required_ = std::make_shared<const RequiredText>(required_text(model));
    const Vocabulary& units = model.target().vocabulary;
    for (std::int32_t v = 0; v < units.size(); ++v)
      blocked_.push_back(v != model.end() && breaks_a_line(units, v) ? 1 : 0);
    if (!options.unknown || units.subwords()) blocked_[Vocabulary::kUnknown] = 1;
  }

  std::unique_ptr<Item> item(const std::string& line, std::int64_t number, const std::string& prefix) const {
    auto out = std::make_unique<Item>();
    out->number = number;
    model_.encode_source(line, out->tokens, out->source);
    const std::vector<std::string> terms = terms_of_line(line, options_.glossary);
    if (!prefix.empty() || !terms.empty()) out->constraint = required_->constraint(prefix, terms);
    const double units = static_cast<double>(out->source.size()) * model_.length_ratio;
    const auto most = static_cast<std::int64_t>(options_.longest * units) + TranslationOptions::kMoreUnits +
                      RequiredText::most_units(prefix, terms);
    const auto least = static_cast<std::int64_t>(options_.shortest * units);
    if (options_.single()) {
      if (options_.sampling) out->single.sampling = *options_.sampling;
      out->single.sampling.no_repeat = options_.no_repeat;
      out->single.seed = options_.seed;
      out->single.stream = static_cast<std::uint64_t>(number);
      out->single.length = most;
      out->single.least = least;
      out->single.blocked = blocked_;
      out->single.end = model_.end();
      out->single.constraint = out->constraint.get();
      out->search = std::make_unique<SingleSearch>(model_.target().vocabulary.size(), std::span<const std::int32_t>(),
                                                   out->single);
      return out;
    }
    out->beam = {.beam = std::max(options_.beam, options_.nbest),
                 .length = most,
                 .blocked = blocked_,
                 .end = model_.end(),
                 .no_repeat = options_.no_repeat,
                 .constraint = out->constraint.get(),
                 .least = least,
                 .length_penalty = options_.length_penalty};
    if (options_.coverage_penalty > 0)
      out->beam.bonus = [this, item = out.get()](Index b) { return coverage_of(*item, b); };
    out->search =
        std::make_unique<BeamSearch>(model_.target().vocabulary.size(), std::span<const std::int32_t>(), out->beam);
    return out;
  }

  std::vector<Translation> results(Item& item) const {
    std::vector<Translation> out;
    std::vector<GeneratedText> texts;
    in_line(item, [&] { texts = item.search->take(); });
    for (GeneratedText& found : texts) {
      if (std::ssize(out) == options_.nbest) break;
      Translation& one = out.emplace_back();
      one.log_probability = found.log_probability;
      one.score = found.score;
      one.units = std::move(found.units);
      for (std::size_t i = 0; i < item.tokens.size(); ++i) {
        one.source_units.emplace_back(item.tokens.text(i));
        one.source_places.emplace_back(item.tokens.begin(i), item.tokens.end(i));
      }
      if (options_.attention) one.attention = rows_of(found.attention, one.units.size());
      std::tie(one.text, one.places) = model_.join_with_places(one.units);
      // Subwords can spell a text in several ways, of which the likeliest counts.
      if (std::any_of(out.begin(), out.end() - 1, [&](const Translation& better) { return better.text == one.text; }))
        out.pop_back();
    }
    return out;
  }

  const TextTranslator& model() const { return model_; }

  void begin(Item& item) const {
    item.coverage.assign(1, std::vector<float>(item.source.size(), 0.0f));
    if (options_.attention) item.attention.resize(1);
  }

  // What the open hypotheses of an item, [first, first + open) of the steps, gave to its source.
  void note_attention(const TranslationSteps& steps, Index first, Index open, Item& item) const {
    if (options_.coverage_penalty <= 0 && !options_.attention) return;
    for (Index b = 0; b < open; ++b) {
      const std::vector<float> row = steps.shares(first + b);
      if (options_.attention)
        item.attention[b] = std::make_shared<AttentionLink>(AttentionRow(row), std::move(item.attention[b]));
      for (std::size_t i = 0; i < row.size() && options_.coverage_penalty > 0; ++i) item.coverage[b][i] += row[i];
    }
  }

  // What belongs to the hypotheses that are open now is that of those that they continue.
  void follow(Item& item) const {
    if (options_.coverage_penalty > 0) item.coverage = chosen(item.coverage, item.search->from());
    if (options_.attention) item.attention = chosen(item.attention, item.search->from());
  }

 private:
  template <typename T>
  static std::vector<T> chosen(const std::vector<T>& all, std::span<const Index> from) {
    std::vector<T> out;
    out.reserve(from.size());
    for (const Index b : from) out.push_back(all[static_cast<std::size_t>(b)]);
    return out;
  }

  double coverage_of(const Item& item, Index b) const {
    double sum = 0;
    for (const float got : item.coverage[b]) sum += std::log(std::clamp(static_cast<double>(got), 1e-9, 1.0));
    return options_.coverage_penalty * sum;
  }

  const TextTranslator& model_;
  const TranslationOptions& options_;
  std::shared_ptr<const RequiredText> required_;  // null if nothing is required
  std::vector<std::uint8_t> blocked_;
};

// The searches of several lines side by side, a step at a time, on the calling thread.
class Searches {
 public:
  Searches(const LineTranslator& translator, const std::vector<Item*>& items)
      : translator_(translator),
        going_(items),
        tape_(alone_, arena_, Tape::Mode::kInference),
        steps_(translator.model().network(), tape_, sources(items)),
        units_(items.size(), translator.model().end()) {
    for (Item* item : items) translator.begin(*item);
  }

  bool open() const { return !going_.empty(); }

  void step() {
    steps_.step(units_);
    std::vector<Index> from;
    std::vector<Item*> still;
    units_.clear();
    Index first = 0;
    for (Item* item : going_) {
      const Index open = item->search->open();
      translator_.note_attention(steps_, first, open, *item);
      in_line(*item, [&] { item->search->extend([&](Index b) { return steps_.scores(first + b); }, item->attention); });
      for (Index b = 0; b < item->search->open(); ++b) {
        from.push_back(first + item->search->from()[b]);
        units_.push_back(item->search->units()[b]);
      }
      if (item->search->open() > 0) {
        still.push_back(item);
        translator_.follow(*item);
      } else {
        item->attention.clear();
      }
      first += open;
    }
    going_ = std::move(still);
    if (!going_.empty()) reorder(from);
  }

 private:
  static std::vector<std::span<const std::int32_t>> sources(const std::vector<Item*>& items) {
    std::vector<std::span<const std::int32_t>> out;
    out.reserve(items.size());
    for (const Item* item : items) out.emplace_back(item->source);
    return out;
  }

  void reorder(const std::vector<Index>& from) {
    bool same = std::ssize(from) == steps_.hypotheses();
    for (std::size_t b = 0; b < from.size() && same; ++b) same = from[b] == static_cast<Index>(b);
    if (!same) steps_.select(from);
  }

  const LineTranslator& translator_;
  std::vector<Item*> going_;
  ThreadPool alone_{1};
  Arena arena_;
  Tape tape_;
  TranslationSteps steps_;
  std::vector<std::int32_t> units_;  // the last of each open hypothesis
};

class TranslationStreams : public TextStreams {
 public:
  explicit TranslationStreams(const TextTranslator& model) : model_(model), translator_(model, options_) {}

  void begin(std::int64_t key, const Json& record, Workspace&) override {
    auto one = std::make_unique<One>(line_of_record(record, 1, "text"), model_.target());
    if (!words_of(one->line, model_.source().text).empty()) one->item = translator_.item(one->line, 0, "");
    if (one->item && !one->item->source.empty()) one->searches.emplace(translator_, std::vector{one->item.get()});
    ones_[key] = std::move(one);
  }

  std::vector<StreamEvent> advance(std::span<const std::int64_t> keys, Workspace&) override {
    std::vector<StreamEvent> out;
    for (const std::int64_t key : keys) {
      out.push_back({.key = key});
      try {
        advance(*ones_.at(key), out.back());
      } catch (const Error& error) {
        out.back().error = error.what();
      }
    }
    return out;
  }

  void end(std::int64_t key) override { ones_.erase(key); }

 private:
  struct One {
    One(std::string its_line, const TextTranslator::Side& target) : line(std::move(its_line)), joiner(target) {}
    std::string line;
    std::unique_ptr<Item> item;  // null, or not searched for: a line without units
    std::optional<Searches> searches;
    TextTranslator::Joiner joiner;
    std::size_t joined = 0;  // units
  };

  void advance(One& one, StreamEvent& event) const {
    const auto join = [&](std::span<const std::int32_t> units) {
      for (; one.joined < units.size(); ++one.joined) event.piece += one.joiner.add(units[one.joined]);
    };
    std::vector<Translation> found(1);
    if (one.searches) {
      one.searches->step();
      if (one.searches->open()) return join(one.item->search->settled());
      found = translator_.results(*one.item);
      if (found.empty()) fail("no translation was found");
      join(found.front().units);
      event.piece += one.joiner.end();
    }
    event.answer = translations_json(model_, one.line, found, 1);
  }

  const TextTranslator& model_;
  const TranslationOptions options_;
  const LineTranslator translator_;
  std::unordered_map<std::int64_t, std::unique_ptr<One>> ones_;
};

// The first word that ends after a byte, or the last one: units may begin with the blank before their word.
std::size_t word_at(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& words, std::uint32_t byte) {
  const auto match = std::ranges::upper_bound(words, byte, {}, [](const auto& word) { return word.second; });
  return static_cast<std::size_t>(std::min(match - words.begin(), std::ssize(words) - 1));
}

Json rounded(const std::vector<float>& values) {
  Json out = Json::array();
  for (const float value : values) out.push_back(std::round(static_cast<double>(value) * 1e4) / 1e4);
  return out;
}

// Everything but the attention, whose place holds null.
Json small_parts(const TextTranslator& model, std::string_view line, const Translation& one) {
  Json tokens = Json::array(), links = Json::array();
  for (const std::int32_t id : one.units) tokens.push_back(std::string(model.target().vocabulary.text(id)));
  for (const auto& [source, target] : align(model, line, one)) links.push_back({source, target});
  return {{"text", one.text},
          {"log_prob", one.log_probability},
          {"score", one.score},
          {"tokens", std::move(tokens)},
          {"alignment", std::move(links)},
          {"source_tokens", one.source_units},
          {"attention", nullptr}};
}

Json translation_json(const TextTranslator& model, std::string_view line, const Translation& one) {
  Json out = small_parts(model, line, one), attention = Json::array();
  for (const AttentionRow& row : one.attention) attention.push_back(rounded(row.shares()));
  out["attention"] = std::move(attention);
  return out;
}

void write_translation(const TextTranslator& model, std::string_view line, const Translation& one,
                       const TextSink& out) {
  const Json parts = small_parts(model, line, one);
  const char* before = "{";
  for (const auto& [key, value] : parts.items()) {
    out(before + Json(key).dump() + ":");
    before = ",";
    if (!value.is_null()) {
      out(value.dump());
      continue;
    }
    out("[");
    for (std::size_t i = 0; i < one.attention.size(); ++i)
      out((i == 0 ? "" : ",") + rounded(one.attention[i].shares()).dump());
    out("]");
  }
  out("}");
}

}  // namespace

std::vector<std::vector<Translation>> translate(const TextTranslator& model, std::span<const std::string> lines,
                                                const TranslationOptions& options, ThreadPool& pool,
                                                std::int64_t first_line) {
  const LineTranslator translator(model, options);
  std::vector<std::vector<Translation>> out(lines.size());
  std::vector<std::unique_ptr<Item>> items;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string none;
    if (words_of(lines[i], model.source().text).empty()) {
      out[i].emplace_back();
      continue;
    }
    auto item = translator.item(lines[i], first_line + static_cast<std::int64_t>(i),
                                options.prefixes.empty() ? none : options.prefixes[i]);
    if (item->source.empty())
      out[i].emplace_back();
    else
      items.push_back(std::move(item));
  }
  std::stable_sort(items.begin(), items.end(),
                   [](const auto& a, const auto& b) { return a->source.size() > b->source.size(); });
  // Batches of similar length; as many as there are threads, if there are lines for that.
  const std::int64_t beam = options.single() ? 1 : std::max(options.beam, options.nbest);
  const std::int64_t threads = pool.threads();
  const std::int64_t most = std::clamp<std::int64_t>((std::ssize(items) + threads - 1) / threads, 1,
                                                     std::max<std::int64_t>(1, kHypotheses / beam));
  std::vector<std::size_t> starts;
  std::int64_t units = 0, count = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    units += std::ssize(items[i]->source);
    if (starts.empty() || ++count > most || units > kSourceUnits) {
      starts.push_back(i);
      units = std::ssize(items[i]->source);
      count = 1;
    }
  }
  starts.push_back(items.size());
  pool.parallel_for(std::ssize(starts) - 1, [&](std::int64_t batch) {
    const std::size_t begin = starts[batch], end = starts[batch + 1];
    std::vector<Item*> batch_items;
    for (std::size_t i = begin; i < end; ++i) batch_items.push_back(items[i].get());
    for (Searches searches(translator, batch_items); searches.open();) {
      pool.check();
      searches.step();
    }
    for (std::size_t i = begin; i < end; ++i) {
      const auto place = static_cast<std::size_t>(items[i]->number - first_line);
      out[place] = translator.results(*items[i]);
      items[i].reset();
    }
  });
  return out;
}

std::unique_ptr<TextStreams> translation_streams(const TextModel& model) {
  return std::make_unique<TranslationStreams>(static_cast<const TextTranslator&>(model));
}

RequiredText required_text(const TextTranslator& model) {
  const TextTranslator::Side& target = model.target();
  return RequiredText(target.vocabulary, target.tokenizer, target.text.blanks_between_units(), model.end());
}

std::vector<std::pair<std::uint32_t, std::uint32_t>> words_of(std::string_view text, const TextConfig& config) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> out;
  const auto is_blank = [](std::string_view character) {
    return character == " " || character == "\t" || character == "\u3000";
  };
  if (config.has_characters()) {
    Tokens tokens;
    Tokenizer({.unit = *unit_from_name(config.unit), .normalize = Normalization::kNone}).tokenize(text, tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i)
      if (!is_blank(text.substr(tokens.begin(i), tokens.end(i) - tokens.begin(i))))
        out.emplace_back(tokens.begin(i), tokens.end(i));
    return out;
  }
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = at + utf8_length(text[at]);
    const bool blank = is_blank(text.substr(at, end - at));
    if (!blank && !inside)
      out.emplace_back(at, end);
    else if (!blank)
      out.back().second = static_cast<std::uint32_t>(end);
    inside = !blank;
    at = end;
  }
  return out;
}

std::vector<WordLink> align(const TextTranslator& model, std::string_view line, const Translation& one) {
  const auto source = words_of(line, model.source().text), target = words_of(one.text, model.target().text);
  std::vector<WordLink> out;
  if (source.empty() || target.empty()) return out;
  std::vector<std::size_t> words;  // of the source's units
  words.reserve(one.source_places.size());
  for (const auto& place : one.source_places) words.push_back(word_at(source, place.first));
  // The units of a word follow one another. A unit has several words where an entry of them replaced it.
  for (std::size_t i = 0; i < one.units.size();) {
    const std::size_t t = word_at(target, one.places[i].first);
    std::uint32_t end = 0;
    std::vector<float> sums(source.size(), 0.0f);
    for (; i < one.units.size() && word_at(target, one.places[i].first) == t; ++i) {
      const std::vector<float> shares = one.attention[i].shares();
      for (std::size_t j = 0; j < words.size(); ++j) sums[words[j]] += shares[j];
      end = one.places[i].second;
    }
    const auto best = std::max_element(sums.begin(), sums.end());
    for (std::size_t word = t; word == t || (word < target.size() && target[word].first < end); ++word)
      out.emplace_back(static_cast<std::int32_t>(best - sums.begin()), static_cast<std::int32_t>(word));
  }
  return out;
}

Json words_json(const TextTranslator& model, const std::string& text, const std::vector<double>& log_p) {
  Tokens tokens;
  model.target().tokenizer.tokenize(text, tokens);
  const auto words = words_of(text, model.target().text);
  std::vector<double> sums(words.size() + 1, 0.0);
  for (std::size_t i = 0; i < log_p.size(); ++i)
    sums[i < tokens.size() && !words.empty() ? word_at(words, tokens.begin(i)) : words.size()] += log_p[i];
  Json out = Json::array();
  for (std::size_t w = 0; w < words.size(); ++w)
    out.push_back({text.substr(words[w].first, words[w].second - words[w].first), sums[w]});
  out.push_back({"", sums.back()});
  return out;
}

Json pair_score_json(const TextTranslator& model, const std::string& text, const EncodedPair& pair,
                     const std::vector<double>& log_probabilities) {
  const LineScore score{pair.target, log_probabilities, std::ranges::count(pair.target, Vocabulary::kUnknown)};
  Json out = score.json(model.target().vocabulary);
  out["words"] = words_json(model, text, log_probabilities);
  return out;
}

Json translations_json(const TextTranslator& model, std::string_view line, const std::vector<Translation>& translations,
                       std::int64_t nbest) {
  if (nbest == 1) return translation_json(model, line, translations.front());
  Json out = Json::array();
  for (const Translation& one : translations) out.push_back(translation_json(model, line, one));
  return {{"hypotheses", std::move(out)}};
}

void write_translations(const TextTranslator& model, std::string_view line,
                        const std::vector<Translation>& translations, std::int64_t nbest, const TextSink& out) {
  if (nbest == 1) return write_translation(model, line, translations.front(), out);
  out(R"({"hypotheses":[)");
  for (std::size_t k = 0; k < translations.size(); ++k) {
    if (k > 0) out(",");
    write_translation(model, line, translations[k], out);
  }
  out("]}");
}

}  // namespace mnemo
