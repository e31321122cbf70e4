#include "tasks/start_from.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "base/shown.h"
#include "config/options.h"
#include "pipeline/network_options.h"

// Both ways to start are one walk over the new network's parameters and differ in strictness: a language model lends
// the weights it has, and the others keep their initial values; a model of the same task must have all of them. What a
// language model lends are whole parts, since half of a self-attention block would be of no use: a part that has other
// sizes where layers read both directions or further inputs is left out, but a recurrent layer, which those above it
// were trained on, must fit.

namespace mnemo {
namespace {

constexpr const char* kTable = "embedding.weight";

// Options that must be equal, since otherwise weights of the same shape would mean something else.
const std::vector<const char*> kCellKeys{"model.cell", "model.reset_after", "model.activation", "model.layer_norm"};
// Those for a model that lends its units, and for one that lends its layers.
const std::vector<const char*> kUnitKeys{"text.unit",      "text.target_unit", "text.joint",
                                         "text.normalize", "text.lowercase",   "text.digits"};
constexpr const char* kReverseKey = "text.reverse";
const std::vector<const char*> kLayerKeys{"model.projection",
                                          "model.hidden",
                                          "model.embedding",
                                          "model.residual",
                                          "model.sum_layers",
                                          "model.mogrifier.rounds",
                                          "model.mogrifier.rank",
                                          "model.self_attention.layer",
                                          "model.self_attention.feed_forward"};

std::vector<std::string> differences(const std::vector<const char*>& keys, const Config& config, const Config& theirs) {
  const Json mine = config_to_json(config), other = config_to_json(theirs);
  std::vector<std::string> out;
  for (const char* key : keys) {
    const Json::json_pointer at = config_pointer(key);
    if (mine.contains(at) && other.contains(at) && mine.at(at) != other.at(at))
      out.push_back(fmt::format("{} is {}, the model's is {}", key, mine.at(at).dump(), other.at(at).dump()));
  }
  return out;
}

void copy_row(Parameter& to, std::int64_t to_row, const Parameter& from, std::int64_t from_row) {
  std::copy_n(from.value.data() + from_row * from.row_size(), from.row_size(),
              to.value.data() + to_row * to.row_size());
}

class Start {
 public:
  Start(TextModel& model, const TextModel& old, const std::string& path, const Log& log)
      : model_(model),
        old_(old),
        path_(path),
        log_(log),
        lends_(old.lends_layers()),
        same_task_(std::string_view(model.task()) == old.task()),
        same_units_(model.vocabulary().serialize() == old.vocabulary().serialize()) {
    old.network().read_parameters([this](const Parameter& p) { theirs_[p.name] = &p; });
  }

  CarriedOver run() {
    check_start(model_.config(), old_, path_);
    if (lends_) find_misfits();
    model_.network().visit([this](Parameter& p) { fill(p); });
    if (!errors_.empty())
      fail("{}: its weights do not fit this configuration: {}; set the sizes in model to those of that model", path_,
           abridged(errors_));
    model_.network().weights_changed();
    return out_;
  }

 private:
  void fill(Parameter& p) {
    const auto match = theirs_.find(p.name);
    const Parameter* from = match == theirs_.end() ? nullptr : match->second;
    const bool output = p.name.starts_with("output.");
    const bool by_name =
        p.name == kTable || (output && same_task_ && !model_.output_rows().empty() && !old_.output_rows().empty());
    if (by_name && from && from->row_size() == p.row_size())
      return p.name == kTable ? copy_vectors(p, *from) : copy_outputs(p, *from);
    if (!by_name && from && from->shape == p.shape && means_the_same(p) && !misfits_.contains(layer_part(p.name)))
      return copy_whole(p, *from, output);
    if (lends_ && from && is_layer(p) && !misfits_.contains(layer_part(p.name))) return copy_layer(p, *from);
    if (!lends_)
      errors_.push_back(fmt::format("{} is {}, expected {}", p.name, from ? shape_text(from->shape) : "missing",
                                    shape_text(p.shape)));
  }

