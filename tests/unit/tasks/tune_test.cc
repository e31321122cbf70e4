// The table of a search, and what it says of chance.
#include "tasks/tune.h"

#include <string>
#include <vector>

#include "tests/catch.h"

using namespace mnemo;

namespace {

// A trial with these values at the rungs that it reached, of three.
Trial trial_with(std::vector<double> rungs, const std::string& failure = "") {
  Trial out;
  out.measured = !rungs.empty();
  if (out.measured) out.best = rungs.back();
  out.done = rungs.size() == 3;
  out.steps = 900;
  out.step = out.done ? 900 : 100;
  out.rungs = std::move(rungs);
  out.failure = failure;
  return out;
}

std::string shown_table(const TuneOutcome& outcome) {
  std::vector<Highlight> highlights;
  return findings_text(tune_findings(outcome, "A search"), false, highlights);
}

bool warns(const std::vector<Trial>& trials, std::int64_t dev_records, const std::string& among = "") {
  TuneOutcome outcome;
  outcome.trials = trials;
  outcome.metric = "accuracy";
  outcome.rungs = 3;
  outcome.dev_records = dev_records;
  const std::string text = shown_table(outcome);
  const bool out = text.find("dev is too small") != std::string::npos;
  if (out) CHECK_THAT(text, contains_text(among));
  return out;
}

}  // namespace

TEST_CASE("a search says when dev is too small to tell its first trials apart") {
  // One standard error of a difference: 0.0063 with 8,000 records, 0.056 with 100.
  const std::vector<Trial> two{trial_with({0.5, 0.7, 0.8}), trial_with({0.5, 0.7, 0.79})};
  CHECK(!warns(two, 8000));
  CHECK(warns(two, 100, "the last of 2 trials that were trained to the end"));
  // Of a single share it would be 0.0045.
  CHECK(warns({trial_with({0.5, 0.7, 0.8}), trial_with({0.5, 0.7, 0.7945})}, 8000));
  // Five at the end: the fifth counts, whatever the sixth has.
  std::vector<Trial> six;
  for (const double value : {0.8, 0.79, 0.78, 0.77, 0.76, 0.1}) six.push_back(trial_with({0.5, 0.7, value}));
  CHECK(!warns(six, 1000));
  CHECK(warns(six, 100, "the fifth of 6 trials"));
}

TEST_CASE("a search compares trials that were trained equally far") {
  // Those that were halved away are far behind because they were, and failed ones do not count.
  std::vector<Trial> trials{trial_with({0.5, 0.7, 0.8}), trial_with({0.5, 0.7, 0.79})};
  for (int i = 0; i < 6; ++i) trials.push_back(trial_with({0.3}));
  trials.push_back(trial_with({0.5, 0.7, 0.1}, "not finite"));
  CHECK(warns(trials, 100, "the last of 2 trials"));
  // One alone at the end: the rung below.
  trials[1] = trial_with({0.5, 0.7});
  CHECK(warns(trials, 100, "the last of 2 trials after 33% of their steps"));
  trials[1] = trial_with({0.5, 0.2});
  CHECK(!warns(trials, 100));
  CHECK(!warns({trial_with({0.5, 0.7, 0.8})}, 100));
  // Nothing learned yet: no order at all.
  CHECK(!warns({trial_with({0.0, 0.7, 0.8}), trial_with({0.0}), trial_with({0.0})}, 100));
}

TEST_CASE("a search does not take a metric that goes to 100 for a share of the records") {
  TuneOutcome outcome;
  outcome.trials = {trial_with({0.1, 0.2, 0.5}), trial_with({0.1, 0.2, 0.4})};
  outcome.metric = "bleu";
  outcome.rungs = 3;
  outcome.dev_records = 10;
  CHECK_THAT(shown_table(outcome), contains_text("is not known for bleu"));
}

TEST_CASE("a trial that has not come to dev is in the table as not measured") {
  TuneOutcome outcome;
  outcome.trials = {trial_with({0.5, 0.7, 0.8}), trial_with({})};
  outcome.trials[1].sets = {"model.hidden=7"};
  outcome.metric = "accuracy";
  outcome.dev_records = 10;
  const std::string text = shown_table(outcome);
  CHECK_THAT(text, contains_text("not measured"));
  CHECK(text.find("0.0000") == std::string::npos);
  const Json trial = tune_findings(outcome, "").json.at("trials").at(1);
  CHECK(trial.at("best").is_null());
  CHECK(trial.at("measured") == false);
}
