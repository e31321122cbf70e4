// A step's randomness depends only on the seed and the number of the step, and an epoch's order on the seed and the
// epoch, so that the saved state need not hold a generator. Where weights are averaged, the average takes the place of
// the trained weights for the time of an evaluation, since it is what would be saved as the model.
#include "train/trainer.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/shown.h"
#include "config/options.h"
#include "kernels/elementwise.h"
#include "measure/metrics.h"
#include "train/batch_step.h"
#include "train/layer_rates.h"
#include "train/log_file.h"
#include "train/run_state.h"

namespace mnemo {
namespace {

using Clock = std::chrono::steady_clock;

double peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

std::int64_t in_steps(const Every& every, std::int64_t batches) {
  if (every.count <= 0 || every.unit == Every::Unit::kMinutes) return 0;
  const double steps = every.unit == Every::Unit::kEpochs ? every.count * static_cast<double>(batches) : every.count;
  return std::max<std::int64_t>(1, std::llround(steps));
}

// Whether a recurring action is due after a step.
class Due {
 public:
  Due(const Every& every, std::int64_t batches) : every_(every), steps_(in_steps(every, batches)) {}

  /// Minutes are counted from here on.
  void begin(double seconds) { last_ = seconds; }

  bool after(std::int64_t step, double seconds) {
    if (every_.unit != Every::Unit::kMinutes) return steps_ > 0 && step % steps_ == 0;
    if (every_.count <= 0 || seconds - last_ < 60.0 * every_.count) return false;
    last_ = seconds;
    return true;
  }

 private:
  Every every_;
  std::int64_t steps_;
  double last_ = 0;
};

OptimizerOptions optimizer_options(const TrainingConfig& t) {
  const auto number = [](double value) { return static_cast<float>(value); };
  OptimizerOptions out;
  out.kind = t.optimizer == "sgd"     ? OptimizerKind::kSgd
             : t.optimizer == "adam"  ? OptimizerKind::kAdam
             : t.optimizer == "adamw" ? OptimizerKind::kAdamW
                                      : OptimizerKind::kRmsProp;
  out.momentum = number(t.momentum);
  out.nesterov = t.nesterov;
  out.beta1 = number(t.beta1);
  out.beta2 = number(t.beta2);
  out.epsilon = number(t.epsilon);
  out.alpha = number(t.alpha);
  out.weight_decay = number(t.weight_decay);
  return out;
}

// A slanted triangle rises over one of so many parts of the run.
constexpr std::int64_t kSlant = 10;

ScheduleOptions schedule_options(const TrainingConfig& t, std::int64_t batches) {
  ScheduleOptions out;
  const bool slanted = t.schedule == "slanted";
  out.kind = t.schedule == "linear" || slanted ? ScheduleKind::kLinear
             : t.schedule == "cosine"          ? ScheduleKind::kCosine
             : t.schedule == "inverse_sqrt"    ? ScheduleKind::kInverseSqrt
             : t.schedule == "plateau"         ? ScheduleKind::kPlateau
                                               : ScheduleKind::kConstant;
  out.learning_rate = t.learning_rate;
  out.end_factor = t.final_rate;
  out.factor = t.plateau_factor;
  out.patience = t.plateau_patience;
  out.warmup = in_steps(t.warmup, batches);
  out.steps = t.epochs * batches;
  if (slanted && out.warmup == 0) out.warmup = out.steps / kSlant;
  return out;
}

class Trainer {
 public:
  Trainer(TrainingTask& task, const Config& config, const TrainerOptions& options, ThreadPool& pool)
      : task_(task),
        config_(config),
        options_(options),
        pool_(pool),
        batches_(task.batches()),
        optimizer_(optimizer_options(config.training), [&](const ParameterVisitor& v) { task.visit(v); }),
        schedule_(schedule_options(config.training, batches_)),
        rates_(config, [&](const ParameterVisitor& v) { task.visit(v); }),
        evaluate_due_(config.training.evaluate_every, batches_),
        save_due_(config.training.save_every, batches_),
        transport_(options.transport) {
    if (batches_ == 0) throw Error("train has no text of at least one unit");
  }