  static bool is_initial(const Parameter& p) { return p.name.find("initial") != std::string::npos; }
  static bool is_layer(const Parameter& p) { return p.name.starts_with("rnn.") && !is_initial(p); }

  // The part of the recurrent layers that a parameter belongs to: a direction of a layer, its mogrifier, its highway
  // gates or a block of self-attention. "rnn.weight_hh_l0" -> "rnn_l0", "rnn.attention_l0.norm.weight" ->
  // "rnn.attention_l0".
  static std::string layer_part(const std::string& name) {
    if (!name.starts_with("rnn.")) return name;
    std::string own = name.substr(0, name.find('.', 4));
    const std::size_t layer = own.rfind("_l");
    if (own.starts_with("rnn.attention") || own.starts_with("rnn.highway") || layer == std::string::npos) return own;
    return (own.starts_with("rnn.mogrifier") ? "rnn.mogrifier" : "rnn") + own.substr(layer);
  }

  // A layer may have more inputs than the language model's: both directions of the layer below, or characters.
  static bool fits(const Parameter& p, const Parameter& from) {
    const bool wider = p.name.starts_with("rnn.weight_ih_l") && p.row_size() >= from.row_size();
    return p.shape == from.shape || (wider && p.rows() == from.rows());
  }

  void find_misfits() {
    model_.network().read_parameters([this](const Parameter& p) {
      const auto from = theirs_.find(p.name);
      if (from == theirs_.end() || !is_layer(p) || fits(p, *from->second)) return;
      if (layer_part(p.name).starts_with("rnn_l"))
        fail(
            "{}: {} is {} in the language model and {} here: a layer of the cell {} has fewer gates where its input "
            "is as wide as its output; train the language model with another model.embedding, so that this is so in "
            "both models or in neither",
            path_, p.name, shape_text(from->second->shape), shape_text(p.shape), model_.config().model.cell);
      misfits_.emplace(layer_part(p.name),
                       fmt::format("{} for {}", shape_text(p.shape), shape_text(from->second->shape)));
    });
    if (misfits_.empty()) return;
    std::vector<std::string> parts;
    for (const auto& [part, shapes] : misfits_) parts.push_back(fmt::format("{} ({})", part, shapes));
    log_(
        fmt::format("{}: of other sizes here, as layers read both directions or further inputs, and left at their "
                    "initial weights: {}",
                    path_, abridged(parts, 10, ", ")));
  }

  // Whether two parameters of equal shape have the same meaning. Those that only language models have are passed on to
  // another one: the initial state always, clusters of units if the units are the same.
  bool means_the_same(const Parameter& p) const {
    if (!lends_ || is_layer(p)) return true;
    return same_task_ && (is_initial(p) || same_units_);
  }

  void copy_vectors(Parameter& p, const Parameter& from) {
    const Vocabulary &mine = model_.vocabulary(), &its = old_.vocabulary();
    for (std::int32_t id = 0; id < mine.size(); ++id) {
      const std::int32_t other = id == 0 ? Vocabulary::kUnknown : its.find(mine.text(id));
      if (id > 0 && other == Vocabulary::kUnknown) continue;
      if (!p.fixed_rows.empty() && p.fixed_rows[id] != 0) continue;  // the file's vector, which stays
      copy_row(p, id, from, other);
      out_.units += id > 0 ? 1 : 0;
    }
    copy_ngrams(p, from);
  }

  void copy_ngrams(Parameter& p, const Parameter& from) {
    const NgramOptions ngrams = ngram_options(model_.config().text), theirs = ngram_options(old_.config().text);
    const bool same = ngrams.any() && theirs.any() && ngrams.buckets == theirs.buckets;
    if (theirs.any() && !same)
      log_(fmt::format("{}: its {} n-grams are not carried over: this configuration has {}", path_, theirs.buckets,
                       ngrams.any() ? std::to_string(ngrams.buckets) : "none"));
    for (std::int64_t bucket = 0; same && bucket < std::int64_t{ngrams.buckets}; ++bucket)
      copy_row(p, model_.vocabulary().size() + bucket, from, old_.vocabulary().size() + bucket);
  }

