#include "tasks/probe.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/shown.h"
#include "base/temporary_folder.h"
#include "config/options.h"
#include "nn/cell_trace.h"
#include "pipeline/stored_model.h"
#include "tasks/trial.h"

namespace mnemo {
namespace {

Config without_noise(Config config) {
  ModelConfig& m = config.model;
  for (double* rate :
       {&config.text.merge_dropout, &m.char_encoder.dropout, &m.dropout, &m.embedding_dropout, &m.layer_dropout,
        &m.word_dropout, &m.state_dropout, &m.weight_dropout, &m.zoneout_h, &m.zoneout_c, &m.singleton_dropout,
        &m.unit_dropout, &m.activation_penalty, &m.slowness_penalty, &m.condition_dropout, &m.context_dropout,
        &m.source_dropout, &m.target_dropout, &config.training.label_smoothing})
    *rate = 0.0;
  config.training.class_weight = {};
  return config;
}

std::unique_ptr<TaskData> data_for(const TextModel& model, std::unique_ptr<Dataset> data) {
  return task_of(model).data_of(model, std::move(data));
}

// Batch after batch of the data as one in training, recorded on a tape. `use` says whether to go on.
void for_batches(TextModel& model, const Config& config, const TaskData& data, ThreadPool& pool,
                 const std::function<bool(ModelTraining& training, Tape& tape)>& use) {
  const auto training = task_of(model).training(config, data, model);
  model.network().weights_changed();
  training->begin_epoch(0);
  Arena arena;
  bool going = true;
  for (std::int64_t batch = 0; batch < training->batches() && going; ++batch) {
    training->prepare(batch, batch);
    arena.reset();
    Tape tape(pool, arena, Tape::Mode::kTraining);
    training->visit([](Parameter& p) { p.clear_gradient(); });
    going = use(*training, tape);
  }
}

void merge(const GradientTrace& from, GradientTrace& to) {
  if (to.layers.empty()) {
    to.layers = from.layers;
    return;
  }
  for (std::size_t l = 0; l < from.layers.size(); ++l) {
    to.layers[l].h.insert(to.layers[l].h.end(), from.layers[l].h.begin(), from.layers[l].h.end());
    to.layers[l].c.insert(to.layers[l].c.end(), from.layers[l].c.begin(), from.layers[l].c.end());
  }
}

// A configuration with another cell, and in what else it differs, in words.
struct Beside {
  Config config;
  std::vector<std::string> differs;
};

Beside beside_with(Config config, const std::string& cell) {
  Beside out;
  ModelConfig& m = config.model;
  m.cell = cell;
  const bool lstm = cell == "lstm", rnn = cell == "rnn";
  if (!lstm && std::exchange(m.layer_norm, false)) out.differs.emplace_back("no layer normalisation");
  if (!lstm && std::exchange(m.projection, 0) > 0) out.differs.emplace_back("no projection");
  if (!cell_traits(cell_kind(cell, {})).takes_mogrifier() && std::exchange(m.mogrifier, {}).rounds > 0)
    out.differs.emplace_back("no mogrifier");
  if (!rnn && std::exchange(m.activation, "tanh") != "tanh") out.differs.emplace_back("activation tanh");
  if (rnn) {
    if (m.forget_bias.chrono) out.differs.emplace_back("no chrono initialisation");
    m.forget_bias = {};
    m.forget_range = ModelConfig().forget_range;
  }
  // Files of vectors are not named in a model.
  config.text.pretrained.clear();
  out.config = std::move(config);
  return out;
}

}  // namespace

std::unique_ptr<TextModel> load_without_noise(const std::string& path) {
  ModelContents contents = read_model(path, "");
  contents.metadata.config = config_to_json(without_noise(model_config(contents)));
  return TextModel::from_contents(std::move(contents));
}

Saturation saturation_over(TextModel& model, std::unique_ptr<Dataset> data, std::int64_t most, ThreadPool& pool) {
  const auto records = data_for(model, std::move(data));
  Saturation out;
  std::int64_t units = 0;
  for_batches(model, model.config(), *records, pool, [&](ModelTraining& training, Tape& tape) {
    CellTrace trace;
    tape.trace = &trace;
    training.forward(tape);
    out.add(trace);
    units += trace.layers.empty() ? 1 : std::ssize(trace.layers[0].series[0].values) / trace.layers[0].series[0].units;
    return units < most;
  });
  return out;
}

GradientTrace gradients_over(TextModel& model, const TaskData& data, std::int64_t most, std::int64_t longest,
                             ThreadPool& pool) {
  Config config = model.config();
  config.training.batch_size = std::min<std::int64_t>(16, most);
  config.training.batch_tokens = 0;
  config.training.bptt = longest + 1;
  GradientTrace out;
  std::int64_t sequences = 0;
  for_batches(model, config, data, pool, [&](ModelTraining& training, Tape& tape) {
    GradientTrace trace;
    tape.gradient_trace = &trace;
    training.forward(tape);
    tape.backward();
    for (GradientTrace::Layer& layer : trace.layers)
      for (auto* norms : {&layer.h, &layer.c})
        for (auto& one : *norms) one.resize(std::min(one.size(), static_cast<std::size_t>(longest) + 1));
    sequences += trace.layers.empty() ? 1 : std::ssize(trace.layers[0].h);
    merge(trace, out);
    return sequences < most;
  });
  // Of each network the first layer first.
  std::ranges::reverse(out.layers);
  return out;
}

Findings gradient_flow(TextModel& model, std::unique_ptr<Dataset> data, std::int64_t most, std::int64_t longest,
                       const BesideOptions& beside, const std::string& title, const Log& log, ThreadPool& pool) {
  const Task& task = task_of(model);
  const auto records = data_for(model, std::move(data));
  std::vector<std::pair<std::string, GradientTrace>> networks;
  std::vector<std::string> notes;
  if (!beside.cells.empty()) notes.emplace_back("The networks beside the model begin with vectors drawn at random.");
  networks.emplace_back("model", gradients_over(model, *records, most, longest, pool));
  if (networks.front().second.layers.empty())
    throw UsageError("--gradient-flow: the network has no layers that are computed for all steps at once");
  for (const std::string& cell : beside.cells) {
    const Beside with = beside_with(model.config(), cell);
    Config config = with.config;
    if (beside.epochs > 0) config.training.epochs = beside.epochs;
    const auto other = task.build(config, {}, *records, &model);
    if (!with.differs.empty()) notes.push_back(cell + ": " + listed(with.differs, "and") + ".");
    networks.emplace_back(cell + " at initialisation", gradients_over(*other, *records, most, longest, pool));
    if (beside.epochs == 0) continue;
    log(fmt::format("training with {}", cell));
    const TemporaryFolder folder;
    TrainerOptions options;
    options.folder = folder.path();
    train_model(task, config, *records, *other, options, pool);
    networks.emplace_back(cell + " trained", gradients_over(*other, *records, most, longest, pool));
  }
  Findings out = reach_findings(title, networks);
  out.notes.insert(out.notes.end(), notes.begin(), notes.end());
  return out;
}

Findings context_use(const TextModel& model, const Dataset& data, std::int64_t most, std::int64_t longest,
                     const std::string& title, ThreadPool& pool) {
  std::vector<ContextLosses> losses;
  for (std::int64_t units = 1; units < 2 * longest; units *= 2) {
    const std::int64_t kept = std::min(units, longest);
    losses.push_back({kept, task_of(model).losses_with_context(model, data, {kept, longest, most}, pool)});
  }
  return context_findings(title, losses);
}

}  // namespace mnemo