  TrainingOutcome run() {
    if (leads())
      remove_temporaries(options_.folder, {"model.safetensors", "resume.safetensors", "log.jsonl", "report.html"});
    batch_step_ = make_batch_step(task_, config_, optimizer_, pool_, transport_);
    resume();
    if (transport_) {
      agree(*transport_, facts_in_common(task_, config_, options_, state_.step));
      transport_->awaited = true;
    }
    if (state_.finished && !goes_on()) {
      if (leads()) restore_model();
      if (!kept_.best.empty()) kept_.best.put(task_);
      return outcome(end_before());
    }
    state_.finished = false;
    if (changed_ && state_.best_step >= 0) {
      // The best model states the configuration, which has changed: it is written again.
      WeightCopy trained;
      trained.take(task_);
      if (leads()) write_best();
      trained.put(task_);
    }
    if (leads()) warn_of_unfreezing();
    if (leads()) log_ = std::make_unique<LogFile>(log_path(options_.folder), state_.step);
    started_ = Clock::now();
    before_ = state_.seconds;
    logged_at_ = before_;
    exchanged_ = transport_ ? transport_->seconds() : 0;
    evaluate_due_.begin(before_);
    save_due_.begin(before_);
    const std::int64_t steps = config_.training.epochs * batches_;
    rates_.set(std::max<std::int64_t>(0, state_.step - 1) / batches_);
    begin_epoch();
    if (state_.step % batches_ != 0)
      task_.visit_carried(
          [&](const std::string& name, std::int64_t, std::vector<float>& values) { values = kept_.carried.at(name); });
    while (state_.step < steps) {
      step();
      share_time_and_signal();
      const bool last = state_.step == steps, epoch_ends = state_.step % batches_ == 0;
      if (evaluate_due_.after(state_.step, seconds()) || last) evaluate();
      if (epoch_ends) end_epoch();
      if (const auto end = reason_to_stop(last)) return finish(*end);
      if (signal_ != 0) return stop(signal_);
      if (save_due_.after(state_.step, seconds())) save();
      if (epoch_ends) begin_epoch();
    }
    return finish(TrainingOutcome::End::kFinished);
  }

 private:
  // Whether this process logs and saves.
  bool leads() const { return !transport_ || transport_->rank() == 0; }

  // Layers that join late are meant to keep what they have learnt, and are to join.
  void warn_of_unfreezing() const {
    const TrainingConfig& t = config_.training;
    if (t.unfreeze == 0) return;
    if (options_.init_from.empty())
      options_.log(
          fmt::format("warning: training.unfreeze {}: this run starts from no other model, so that its lower layers "
                      "stay at random weights until they join",
                      t.unfreeze));
    if (rates_.last_joins() >= t.epochs)
      options_.log(fmt::format(
          "warning: training.unfreeze {}: the lowest layers would join after {} epochs, and training.epochs "
          "is {}: they are never trained",
          t.unfreeze, rates_.last_joins(), t.epochs));
  }

  double own_seconds() const { return before_ + std::chrono::duration<double>(Clock::now() - started_).count(); }
  // What depends on the time is to happen after the same step in all processes: they have the time of process 0.
  double seconds() const { return transport_ ? shared_seconds_ : own_seconds(); }

  void share_time_and_signal() {
    signal_ = options_.signal ? options_.signal->load() : 0;
    if (!transport_) return;
    struct Told {
      double seconds;
      std::int64_t signal;
    } own{own_seconds(), signal_};
    std::vector<Told> told(static_cast<std::size_t>(transport_->ranks()), own);
    std::vector<Outgoing> sent;
    std::vector<Incoming> received;
    for (int r = 0; r < transport_->ranks(); ++r) {
      if (r == transport_->rank()) continue;
      sent.push_back({r, &own, sizeof own});
      received.push_back({r, &told[static_cast<std::size_t>(r)], sizeof own});
    }
    transport_->exchange(sent, received);
    shared_seconds_ = told.front().seconds;
    signal_ = 0;
    for (const Told& one : told) signal_ = std::max(signal_, static_cast<int>(one.signal));
  }

  std::int64_t epoch() const { return state_.step / batches_; }
  std::string metric() const { return task_.metric(); }

