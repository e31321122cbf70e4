#include "tasks/search_space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "base/error.h"
#include "base/shown.h"
#include "config/options.h"
#include "config/tasks.h"

namespace mnemo {
namespace {

struct SpaceRow {
  SearchKey key;
  TaskSet tasks = TaskSet::all();
};

// Ranges around what the recipes in configs/ use. The learning rate's is relative to the configuration's own, which
// fits its optimiser.
std::vector<SpaceRow> default_space(const Config& config) {
  const double rate = config.training.learning_rate;
  const auto numbers = [](std::vector<Json> values) { return values; };
  return {
      {{"training.learning_rate", {}, rate / 4, rate * 4}},
      {{"training.batch_size", numbers({8, 16, 32, 64})}, kClassify | kTag},
      {{"model.hidden", numbers({64, 128, 256})}, kClassify},
      {{"model.hidden", numbers({100, 200, 300})}, kTag},
      {{"model.hidden", numbers({128, 256, 512})}, kGenerate | kTranslate},
      {{"model.layers", numbers({1, 2})}},
      {{"model.pooling", {"last", "max", "mean", Json{"last", "max", "mean"}}}, kClassify},
      {{"model.convolution.widths", {Json::array(), Json{1, 2, 3}}}, kClassify},
      {{"model.dropout", {}, 0.1, 0.7}},
      {{"model.embedding_dropout", {}, 0.0, 0.7}},
      {{"model.word_dropout", {}, 0.0, 0.3}, kClassify | kTag},
      {{"model.weight_dropout", {}, 0.0, 0.5}, kGenerate},
      {{"model.char_encoder.kind", {"cnn", "bilstm"}}, kTag},
      {{"training.label_smoothing", numbers({0.0, 0.05, 0.1})}, kClassify | kTranslate},
  };
}

std::optional<double> number_of(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(value)) return std::nullopt;
  return value;
}

Json value_of(const std::string& text) {
  try {
    return parse_json(text);
  } catch (const JsonError&) {
    return text;  // as `--set` takes words without quotes
  }
}

SearchKey spelled_key(const std::string& spelled, const std::vector<SearchKey>& known) {
  const std::size_t equals = spelled.find('=');
  SearchKey out{spelled.substr(0, equals), {}};
  const auto found = std::ranges::find(known, out.key, &SearchKey::key);
  if (!find_option(out.key))
    throw UsageError(fmt::format("--keys {}: no such key of a configuration", escaped(spelled)));
  if (equals == spelled.npos) {
    if (found == known.end())
      throw UsageError(
          fmt::format("--keys {}: not in the default space, so expected values: {}=LOW..HIGH or "
                      "{}=VALUE|VALUE",
                      out.key, out.key, out.key));
    return *found;
  }
  const std::string values = spelled.substr(equals + 1);
  if (const std::size_t dots = values.find(".."); dots != values.npos) {
    const auto low = number_of(values.substr(0, dots)), high = number_of(values.substr(dots + 2));
    if (!low || !high || *low >= *high)
      throw UsageError(fmt::format("--keys {}: expected two numbers, the lower one first", escaped(spelled)));
    out.low = *low;
    out.high = *high;
    return out;
  }
  for (std::size_t begin = 0; begin <= values.size();) {
    const std::size_t end = std::min(values.find('|', begin), values.size());
    out.choices.push_back(value_of(values.substr(begin, end - begin)));
    begin = end + 1;
  }
  return out;
}

// Four significant digits: what a table shows is what a run takes.
std::string drawn_number(double value, const Json& schema) {
  if (schema.contains("type") && schema["type"] == "integer") return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

}  // namespace

std::string SearchKey::text() const {
  if (choices.empty()) return fmt::format("{} from {:.4g} to {:.4g}", key, low, high);
  std::vector<std::string> shown_choices;
  for (const Json& choice : choices)
    shown_choices.push_back(choice.is_string() ? choice.get<std::string>() : choice.dump());
  return fmt::format("{} {}", key, listed(shown_choices, "or"));
}

SearchSpace::SearchSpace(const Config& config, const std::vector<std::string>& wanted) {
  std::vector<SearchKey> known;
  for (SpaceRow& row : default_space(config)) {
    const Option* option = find_option(row.key.key);
    if (row.tasks.has(config.task) && option->tasks.has(config.task)) known.push_back(std::move(row.key));
  }
  if (wanted.empty()) keys_ = known;
  for (const std::string& one : wanted) {
    keys_.push_back(spelled_key(one, known));
    if (std::ranges::count(keys_, keys_.back().key, &SearchKey::key) > 1)
      throw UsageError(fmt::format("--keys {}: given twice", keys_.back().key));
  }
}

std::vector<std::string> SearchSpace::draw(RandomStream& random) const {
  std::vector<std::string> out;
  for (const SearchKey& key : keys_) {
    if (!key.choices.empty()) {
      const Json& choice = key.choices[random.below(key.choices.size())];
      out.push_back(key.key + "=" + (choice.is_string() ? choice.get<std::string>() : choice.dump()));
      continue;
    }
    const double share = random.uniform();
    const bool by_ratio = key.low > 0 && key.high / key.low >= 8;
    const double value =
        by_ratio ? key.low * std::pow(key.high / key.low, share) : key.low + share * (key.high - key.low);
    out.push_back(key.key + "=" + drawn_number(value, find_option(key.key)->schema));
  }
  return out;
}

}  // namespace mnemo
