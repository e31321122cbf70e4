#include "tasks/search_space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/shown.h"
#include "config/options.h"
#include "config/tasks.h"
#include "pipeline/network_options.h"

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
      {{"model.self_attention.layer", numbers({0, 1})}, kGenerate},
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

bool is_integer(const SearchKey& key) {
  const Json& schema = find_option(key.key)->schema;
  return schema.contains("type") && schema["type"] == "integer";
}

std::string set_of(const std::string& key, const Json& value) {
  return key + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
}

// All choices, or both ends.
std::vector<std::string> extremes(const SearchKey& key) {
  std::vector<std::string> out;
  for (const Json& choice : key.choices) out.push_back(set_of(key.key, choice));
  if (key.choices.empty())
    for (const double end : {key.low, key.high}) out.push_back(fmt::format("{}={}", key.key, end));
  return out;
}

// Whether the configuration takes every value of the key, other keys as they are.
bool fits(const SearchKey& key, const std::string& config) {
  try {
    for (const std::string& set : extremes(key)) parse_config(config, "configuration", {set}, check_network);
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

// Tasks whose every metric is a function of the loss on dev.
constexpr TaskSet kMeasuredByLoss = kGenerate;

// Keys, or beginnings of keys, that change what the loss on dev is a mean of: a sentence's or a token's, over which
// tags, over which units. Weights and smoothing of the loss in training have no part in that on dev.
struct LossRow {
  std::string_view key;
  TaskSet tasks;
};
constexpr std::array kLossRows{LossRow{"model.crf", kTag}, LossRow{"model.scheme", kTag},
                               LossRow{"text.", kGenerate | kTranslate}};

bool changes_loss(const std::string& key, const std::string& task) {
  return std::ranges::any_of(kLossRows,
                             [&](const LossRow& row) { return row.tasks.has(task) && key.starts_with(row.key); });
}

void refuse_language_model(const Config& config) {
  if (trains_language_model_first(config))
    throw UsageError(
        fmt::format("{}: tune trains no language model first; leave it out, and "
                    "training.language_epochs and training.sampled_softmax if they are set",
                    language_model_key(config)));
}

void check_wanted(const SearchKey& key, const Config& given, const std::string& config) {
  const Option& option = *find_option(key.key);
  const bool other_loss = changes_loss(key.key, given.task);
  if (key.key == "task" || key.key == "training.early_stopping.metric" || key.key.starts_with("data.") ||
      (other_loss && kMeasuredByLoss.has(given.task)))
    throw UsageError(
        fmt::format("--keys {}: with other values dev would measure something else, or the same", key.key));
  if (option.local)
    throw UsageError(fmt::format(
        "--keys {}: it names files, or says how a run uses the machine, and neither is searched over", key.key));
  if (key.key == "training.seed")
    throw UsageError("--keys training.seed: the best of several seeds is the luckiest one, not the best configuration");
  if (other_loss && given.training.early_stopping.metric == "loss")
    throw UsageError(
        fmt::format("--keys {}: losses with different values of it cannot be compared; set "
                    "training.early_stopping.metric to another metric",
                    key.key));
  for (const std::string& set : extremes(key)) try {
      // Conflicts with other keys depend on the values that these are given.
      refuse_language_model(parse_config(config, "configuration", {set}));
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("--keys {}: {}", escaped(set), error.what()));
    }
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
  refuse_language_model(config);
  const std::string text = config_to_json(config).dump();
  std::vector<SearchKey> known;
  for (SpaceRow& row : default_space(config)) {
    const Option* option = find_option(row.key.key);
    if (row.tasks.has(config.task) && option->tasks.has(config.task) && fits(row.key, text))
      known.push_back(std::move(row.key));
  }
  if (wanted.empty()) keys_ = known;
  for (const std::string& one : wanted) {
    const SearchKey& key = keys_.emplace_back(spelled_key(one, known));
    check_wanted(key, config, text);
    if (std::ranges::count(keys_, key.key, &SearchKey::key) > 1)
      throw UsageError(fmt::format("--keys {}: given twice", key.key));
  }
}

std::vector<std::string> SearchSpace::draw(RandomStream& random) const {
  std::vector<std::string> out;
  for (const SearchKey& key : keys_) {
    if (!key.choices.empty()) {
      out.push_back(set_of(key.key, key.choices[random.below(key.choices.size())]));
      continue;
    }
    // Each whole number has the room of one.
    const double room = is_integer(key) ? 0.5 : 0;
    const double low = key.low - room, high = key.high + room, share = random.uniform();
    const bool by_ratio = low > 0 && high / low >= 8;
    const double value = by_ratio ? low * std::pow(high / low, share) : low + share * (high - low);
    // Four significant digits: what a table shows is what a run takes.
    out.push_back(is_integer(key) ? fmt::format("{}={:.0f}", key.key, std::clamp(std::round(value), key.low, key.high))
                                  : fmt::format("{}={:.4g}", key.key, value));
  }
  return out;
}

}  // namespace mnemo