  void resume() {
    const std::string path = resume_path(options_.folder);
    state_.init_from = options_.init_from;
    if (!options_.resume) return;
    if (!file_exists(path)) {
      // A run that was killed between writing its first model and its state starts over; the model of another run is
      // not touched.
      if (file_exists(model_path(options_.folder))) check_same_model(model_path(options_.folder), config_, task_);
      options_.log(fmt::format("{}: no saved state, starting from the beginning", options_.folder));
      return;
    }
    std::vector<ChangedKey> changed;
    state_ = load_run(path, config_, task_, kept_, optimizer_, changed);
    first_step_ = state_.step;
    schedule_.state = state_.schedule;
    report_changes(changed);
    changed_ = !changed.empty();
    if (!state_.finished || goes_on()) options_.log(fmt::format("resuming after step {}", state_.step));
  }

  // Reports changed keys. A schedule with an end follows the new one from here on only: the steps already done had the
  // rates of the old one.
  void report_changes(const std::vector<ChangedKey>& changed) const {
    const std::string& schedule = config_.training.schedule;
    for (const ChangedKey& c : changed) {
      const bool new_end =
          c.key == "training.epochs" && (schedule == "linear" || schedule == "slanted" || schedule == "cosine");
      const bool limit = c.key == "training.epochs" || c.key == "training.max_minutes";
      const char* effect = limit && !goes_on() ? "; the run is past that already"
                           : new_end           ? "; from here on the learning rate follows the new end"
                                               : "";
      options_.log(fmt::format("{} was {} and is {}{}", c.key, shown(c.before), shown(c.now), effect));
    }
  }

  // Whether a finished run has more to do: its end was moved, or it was cut by training.max_minutes.
  bool goes_on() const {
    const TrainingConfig& t = config_.training;
    return state_.step < t.epochs * batches_ && !out_of_time(state_.seconds) &&
           !(t.early_stopping.patience > 0 && state_.waited >= t.early_stopping.patience);
  }

  bool out_of_time(double seconds) const {
    return config_.training.max_minutes > 0 && seconds >= 60.0 * config_.training.max_minutes;
  }

  TrainingOutcome::End end_before() const {
    if (static_cast<TrainingOutcome::End>(state_.end) != TrainingOutcome::End::kTimeUp)
      return TrainingOutcome::End::kFinishedBefore;
    options_.log(fmt::format("training.max_minutes {} cut this run short; with a larger value it continues",
                             config_.training.max_minutes));
    return TrainingOutcome::End::kTimeUp;
  }

  void begin_epoch() {
    if (epoch() >= config_.training.epochs) return;
    if (state_.step % batches_ == 0 && rates_.change_with(epoch())) optimizer_.catch_up_all(pool_);
    rates_.set(epoch());
    task_.begin_epoch(epoch());
    epoch_tokens_ = 0;
    epoch_seconds_ = 0;
  }

  void end_epoch() { epoch_rates_.push_back(rate()); }

  double rate() const { return epoch_seconds_ > 0 ? static_cast<double>(epoch_tokens_) / epoch_seconds_ : 0; }

  void step() {
    const auto start = Clock::now();
    const auto [loss, norm, tokens, term] = batch_step_->gradient(state_.step % batches_, state_.step);
    if (!std::isfinite(loss) || !std::isfinite(norm)) fail_not_finite(loss);
    const double clip = config_.training.clip_norm;
    const bool clipped = clip > 0 && norm > clip;
    const double learning_rate = schedule_.rate(state_.step + 1);
    batch_step_->update(learning_rate, clipped ? clip / norm : 1.0);
    task_.weights_changed();
    ++state_.step;
    if (state_.average_begun) {
      optimizer_.catch_up_all(pool_);
      kept_.average.average_in(task_, state_.averaged++);
    }
    state_.since_log.term += term;
    epoch_tokens_ += tokens;
    epoch_seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
    note_step(loss, norm, clipped, learning_rate);
  }

