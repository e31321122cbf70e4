#include "tasks/start_from.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "config/options.h"
#include "pipeline/stored_model.h"

namespace mnemo {
namespace {

// Options that must be as the language model's, or its weights would mean something else.
std::vector<std::string> differences(const Config& config, const Config& theirs) {
  const Json mine = config_to_json(config), other = config_to_json(theirs);
  std::vector<std::string> out;
  for (const char* key : {"/text/unit", "/text/normalize", "/text/lowercase", "/text/digits", "/model/cell",
                          "/model/reset_after", "/model/activation", "/model/layer_norm", "/model/projection",
                          "/model/hidden", "/model/embedding", "/model/residual"}) {
    const Json::json_pointer at(key);
    if (mine.at(at) != other.at(at)) {
      std::string name(key + 1);
      std::replace(name.begin(), name.end(), '/', '.');
      out.push_back(fmt::format("{} is {}, its is {}", name, mine.at(at).dump(), other.at(at).dump()));
    }
  }
  return out;
}

}  // namespace

void add_units(const TextLanguageModel& from, Vocabulary& vocabulary, const Log& log) {
  const std::int32_t before = vocabulary.size();
  for (std::int32_t id = 1; id < from.vocabulary().size(); ++id)
    if (from.vocabulary().text(id).front() != '\n') vocabulary.add(from.vocabulary().text(id));
  if (vocabulary.size() > before) log(fmt::format("{} more of the model to begin with", vocabulary.size() - before));
}

CarriedOver start_from(TextLanguageModel& from, const std::string& path, const Config& config,
                       const Vocabulary& vocabulary, const std::string& table, const Visit& visit) {
  if (!config.text.pretrained.empty())
    throw UsageError("--init-from: a language model brings its own vectors, and text.pretrained others; leave one out");
  if (const auto found = differences(config, from.config()); !found.empty())
    fail("{}: cannot start this configuration: {}", path, fmt::join(found, "; "));
  CarriedOver out;
  std::unordered_map<std::string, Parameter*> theirs;
  from.network().visit([&](Parameter& p) { theirs[p.name] = &p; });
  const bool same_units = vocabulary.serialize() == from.vocabulary().serialize();
  visit([&](Parameter& p) {
    const bool output = p.name.starts_with("output.") && config.task == TextLanguageModel::kTask &&
                        config.model.cutoffs.empty() && from.config().model.cutoffs.empty() &&
                        p.rows() == vocabulary.size() && theirs.contains(p.name);
    if (p.name == table || output) {
      out.output = out.output || output;
      const Parameter& vectors = *theirs.at(output ? p.name : "embedding.weight");
      for (std::int32_t id = 0; id < vocabulary.size(); ++id) {
        const std::int32_t other = id == 0 ? 0 : from.vocabulary().find(vocabulary.text(id));
        if (id > 0 && other == Vocabulary::kUnknown) continue;
        std::copy_n(vectors.value.data() + other * vectors.row_size(), vectors.row_size(),
                    p.value.data() + id * p.row_size());
        out.units += id > 0 && !output ? 1 : 0;
      }
      return;
    }
    const auto found = theirs.find(p.name);
    if (found == theirs.end()) return;
    const Parameter& same = *found->second;
    // What is a language model's alone: the state that it begins with, and clusters of the same units.
    const bool initial = p.name.find("initial") != std::string::npos;
    if (initial || !p.name.starts_with("rnn.")) {
      if (config.task == TextLanguageModel::kTask && p.shape == same.shape && (initial || same_units)) {
        std::copy_n(same.value.data(), same.size(), p.value.data());
        out.output = out.output || !initial;
      }
      return;
    }
    const Index columns = same.row_size();
    if (p.rows() != same.rows() || p.row_size() < columns)
      fail("{}: {} is {}, which does not fit {}", path, p.name, shape_text(same.shape), shape_text(p.shape));
    for (Index row = 0; row < p.rows(); ++row)
      std::copy_n(same.value.data() + row * columns, columns, p.value.data() + row * p.row_size());
    out.layers += p.name.starts_with("rnn.weight_ih_l") ? 1 : 0;
  });
  return out;
}

}  // namespace mnemo