  void copy_outputs(Parameter& p, const Parameter& from) {
    const std::vector<std::string> mine = model_.output_rows(), its = old_.output_rows();
    std::unordered_map<std::string_view, std::int64_t> places;
    for (std::size_t k = 0; k < its.size(); ++k) places.emplace(its[k], static_cast<std::int64_t>(k));
    for (std::size_t k = 0; k < mine.size(); ++k) {
      const auto match = places.find(mine[k]);
      if (match == places.end()) continue;
      copy_row(p, static_cast<std::int64_t>(k), from, match->second);
      out_.labels += p.name == "output.bias" ? 1 : 0;
    }
    out_.output = true;
  }

  void copy_whole(Parameter& p, const Parameter& from, bool output) {
    std::copy_n(from.value.data(), p.size(), p.value.data());
    out_.output = out_.output || output;
    count_layer(p);
  }

  // The columns of further inputs keep their initial values.
  void copy_layer(Parameter& p, const Parameter& from) {
    for (Index row = 0; row < p.rows(); ++row) copy_row(p, row, from, row);
    count_layer(p);
  }

  void count_layer(const Parameter& p) { out_.layers += p.name.find(".weight_ih_l") != std::string::npos ? 1 : 0; }

  TextModel& model_;
  const TextModel& old_;
  const std::string& path_;
  const Log& log_;
  bool lends_, same_task_, same_units_;
  std::unordered_map<std::string, const Parameter*> theirs_;
  std::map<std::string, std::string> misfits_;  // parts that keep their initial weights, each with a shape that differs
  std::vector<std::string> errors_;
  CarriedOver out_;
};

// "1 of 2 layers" where some of a language model's are left over, else "1 layer".
std::string layers_text(std::int64_t carried, const TextModel& old) {
  const std::int64_t has = old.config().model.layers;
  return old.lends_layers() && carried < has ? fmt::format("{} of {}", carried, counted(has, "layer"))
                                             : counted(carried, "layer");
}

}  // namespace

std::unique_ptr<TextModel> read_start(const std::string& path, const TaskTraits& task) {
  if (path.empty()) return nullptr;
  if (!task.borrows && !task.restarts)
    throw UsageError(fmt::format("--init-from: {}: a run of the task {} starts from no other model", path, task.name));
  auto out = TextModel::load(path);
  if ((task.borrows && out->lends_layers()) || (task.restarts && std::string_view(out->task()) == task.name))
    return out;
  throw UsageError(fmt::format("--init-from: {}: a run of the task {} starts from {}", path, task.name,
                               task.borrows && task.restarts ? "a language model, or from another model of its task"
                               : task.borrows                ? "a language model"
                                                             : "another model of its task"));
}

const char* name_of_start(const TextModel& start) {
  return start.lends_layers() ? "the language model" : "the model of --init-from";
}

Json provenance_of_start(const TextModel& start, const std::string& path) {
  Json out{{"sha256", sha256(read_file(path))}};
  const Json& its = start.metadata().provenance;
  if (its.contains("train")) out["train"] = its["train"];
  return out;
}

const TextModel* lender_of(const TextModel* start) { return start && start->lends_units() ? start : nullptr; }

void check_start(const Config& config, const TextModel& start, const std::string& path) {
  const Config& its = start.config();
  if (start.lends_layers() && !config.text.pretrained.empty())
    throw UsageError(
        "--init-from: a language model brings its own vectors, and text.pretrained others; omit one of them");
  std::vector<std::string> found = differences(kCellKeys, config, its);
  const auto check_keys = [&](const std::vector<const char*>& keys) {
    for (std::string& one : differences(keys, config, its)) found.push_back(std::move(one));
  };
  if (start.lends_units()) check_keys(kUnitKeys);
  if (start.lends_layers()) check_keys(kLayerKeys);
  if (!find_option(kReverseKey)->tasks.has(config.task) && its.text.reverse)
    found.push_back(fmt::format("a run of the task {} reads texts forwards, the model backwards", config.task));
  else if (config.text.reverse != its.text.reverse)
    found.push_back(fmt::format("{} is {}, the model's is {}", kReverseKey, config.text.reverse, its.text.reverse));
  if (!found.empty()) fail("{}: cannot start this configuration: {}", path, abridged(found));
}

GivenDefaults lent_values(const Config& config) {
  const Json its = config_to_json(config);
  std::vector<const char*> all{kReverseKey, "model.layers"};
  for (const auto* keys : {&kCellKeys, &kUnitKeys, &kLayerKeys}) all.insert(all.end(), keys->begin(), keys->end());
  GivenDefaults out;
  for (const char* key : all)
    if (its.contains(config_pointer(key))) out[key] = its.at(config_pointer(key));
  return out;
}

GivenDefaults defaults_from(const TextModel& start, const Config& config) {
  GivenDefaults out;
  const Json its = config_to_json(start.config());
  Config mine = config;
  if (start.lends_units()) mine.text.unit = start.config().text.unit;
  if (start.lends_layers() && config.task != start.config().task) out = language_model_defaults(mine);
  for (auto& [key, value] : lent_values(start.config())) out[key] = value;
  if (config.task == start.config().task)
    for (const Option& o : options())
      if ((o.key.starts_with("model.") || o.key.starts_with("text.ngrams.")) && its.contains(config_pointer(o.key)))
        out[o.key] = its.at(config_pointer(o.key));
  // The file's vectors have their own size.
  if (!config.text.pretrained.empty()) out.erase("model.embedding");
  return out;
}

Vocabulary vocabulary_from(const TextConfig& text, const VocabularyBuilder& train, const TextModel* from,
                           const Log& log, const char* name) {
  if (from && from->vocabulary().subwords()) {
    log(fmt::format("{}: the {} subwords of {}", name, from->vocabulary().size() - 1, name_of_start(*from)));
    return from->vocabulary();
  }
  Vocabulary out = build_vocabulary(text, train);
  if (out.subwords())
    log(fmt::format("{}: {} subwords by {} merges", name, out.size() - 1, out.subwords()->merges()));
  else
    log(fmt::format("{}: {} of {} units", name, out.size() - 1, train.distinct()));
  if (!from) return out;
  const std::int32_t before = out.size();
  for (std::int32_t id = 1; id < from->vocabulary().size(); ++id)
    if (from->vocabulary().text(id).front() != '\n') out.add(from->vocabulary().text(id));
  if (out.size() > before) log(fmt::format("{} more units from {}", out.size() - before, name_of_start(*from)));
  return out;
}

CarriedOver start_from(TextModel& model, const TextModel& old, const std::string& path, const Log& log) {
  const CarriedOver out = Start(model, old, path, log).run();
  if (old.lends_units() && !old.lends_layers()) {
    log(fmt::format("{}: its units and all weights carried over", path));
    return out;
  }
  std::string line = fmt::format("{}: vectors of {} of {} and {} carried over", path, out.units,
                                 counted(model.vocabulary().size() - 1, "unit"), layers_text(out.layers, old));
  if (const std::size_t rows = model.output_rows().size(); rows > 0 && out.output)
    line += fmt::format(", and {} of {} outputs", out.labels, rows);
  log(line);
  if (!model.output_rows().empty() && !out.output && model.lends_layers() && !model.config().model.tied)
    log(fmt::format("{}: its output layer does not fit and keeps its initial values", path));
  return out;
}

}  // namespace mnemo