  void note_step(double loss, double norm, bool clipped, double learning_rate) {
    // A moving average over about a hundred steps, for display only; the log has means over the steps between its
    // lines.
    shown_loss_ = std::isnan(shown_loss_) ? loss : 0.98 * shown_loss_ + 0.02 * loss;
    state_.since_log.loss += loss;
    state_.since_log.norm += norm;
    state_.since_log.clipped += clipped ? 1 : 0;
    ++state_.since_log.steps;
    if (state_.since_log.steps == kLogSteps || state_.step % batches_ == 0) log_train(learning_rate);
    show(learning_rate, nullptr);
  }

  void show(double learning_rate, const Metrics* evaluated) const {
    const std::int64_t steps = config_.training.epochs * batches_;
    const double per_step =
        (seconds() - before_) / static_cast<double>(std::max<std::int64_t>(1, state_.step - first_step_));
    options_.progress({.step = state_.step,
                       .steps = steps,
                       .epoch = (state_.step - 1) / batches_ + 1,
                       .epochs = config_.training.epochs,
                       .loss = shown_loss_,
                       .learning_rate = learning_rate,
                       .tokens_per_s = rate(),
                       .seconds_left = per_step * static_cast<double>(steps - state_.step),
                       .metric = metric(),
                       .best = state_.best_step < 0 ? NAN : state_.best.at(metric()),
                       .evaluated = evaluated});
  }

  Json common(const char* kind) const {
    return {{"kind", kind},
            {"step", state_.step},
            {"epoch", static_cast<double>(state_.step) / static_cast<double>(batches_)}};
  }

  void log_train(double learning_rate) {
    Json line = common("train");
    const auto n = static_cast<double>(state_.since_log.steps);
    line.update({{"loss", state_.since_log.loss / n},
                 {"learning_rate", learning_rate},
                 {"grad_norm", state_.since_log.norm / n},
                 {"clipped", static_cast<double>(state_.since_log.clipped) / n},
                 {"tokens_per_s", rate()},
                 {"peak_mb", peak_megabytes()}});
    if (const auto term = task_.loss_term()) line[term->name] = state_.since_log.term / n;
    if (transport_) line["exchange"] = exchange_share();
    write_log(line);
    state_.since_log = {};
  }

  void write_log(const Json& line) {
    if (log_) log_->write(line);
  }

  // The part of the time since the last call, at first since the run began or went on, that was spent exchanging, and
  // waiting for other processes.
  double exchange_share() {
    const double all = own_seconds(), exchanging = transport_->seconds();
    const double out = all > logged_at_ ? (exchanging - exchanged_) / (all - logged_at_) : 0;
    logged_at_ = all;
    exchanged_ = exchanging;
    return out;
  }

  bool averaging() const { return config_.training.average_from > 0; }

  // Adds the weights to the average where that has begun, and evaluates on dev the weights that would be the model.
  void evaluate() {
    optimizer_.catch_up_all(pool_);
    check_weights();
    state_.evaluated_step = state_.step;
    const bool begun =
        static_cast<double>(state_.step) >= config_.training.average_from * static_cast<double>(batches_);
    if (averaging() && begun) kept_.average.average_in(task_, state_.averaged++);
    if (!task_.has_dev()) return;
    WeightCopy trained;
    if (state_.averaged > 0) {
      trained.take(task_);
      kept_.average.put(task_);
    }
    evaluate_dev();
    if (state_.averaged > 0) trained.put(task_);
  }

  // A step may spoil the weights although its gradient was finite; the next one would notice only after they are saved.
  void check_weights() {
    task_.visit([&](Parameter& p) {
      if (kernels::has_non_finite(p.value.data(), p.size()))
        fail_alike(
            fmt::format("stopped at step {}: weights of {} are not finite; lower training.learning_rate, or set "
                        "training.clip_norm",
                        state_.step, p.name));
    });
  }

  // Compares an evaluation with the best one so far. While the metric stays at 0, as the F1 of a tagger that has found
  // nothing yet, it tells nothing, and the loss decides.
  bool is_better(double value, const Metrics& found) const {
    if (state_.best_step < 0) return true;
    const double best = state_.best.at(metric());
    const auto loss = state_.best.find("loss");
    if (higher_is_better(metric()) && value == 0.0 && best == 0.0 && loss != state_.best.end())
      return found.at("loss") < loss->second;
    return higher_is_better(metric()) ? value > best : value < best;
  }

