// tune: the search, its table, going on with it, and what it refuses.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cli/fixture.h"

namespace {

using TuneJson = nlohmann::json;

// Time enough for any machine: the number of trials ends the search.
Outcome tuned(const Fixture& f, const std::string& folder, int trials, const std::vector<std::string>& more = {}) {
  std::vector<std::string> all{"tune",     f.path("c.json"),         "--minutes", "100",
                               "--trials", std::to_string(trials),   "-o",        f.path(folder),
                               "--keys",   "training.learning_rate", "--keys",    "model.hidden=4|6",
                               "--set",    "training.epochs=9",      "-f",        "json"};
  all.insert(all.end(), more.begin(), more.end());
  return f.mnemo(all);
}

// The message of a search that is refused with this exit code.
std::string refusal(const Outcome& o, int code) {
  INFO(o.err);
  CHECK(o.code == code);
  CHECK(o.out.empty());
  return o.err;
}

}  // namespace

TEST_CASE("tune trains the given configuration and drawn ones, and writes the best and a table of all") {
  const Fixture f;
  const Outcome o = tuned(f, "tuned", 8);
  INFO(o.err);
  REQUIRE(o.code == 0);
  const TuneJson found = TuneJson::parse(o.out);
  const TuneJson& trials = found["trials"];
  REQUIRE(trials.size() == 8);
  CHECK(trials[0]["set"].empty());
  CHECK(trials[0]["done"] == true);
  CHECK(trials[1]["set"].size() == 2);
  for (const auto& trial : trials) CHECK(trial["failure"] == "");
  const std::size_t best = found["best"].get<std::size_t>();
  for (const auto& trial : trials)
    if (trial["measured"] == true) CHECK(trial["best"].get<double>() <= trials[best]["best"].get<double>());
  // Of three at a rung one goes on.
  for (std::size_t rung = 0; rung < 3; ++rung) {
    std::size_t reached = 0;
    for (const auto& trial : trials) reached += trial["rungs"].size() > rung ? 1 : 0;
    CHECK(reached == std::vector<std::size_t>{8, 2, 1}[rung]);
  }
  CHECK(std::filesystem::exists(f.path("tuned/trial-" + std::to_string(best) + "/model.safetensors")));
  const Outcome again = f.mnemo({"train", f.path("tuned/best.json"), "-o", f.path("again")});
  INFO(again.err);
  CHECK(again.code == 0);
  // A shorter search is the beginning of a longer one.
  const Outcome longer = tuned(f, "longer", 10);
  REQUIRE(longer.code == 0);
  const TuneJson more = TuneJson::parse(longer.out);
  REQUIRE(more["trials"].size() == 10);
  for (std::size_t i = 0; i < trials.size(); ++i) {
    CHECK(more["trials"][i]["set"] == trials[i]["set"]);
    CHECK(more["trials"][i]["rungs"][0] == trials[i]["rungs"][0]);
  }
}

TEST_CASE("tune's table as tsv says which trial is the best, and keeps the order in which they began") {
  const Fixture f;
  const std::vector<std::string> search{"tune",     f.path("c.json"),
                                        "--trials", "9",
                                        "-o",       f.path("tuned"),
                                        "--keys",   "model.projection=0|3|100",
                                        "--keys",   "model.convolution.filters=5|9"};
  const auto shown = [&](const std::string& format, bool resume) {
    std::vector<std::string> all = search;
    all.insert(all.end(), {"--set", "training.epochs=2", "--minutes", "100", "-f", format});
    if (resume) all.emplace_back("--resume");
    const Outcome o = f.mnemo(all);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return o.out;
  };
  const TuneJson found = TuneJson::parse(shown("json", false));
  std::istringstream in(shown("tsv", true));
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(in, line);) {
    auto& row = rows.emplace_back();
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, '\t');) row.push_back(cell);
  }
  // The given configuration, and three projections by two numbers of filters.
  REQUIRE(rows.size() == 8);
  CHECK(rows[0] ==
        std::vector<std::string>{"trial", "rank", "accuracy", "steps", "of", "seconds", "values", "failure"});
  std::vector<std::string> ranks;
  for (std::size_t i = 0; i + 1 < rows.size(); ++i) {
    const std::vector<std::string>& row = rows[i + 1];
    CHECK(row[0] == std::to_string(i));
    const bool failed = found["trials"][i]["failure"] != "";
    CHECK(row[1].empty() == failed);
    CHECK((row[1] == "1") == (i == found["best"].get<std::size_t>()));
    if (!failed) ranks.push_back(row[1]);
  }
  CHECK(ranks.size() < rows.size() - 1);
  std::ranges::sort(ranks);
  CHECK(std::ranges::adjacent_find(ranks) == ranks.end());
  CHECK(ranks.back() == std::to_string(ranks.size()));
  // Columns of the text have the names of the keys within their section.
  CHECK_THAT(shown("text", true), contains_text("convolution.filters"));
}

