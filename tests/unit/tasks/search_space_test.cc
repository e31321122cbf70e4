// The space of a search: which keys it has, what it draws, what it refuses.
#include "tasks/search_space.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/error.h"
#include "config/options.h"
#include "config/tasks.h"
#include "pipeline/network_options.h"
#include "tests/catch.h"

using namespace mnemo;

namespace {

Config config_for(const std::string& task) {
  return parse_config(R"({"task": ")" + task + R"(", "data": {"train": "a"}})", "test");
}

RandomStream stream_of_trial(std::uint64_t trial) { return {1, Purpose::kSearch, trial}; }

}  // namespace

TEST_CASE("every task has keys to search, whose values its configurations take") {
  for (const char* task : kTaskNames) {
    const SearchSpace space(config_for(task), {});
    CHECK(space.keys().size() >= 5);
    std::set<std::string> seen;
    for (std::uint64_t trial = 1; trial <= 50; ++trial) {
      RandomStream random = stream_of_trial(trial);
      const std::vector<std::string> sets = space.draw(random);
      REQUIRE(sets.size() == space.keys().size());
      INFO(task << ", " << sets[0]);
      CHECK_NOTHROW(parse_config(R"({"task": ")" + std::string(task) + R"(", "data": {"train": "a"}})", "test", sets));
      for (const std::string& set : sets) seen.insert(set);
    }
    CHECK(seen.size() > 60);
  }
}

TEST_CASE("a language model's defaults and search fit every cell") {
  for (const std::string& cell : cell_names()) {
    INFO(cell);
    Config config =
        parse_config(R"({"task": "generate", "data": {"train": "a"}, "model": {"cell": ")" + cell + R"("}})", "test");
    settle_by_size(config, 1000);
    CHECK(recurrent_conflicts(recurrent_options(config)).empty());
    const SearchSpace space(config, {});
    const bool recurrent = cell_traits(cell_kind(cell, {})).hidden_gates > 0;
    CHECK((std::ranges::count(space.keys(), "model.weight_dropout", &SearchKey::key) == 1) == recurrent);
    CHECK((config.model.weight_dropout > 0) == recurrent);
  }
}

TEST_CASE("values are drawn within their range, by ratio where it is wide, and the same for the same trial") {
  const SearchSpace space(config_for("classify"), {"training.learning_rate=0.001..0.1", "model.hidden=10..20",
                                                   "model.pooling=last|[\"max\",\"mean\"]", "model.dropout=0.25"});
  int below = 0;
  std::set<std::string> hidden, pooling;
  for (std::uint64_t trial = 1; trial <= 400; ++trial) {
    RandomStream random = stream_of_trial(trial), again = stream_of_trial(trial);
    const auto sets = space.draw(random);
    CHECK(sets == space.draw(again));
    const double rate = std::strtod(sets[0].c_str() + std::string("training.learning_rate=").size(), nullptr);
    CHECK((rate >= 0.001 && rate <= 0.1));
    below += rate < 0.01 ? 1 : 0;
    hidden.insert(sets[1]);
    pooling.insert(sets[2]);
    CHECK(sets[3] == "model.dropout=0.25");
  }
  // The middle of the ratios: 200 expected, six standard deviations are 60.
  CHECK((below > 140 && below < 260));
  CHECK(hidden.size() == 11);
  CHECK(pooling == std::set<std::string>{"model.pooling=last", "model.pooling=[\"max\",\"mean\"]"});
}

TEST_CASE("keys that cannot be searched are refused") {
  const Config config = config_for("classify");
  const auto refused = [&](const std::vector<std::string>& keys) {
    CHECK_THROWS_AS(SearchSpace(config, keys), UsageError);
  };
  refused({"no.such"});
  refused({"training.epochs"});
  refused({"training.epochs=5..2"});
  refused({"training.epochs=a..b"});
  refused({"model.dropout", "model.dropout=0.1|0.2"});
  refused({""});
  refused({"model.hidden=x"});
  refused({"data.dev_fraction=0.1|0.2"});
}

TEST_CASE("keys with which values of the metric could not be compared are refused") {
  const auto accepted = [](const std::string& task, const std::string& metric, const std::string& keys) {
    Config config = config_for(task);
    config.training.early_stopping.metric = metric;
    try {
      const SearchSpace space(config, {keys});
      return true;
    } catch (const UsageError&) {
      return false;
    }
  };
  CHECK(!accepted("classify", "auto", "training.early_stopping.metric=loss|accuracy"));
  CHECK(accepted("tag", "auto", "model.crf=true|false"));
  CHECK(!accepted("tag", "loss", "model.crf=true|false"));
  CHECK(accepted("tag", "f1", "model.scheme=bio|bioes"));
  CHECK(!accepted("tag", "loss", "model.scheme=bio|bioes"));
  CHECK(accepted("translate", "auto", "text.merges=100|200"));
  CHECK(!accepted("translate", "loss", "text.merges=100|200"));
  CHECK(!accepted("generate", "auto", "text.lowercase=true|false"));
  // The loss on dev has neither weights nor smoothing.
  CHECK(accepted("classify", "loss", "training.label_smoothing=0|0.1"));
  CHECK(accepted("classify", "loss", "training.class_weight=none|balanced"));
  CHECK(accepted("classify", "loss", "text.lowercase=true|false"));
}