  void evaluate_dev() {
    const Metrics found = task_.evaluate_dev(pool_, DevShare(transport_));
    const double value = found.contains(metric()) ? found.at(metric()) : NAN;
    if (std::isnan(value))
      fail_alike(fmt::format("training.early_stopping.metric: {} is not defined on dev", metric()));
    const bool better = is_better(value, found);
    begin_average_after(value);
    schedule_.evaluated(better);
    state_.waited = better ? 0 : state_.waited + 1;
    Json line = common("eval");
    line.update(
        {{"loss", found.at("loss")}, {"metrics", Json(found)}, {"best", better}, {"peak_mb", peak_megabytes()}});
    write_log(line);
    if (better) {
      state_.best_step = state_.step;
      state_.best = found;
      kept_.best.take(task_);
      save_model();
    }
    show(schedule_.rate(std::max<std::int64_t>(1, state_.step)), &found);
  }

  // Begins averaging over all steps when dev is worse than at any evaluation before the last training.average_after
  // ones (the non-monotonic trigger of NT-ASGD, Merity et al. 2017).
  void begin_average_after(double value) {
    const std::int64_t after = config_.training.average_after;
    if (after == 0) return;
    std::vector<double>& values = state_.dev_values;
    for (std::int64_t i = 0; i < std::ssize(values) - after && !state_.average_begun; ++i)
      state_.average_begun = higher_is_better(metric()) ? value < values[i] : value > values[i];
    values.push_back(value);
  }

  void save_model() {
    if (!leads()) return;
    Json metrics = Json::object();
    for (const auto& [name, value] : state_.best) metrics[name] = value;
    const std::int64_t step = task_.has_dev() ? state_.best_step : state_.step;
    Json progress{{"steps", step}, {"epochs", (step + batches_ - 1) / batches_}};
    if (!options_.start.empty()) progress["start"] = options_.start;
    task_.save_model(model_path(options_.folder), metrics, progress, pool_);
  }

  // Writes the model of a finished run again if it is missing or cannot be read: the saved state has all that is
  // needed.
  void restore_model() {
    const std::string path = model_path(options_.folder);
    try {
      if (file_exists(path)) {
        read_model(path, config_.task);
        return;
      }
      options_.log(fmt::format("{}: is missing, and is written again", path));
    } catch (const Error& error) {
      options_.log(fmt::format("{}; it is written again", error.what()));
    }
    write_best();
  }

  // Saves the best model so far from its kept weights; evaluating it also refits what is fitted on dev.
  void write_best() {
    if (!kept_.best.empty()) kept_.best.put(task_);
    if (!task_.has_dev() && !kept_.average.empty()) kept_.average.put(task_);
    if (task_.has_dev()) task_.evaluate_dev(pool_, DevShare(nullptr));
    save_model();
  }

  void save() {
    batch_step_->gather_state();
    if (!leads()) return;
    log_->flush();
    state_.seconds = seconds();
    state_.schedule = schedule_.state;
    save_run(resume_path(options_.folder), state_, config_, task_, kept_, optimizer_);
  }

  std::optional<TrainingOutcome::End> reason_to_stop(bool last) const {
    const auto patience = config_.training.early_stopping.patience;
    if (last) return TrainingOutcome::End::kFinished;
    if (patience > 0 && state_.evaluated_step == state_.step && state_.waited >= patience)
      return TrainingOutcome::End::kStoppedEarly;
    if (out_of_time(seconds())) return TrainingOutcome::End::kTimeUp;
    return std::nullopt;
  }

  TrainingOutcome finish(TrainingOutcome::End end) {
    if (state_.evaluated_step != state_.step) evaluate();
    WeightCopy trained;  // a run that is prolonged continues from these
    if (!task_.has_dev()) {
      trained.take(task_);
      if (state_.averaged > 0) kept_.average.put(task_);
      save_model();
      trained.put(task_);
    }
    state_.finished = true;
    state_.end = static_cast<int>(end);
    Json line = common("end");
    TrainingOutcome out = outcome(end);
    line.update({{"metrics", Json(out.best)},
                 {"best_step", out.best_step},
                 {"tokens_per_s", out.tokens_per_s},
                 {"seconds", seconds()},
                 {"peak_mb", peak_megabytes()}});
    write_log(line);
    save();
    if (!kept_.best.empty()) kept_.best.put(task_);
    if (!task_.has_dev() && state_.averaged > 0) kept_.average.put(task_);
    return out;
  }