TEST_CASE("tune goes on with a search, and only with the same one") {
  const Fixture f;
  REQUIRE(tuned(f, "tuned", 3).code == 0);
  CHECK_THAT(refusal(tuned(f, "tuned", 3), 2), contains_text("holds a search already"));
  const TuneJson before = TuneJson::parse(f.bytes("tuned/tune.json"));
  const Outcome o = tuned(f, "tuned", 6, {"--resume"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const TuneJson after = TuneJson::parse(f.bytes("tuned/tune.json"));
  CHECK(after["trials"].size() == 6);
  // As if it had been one search.
  REQUIRE(tuned(f, "whole", 6).code == 0);
  const TuneJson whole = TuneJson::parse(f.bytes("whole/tune.json"));
  for (std::size_t i = 0; i < 6; ++i) CHECK(after["trials"][i]["rungs"] == whole["trials"][i]["rungs"]);
  for (std::size_t i = 0; i < before["trials"].size(); ++i)
    CHECK(after["trials"][i]["set"] == before["trials"][i]["set"]);
  CHECK_THAT(refusal(tuned(f, "tuned", 6, {"--resume", "--seed", "2"}), 2), contains_text("another"));
  CHECK_THAT(refusal(tuned(f, "tuned", 6, {"--resume", "--set", "model.layers=2"}), 2), contains_text("another"));
  const std::string dev = f.bytes("dev.tsv");
  write_text(f.path("dev.tsv"), dev + "pos\ta fine walk\n");
  CHECK_THAT(refusal(tuned(f, "tuned", 6, {"--resume"}), 2), contains_text("other training data, dev data or labels"));
  write_text(f.path("dev.tsv"), dev);
  const Outcome begun = tuned(f, "none", 1, {"--resume"});
  CHECK(begun.code == 0);
  CHECK_THAT(begun.err, contains_text("no search in"));
  const std::string saved = f.bytes("tuned/tune.json");
  for (const char* broken : {"{\"search\": 1}", "[", "3"})
    for (const char* how : {"--resume", "--overwrite"}) {
      write_text(f.path("tuned/tune.json"), broken);
      CHECK_THAT(refusal(tuned(f, "tuned", 6, {how}), 1), contains_text("not the state of a search"));
      CHECK(f.bytes("tuned/tune.json") == broken);
    }
  write_text(f.path("tuned/tune.json"), saved);
  write_text(f.path("tuned/trial-mine"), "kept");
  REQUIRE(tuned(f, "tuned", 1, {"--overwrite"}).code == 0);
  CHECK(f.bytes("tuned/trial-mine") == "kept");
  CHECK(!std::filesystem::exists(f.path("tuned/trial-1")));
}

TEST_CASE("tune leaves out trials that cannot be trained, and refuses what it cannot choose on") {
  const Fixture f;
  const Outcome o = f.mnemo({"tune", f.path("c.json"), "--trials", "12", "-o", f.path("some"), "--keys",
                             "model.projection=0|3|100", "--set", "training.epochs=2", "-f", "json"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  std::size_t failed = 0;
  const TuneJson found = TuneJson::parse(o.out);
  for (const auto& trial : found["trials"]) failed += trial["failure"] == "" ? 0 : 1;
  CHECK(failed > 0);
  CHECK(failed < found["trials"].size());
  // What was measured until then is shown.
  const Outcome bad = f.mnemo({"tune", f.path("c.json"), "-o", f.path("bad"), "--keys", "model.projection=100..200",
                               "--set", "training.epochs=2"});
  CHECK(bad.code == 0);
  CHECK_THAT(bad.out, contains_text("20 trials failed"));
  CHECK(std::filesystem::exists(f.path("bad/best.json")));
  CHECK_THAT(refusal(f.mnemo({"tune", f.path("c.json"), "-o", f.path("x"), "--keys", "no.such=1"}), 2),
             contains_text("no such key"));
  CHECK_THAT(refusal(f.mnemo({"tune", f.path("c.json"), "-o", f.path("y"), "--set", "data.dev=[]", "--set",
                              "data.dev_fraction=0"}),
                     2),
             contains_text("tune chooses on dev"));
  const std::string first = "training.language_model: tune trains no language model first";
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--set", "training.language_model=true"},
                                               {"--keys", "training.language_model=false|true"}}) {
    std::vector<std::string> arguments{"tune", f.path("c.json"), "-o", f.path("z")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const std::string refused = refusal(f.mnemo(arguments), 2);
    CHECK_THAT(refused, contains_text(first));
    CHECK_THAT(refused, !contains_text("labels in train"));  // before the data are read
  }
}

TEST_CASE("a search that is killed goes on to the trials of an undisturbed one") {
  const Fixture f;
  REQUIRE(tuned(f, "whole", 6).code == 0);
  const TuneJson whole = TuneJson::parse(f.bytes("whole/tune.json"));
  // As killed while the run of a trial was ahead of the table: the trial's rungs are in the table before the run is
  // saved, and the table has no trial that did not begin.
  REQUIRE(tuned(f, "part", 3).code == 0);
  TuneJson part = TuneJson::parse(f.bytes("part/tune.json"));
  CHECK(part["trials"].size() == 3);
  part["trials"][2]["seconds"] = 0;
  write_text(f.path("part/tune.json"), part.dump());
  std::filesystem::remove_all(f.path("part/trial-2"));
  REQUIRE(tuned(f, "part", 6, {"--resume"}).code == 0);
  const TuneJson after = TuneJson::parse(f.bytes("part/tune.json"));
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(after["trials"][i]["rungs"] == whole["trials"][i]["rungs"]);
    CHECK(after["trials"][i]["set"] == whole["trials"][i]["set"]);
  }
  for (const char* broken : {"\"target\": 0", "\"step\": "}) {
    std::string text = f.bytes("whole/tune.json");
    const std::size_t at = text.find(broken);
    REQUIRE(at != std::string::npos);
    text.replace(at, std::string(broken).size(), broken[1] == 't' ? "\"target\": 99" : "\"step\": -5");
    write_text(f.path("part/tune.json"), text);
    CHECK(tuned(f, "part", 6, {"--resume"}).code == 1);
  }
}

TEST_CASE("a search keeps what it replaces until the new one's data are read, and checks values before it trains") {
  const Fixture f;
  REQUIRE(tuned(f, "kept", 1).code == 0);
  const std::string before = f.bytes("kept/tune.json");
  CHECK(tuned(f, "kept", 1, {"--overwrite", "--set", "data.dev=none.tsv"}).code == 1);
  CHECK(f.bytes("kept/tune.json") == before);
  for (const char* keys :
       {"model.hidden=abc", "model.hidden=8.5|9.5", "model.dropout=2|3", "model.dropout=0.1||0.3",
        "model.crf=true|false", "model.hidden=0..2", "task=tag|classify", "data.dev_seed=1..9", "output.dir=a|b",
        "training.seed=1..9", "text.pretrained=a|b", "training.language_model=false|true"}) {
    INFO(keys);
    refusal(f.mnemo({"tune", f.path("c.json"), "-o", f.path("x"), "--keys", keys}), 2);
    CHECK(!std::filesystem::exists(f.path("x/trial-0")));
  }
}

TEST_CASE("tune tries no configuration twice, and ends when there are no others") {
  const Fixture f;
  const auto search = [&](int trials, const std::vector<std::string>& more) {
    std::vector<std::string> all{"tune",     f.path("c.json"),       "--minutes", "100",
                                 "--trials", std::to_string(trials), "-o",        f.path("tuned"),
                                 "--keys",   "model.layers=1|2",     "--keys",    "model.hidden=4..6",
                                 "--set",    "training.epochs=3",    "-f",        "json"};
    all.insert(all.end(), more.begin(), more.end());
    const Outcome o = f.mnemo(all);
    INFO(o.err);
    REQUIRE(o.code == 0);
    CHECK((o.err.find("no values are left to try: all 6 configurations have been tried") != std::string::npos) ==
          (trials > 6));
    const TuneJson found = TuneJson::parse(o.out);
    return found["trials"];
  };
  const TuneJson whole = search(20, {});
  // The given configuration has one layer of 6: drawn values that give it again are not tried.
  REQUIRE(whole.size() == 6);
  std::vector<std::string> sets;
  for (const auto& trial : whole) sets.push_back(trial["set"].dump());
  std::vector<std::string> sorted = sets;
  std::ranges::sort(sorted);
  CHECK(std::ranges::adjacent_find(sorted) == sorted.end());
  CHECK(std::ranges::count(sorted, R"(["model.layers=1","model.hidden=6"])") == 0);
  // In parts the same trials are tried.
  search(3, {"--overwrite"});
  search(4, {"--resume"});
  const TuneJson parts = search(20, {"--resume"});
  REQUIRE(parts.size() == 6);
  for (std::size_t i = 0; i < 6; ++i) CHECK(parts[i]["set"].dump() == sets[i]);
}

TEST_CASE("a search without a folder has one beside that of the run") {
  const Fixture f;
  const Outcome o = f.mnemo({"tune", f.path("c.json"), "--trials", "1", "--set", "training.epochs=1", "--set",
                             "output.dir=" + f.path("runs/a/")});
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK(std::filesystem::exists(f.path("runs/a-tune/best.json")));
}

TEST_CASE("tune keeps its hands off what no search has made") {
  const Fixture f;
  REQUIRE(f.train("run").code == 0);
  const std::string model = f.bytes("run/model.safetensors");
  std::filesystem::create_directories(f.path("best"));
  write_text(f.path("best/best.json"), "mine");
  std::filesystem::create_directories(f.path("trials/trial-1"));
  write_text(f.path("trials/trial-1/notes"), "mine");
  for (const std::vector<std::string>& how : {std::vector<std::string>{}, {"--overwrite"}, {"--resume"}}) {
    CHECK_THAT(refusal(tuned(f, "run", 2, how), 2), contains_text("holds a run"));
    CHECK_THAT(refusal(tuned(f, "best", 2, how), 2), contains_text("best.json"));
    CHECK_THAT(refusal(tuned(f, "trials", 2, how), 2), contains_text("trial-1"));
  }
  CHECK(f.bytes("run/model.safetensors") == model);
  CHECK(f.bytes("best/best.json") == "mine");
  // Beside a search, too: its own trials have the numbers that it lists.
  REQUIRE(tuned(f, "tuned", 2).code == 0);
  std::filesystem::create_directories(f.path("tuned/trial-2"));
  write_text(f.path("tuned/trial-2/notes"), "mine");
  CHECK_THAT(refusal(tuned(f, "tuned", 2, {"--overwrite"}), 2), contains_text("trial-2"));
  CHECK(f.bytes("tuned/trial-2/notes") == "mine");
  std::filesystem::rename(f.path("tuned/trial-2"), f.path("tuned/trial-x"));
  REQUIRE(tuned(f, "tuned", 2, {"--overwrite"}).code == 0);
  CHECK(f.bytes("tuned/trial-x/notes") == "mine");
}

TEST_CASE("tune says when runs have too few evaluations to be stopped early") {
  const Fixture f;
  const auto said = [&](const char* epochs) {
    const Outcome o = f.mnemo({"tune", f.path("c.json"), "--trials", "1", "-o", f.path(std::string("e") + epochs),
                               "--set", std::string("training.epochs=") + epochs});
    INFO(o.err);
    CHECK(o.code == 0);
    return o.err.find("no run is stopped early") != std::string::npos;
  };
  CHECK(said("2"));
  CHECK(!said("3"));
}
