// The loop, with a task that is a single number.
#include "train/trainer.h"

#include <filesystem>

#include "tests/catch.h"
#include "tests/temporary_folder.h"

using namespace mnemo;

namespace {

class OneNumber : public TrainingTask {
 public:
  explicit OneNumber(float gradient) : gradient_(gradient), number_("number", {1}) { number_.value[0] = 1.0f; }

  void visit(const ParameterVisitor& visitor) override { visitor(number_); }
  void weights_changed() override {}
  std::int64_t batches() const override { return 1; }
  void begin_epoch(std::int64_t) override {}
  std::int64_t prepare_shard(std::int64_t, std::int64_t, const Shard&) override { return 1; }
  double weight() const override { return 1.0; }
  void visit_sparse(const SparseVisitor&) override {}
  std::string metric() const override { return "accuracy"; }
  double forward(Tape& tape) override {
    tape.record([this] { number_.gradient[0] += gradient_; });
    return static_cast<double>(number_.value[0]);
  }
  std::string data_identity() const override { return "one number"; }
  std::string data_identity(const ModelMetadata&) const override { return "one number"; }
  bool has_dev() const override { return true; }
  Metrics evaluate_dev(ThreadPool&, const DevShare&) override {
    ++evaluations;
    measured.push_back(number_.value[0]);
    return {{"loss", static_cast<double>(number_.value[0])}, {"accuracy", accuracy(evaluations)}};
  }
  void save_model(const std::string&, const Json&, const Json&, ThreadPool&) override { ++saves; }

  int evaluations = 0, saves = 0;
  std::vector<float> measured;  // the number at each evaluation
  std::function<double(int)> accuracy = [](int) { return 0.5; };

 private:
  float gradient_;
  Parameter number_;
};

const Config& default_config() {
  static const Config config;
  return config;
}

TrainingOutcome run_loop(OneNumber& task, const std::string& folder, double rate,
                         const Config& start = default_config()) {
  Config config = start;
  config.training.optimizer = "sgd";
  config.training.learning_rate = rate;
  config.training.clip_norm = 0;
  config.training.schedule = "constant";
  if (config.training.average_after == 0) config.training.epochs = 2;
  ThreadPool pool(1);
  TrainerOptions options;
  options.folder = folder;
  return train(task, config, options, pool);
}

}  // namespace

TEST_CASE("weights that a step spoils stop training before they are evaluated or saved") {
  const TemporaryFolder folder;
  // The gradient is finite, the step is not.
  OneNumber task(1e38f);
  CHECK_THROWS_WITH(run_loop(task, folder.path(), 100.0),
                    contains_text("stopped at step 1: weights of number are not finite"));
  CHECK(task.evaluations == 0);
  CHECK(task.saves == 0);
}

TEST_CASE("every epoch is evaluated, and the first of equally good models is kept") {
  const TemporaryFolder folder;
  OneNumber task(0.5f);
  const TrainingOutcome outcome = run_loop(task, folder.path(), 0.1);
  CHECK(outcome.step == 2);
  CHECK(outcome.best_step == 1);
  CHECK(task.evaluations == 2);
  CHECK(task.saves == 1);
}

TEST_CASE("while the metric stays at 0 the loss decides which model is better") {
  const TemporaryFolder folder;
  OneNumber task(0.5f);  // its loss falls with each step
  task.accuracy = [](int) { return 0.0; };
  const TrainingOutcome outcome = run_loop(task, folder.path(), 0.1);
  CHECK(outcome.best_step == 2);
  CHECK(task.saves == 2);
}

TEST_CASE("averaging over all steps begins after an evaluation that is worse than all but the last ones") {
  const TemporaryFolder folder;
  OneNumber task(1.0f);
  // Worse at the fourth evaluation than at the first two; the third, which is worse too, has only one to look back to.
  task.accuracy = [](int evaluation) { return evaluation < 3 ? 0.9 : 0.5; };
  Config config;
  config.training.average_after = 2;
  config.training.epochs = 7;
  run_loop(task, folder.path(), 0.1, config);
  // The weight goes 0.9, 0.8, ...; from the fifth evaluation on, the mean since then is measured.
  const std::vector<float> expected{0.9f, 0.8f, 0.7f, 0.6f, 0.5f, 0.45f, 0.4f};
  REQUIRE(task.measured.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(task.measured[i] == Approx(expected[i]).epsilon(1e-5));
}