  TrainingOutcome stop(int signal) {
    save();
    TrainingOutcome out = outcome(TrainingOutcome::End::kSignal);
    out.signal = signal;
    return out;
  }

  TrainingOutcome outcome(TrainingOutcome::End end) {
    std::vector<double> rates = epoch_rates_;
    std::sort(rates.begin(), rates.end());
    return {.end = end,
            .signal = 0,
            .step = state_.step,
            .best_step = std::max<std::int64_t>(0, state_.best_step),
            .best = state_.best,
            .metric = metric(),
            .tokens_per_s = rates.empty() ? rate() : rates[rates.size() / 2]};
  }

  [[noreturn]] void fail_not_finite(double loss) {
    const std::string where = batch_step_->not_finite();
    fail_alike(
        fmt::format("stopped at step {} (epoch {}): {} not finite (loss {}); lower training.learning_rate, or set "
                    "training.clip_norm",
                    state_.step + 1, epoch() + 1, where.empty() ? "the loss is" : where, loss));
  }

  // An error that all processes find.
  [[noreturn]] void fail_alike(const std::string& message) const {
    if (transport_) throw SharedError(message, 1);
    throw Error(message);
  }

  static constexpr std::int64_t kLogSteps = 100;

  TrainingTask& task_;
  const Config& config_;
  const TrainerOptions& options_;
  ThreadPool& pool_;
  const std::int64_t batches_;
  Optimizer optimizer_;
  std::unique_ptr<BatchStep> batch_step_;
  Schedule schedule_;
  LayerRates rates_;
  Due evaluate_due_, save_due_;
  RunState state_;
  KeptWeights kept_;
  std::unique_ptr<LogFile> log_;
  Clock::time_point started_ = Clock::now();
  double before_ = 0;  // seconds that the run took before it was resumed
  std::int64_t first_step_ = 0;
  std::int64_t epoch_tokens_ = 0;
  double epoch_seconds_ = 0;
  std::vector<double> epoch_rates_;
  double shown_loss_ = NAN;
  Transport* transport_;  // null: this process is alone
  double shared_seconds_ = 0, logged_at_ = 0, exchanged_ = 0;
  int signal_ = 0;        // that any process got
  bool changed_ = false;  // a resumed run has another end or is saved at other times
};

}  // namespace

std::string model_path(const std::string& folder) { return folder + "/model.safetensors"; }
std::string resume_path(const std::string& folder) { return folder + "/resume.safetensors"; }
std::string log_path(const std::string& folder) { return folder + "/log.jsonl"; }

std::vector<Fact> facts_in_common(TrainingTask& task, const Config& config, const TrainerOptions& options,
                                  std::int64_t step) {
  std::vector<Fact> out = options.facts;
  const Json keys = config_to_json(config, Which::kWithoutLocal);
  for (const Option& o : mnemo::options())
    if (const auto at = config_pointer(o.key); keys.contains(at)) out.push_back({o.key, keys.at(at).dump()});
  out.push_back({"data", task.data_identity()});
  out.push_back({"output.dir with a run saved at step", std::to_string(step)});
  std::string hashes;
  task.visit([&](Parameter& p) {
    hashes +=
        sha256({reinterpret_cast<const char*>(p.value.data()), static_cast<std::size_t>(p.size()) * sizeof(float)});
  });
  out.push_back({"initial weights", sha256(hashes).substr(0, 16)});
  return out;
}

TrainingOutcome train(TrainingTask& task, const Config& config, const TrainerOptions& options, ThreadPool& pool) {
  if (!options.transport) return Trainer(task, config, options, pool).run();
  TrainingOutcome out = Trainer(task, config, options, pool).run();
  // Process 0 has written the model: the others may read it now.
  all_gather(*options.transport, "");
  options.transport->awaited = false;
  return out;
}

}  // namespace mnemo
