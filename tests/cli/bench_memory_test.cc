// bench memory: what it prints in each format, and what it refuses.
#include <nlohmann/json.hpp>

#include "tests/cli/fixture.h"

namespace {

using MemoryWords = std::vector<std::string>;

// Two cells, two seeds, forty steps.
MemoryWords small_memory(const MemoryWords& more) {
  MemoryWords out{"bench", "memory",  "--lengths", "10",      "--cell", "lstm",     "--cell",
                  "gru",   "--steps", "40",        "--seeds", "2",      "--hidden", "6"};
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

void check_memory_refused(const Fixture& f, const MemoryWords& more, const std::string& message) {
  MemoryWords words{"bench", "memory"};
  words.insert(words.end(), more.begin(), more.end());
  const Outcome o = f.mnemo(words);
  INFO(o.out);
  CHECK(o.out.empty());
  check_fails(o, 2, message);
}

}  // namespace

TEST_CASE("bench memory: the same bytes for one thread and two, as JSON") {
  const Fixture f;
  const Outcome o = f.mnemo(small_memory({"--problem", "order", "--problem", "parity", "-f", "json", "-j", "1"}));
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK(f.mnemo(small_memory({"--problem", "order", "--problem", "parity", "-f", "json", "-j", "2"})).out == o.out);
  const auto j = nlohmann::json::parse(o.out);
  CHECK(j["settings"]["steps"] == 40);
  CHECK(j["settings"]["forget_bias"] == 1.0);
  REQUIRE(j["runs"].size() == 8);
  const auto& first = j["runs"][0];
  CHECK(first["problem"] == "order");
  CHECK(first["cell"] == "lstm");
  CHECK(first["length"] == 10);
  CHECK(first["seed"] == 1);
  CHECK(first["solved"].is_null());
  CHECK(first["steps"] == 40);
  CHECK(first["baseline"].get<double>() == Approx(1.386294));
  CHECK(first["loss"].get<double>() == Approx(1.386294 * first["loss_over_baseline"].get<double>()));
  CHECK(first["curve"].size() == 40);
  CHECK(j["runs"][1]["seed"] == 2);
  CHECK(j["runs"][1]["loss"] != first["loss"]);
  CHECK(j["runs"][2]["cell"] == "gru");
  CHECK(j["runs"][4]["problem"] == "parity");
  // One line for each run on standard error, none if quiet.
  CHECK(lines_of(o.err).size() == 8);
  CHECK_THAT(o.err, contains_text("] order, lstm, length 10, seed 1: not solved in 40 steps, loss "));
  const Outcome quiet = f.mnemo(small_memory({"--problem", "order", "--problem", "parity", "-f", "json", "-q"}));
  CHECK(quiet.err.empty());
  CHECK(quiet.out == o.out);
}

TEST_CASE("bench memory: a table, and a page of curves") {
  const Fixture f;
  const Outcome table = f.mnemo(small_memory({}));
  REQUIRE(table.code == 0);
  const auto lines = lines_of(table.out);
  REQUIRE(lines.size() == 3);
  CHECK_THAT(lines[0], contains_text("problem  cell  length  solved  after steps  loss / baseline   right"));
  CHECK_THAT(lines[1], contains_text("order    lstm      10  0 of 2  - -"));
  CHECK_THAT(lines[2], contains_text("order    gru       10  0 of 2  - -"));

  const Outcome o = f.mnemo(small_memory({"--forget-bias", "chrono", "-f", "html", "-o", f.path("memory.html")}));
  CHECK(o.code == 0);
  CHECK(o.out.empty());
  const std::string page = f.bytes("memory.html");
  for (const char* part :
       {"<!DOCTYPE html>", "default-src 'none'", "width=device-width", "prefers-color-scheme: dark", "<svg ",
        "order, lstm, length 10", "seed 2, not solved in 40 steps", "--forget-bias chrono", "<td>0 of 2</td>"})
    CHECK_THAT(page, contains_text(part));
  for (const char* absent : {"http:", "https:", "<script", "url("}) CHECK(page.find(absent) == std::string::npos);
}

TEST_CASE("bench memory: what it refuses, and bench without it") {
  const Fixture f;
  check_memory_refused(f, {"--problem", "chess"}, "--problem: expected order, adding, copy or parity, found \"chess\"");
  check_memory_refused(f, {"--cell", "lstn"}, "--cell: expected lstm");
  check_memory_refused(f, {"--lengths", "30,x"}, "--lengths: expected whole numbers from 1 to 100000");
  check_memory_refused(f, {"--lengths", "30,"}, "--lengths: expected whole numbers");
  check_memory_refused(f, {"--lengths", "100001"}, "--lengths: expected whole numbers");
  check_memory_refused(f, {"--lengths", "30,40,30"}, "--lengths: 30 is given twice");
  check_memory_refused(f, {"--cell", "gru", "--cell", "gru"}, "--cell: gru is given twice");
  check_memory_refused(f, {"--problem", "order", "--problem", "order"}, "--problem: order is given twice");
  check_memory_refused(f, {"--lengths", "9"}, "--lengths 9: the problem order has at least 10");
  check_memory_refused(f, {"--seeds", "0"}, "--seeds: expected a whole number from 1");
  check_memory_refused(f, {"--format", "tsv"}, "--format: expected text, json or html");
  check_memory_refused(f, {"--forget-bias", "kairos"}, "--forget-bias: expected chrono or a number from -10 to 10");
  check_memory_refused(f, {"--forget-bias", "11"}, "--forget-bias: expected chrono or a number from -10 to 10");
  check_memory_refused(f, {"--forget-range", "50"}, "--forget-range: only with --forget-bias chrono");
  check_memory_refused(f, {"--forget-bias", "chrono", "--cell", "rnn"},
                       "--forget-bias chrono: the cell rnn has neither a forget nor an update gate");
  check_memory_refused(f, {"lstm"}, "lstm: one argument too many; usage: mnemo bench memory [OPTION]...");

  // Before the work, of which there is a lot.
  const Outcome unwritable = f.mnemo({"bench", "memory", "--steps", "1000000000", "-o", f.path("none/memory.html")});
  check_fails(unwritable, 1, "none/memory.html");

  const Outcome layer = f.mnemo({"bench", "lstm", "--batch", "2", "--steps", "2", "--hidden", "3", "--repeat", "1"});
  CHECK(layer.code == 0);
  CHECK_THAT(layer.out, contains_text("percent_of_peak"));
  check_fails(f.mnemo({"bench", "memry"}), 2, "CELL: expected lstm");
  CHECK_THAT(f.mnemo({"help", "bench"}).out,
             contains_text("Usage: mnemo bench [OPTION]... [CELL], or mnemo bench memory [OPTION]..."));
  CHECK_THAT(f.mnemo({"help", "bench", "memory"}).out, contains_text("2000 sequences in a row"));
}

TEST_CASE("chrono initialisation is an option of models") {
  const Fixture f;
  const auto check = [&](const MemoryWords& sets) {
    MemoryWords words{"config", "check", f.path("c.json")};
    for (const std::string& set : sets) words.insert(words.end(), {"--set", set});
    return f.mnemo(words);
  };
  CHECK(check({"model.forget_bias=chrono"}).code == 0);
  CHECK(check({"model.forget_bias=chrono", "model.forget_range=40", "model.cell=gru"}).code == 0);
  check_fails(check({"model.forget_bias=chrono", "model.cell=rnn"}), 2,
              "model.forget_bias: chrono needs a forget or an update gate, which this cell does not have");
  check_fails(check({"model.forget_range=40"}), 2, "model.forget_range: only with model.forget_bias chrono");
  check_fails(check({"model.forget_bias=time"}), 2,
              "model.forget_bias: expected a number or \"chrono\", found \"time\"");
  const Outcome o = f.train("chrono", {"--set", "model.forget_bias=chrono", "--set", "model.forget_range=20"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const auto config = nlohmann::json::parse(f.mnemo({"inspect", f.path("chrono/model.safetensors"), "-f", "json"}).out);
  CHECK(config["config"]["model"]["forget_bias"] == "chrono");
  CHECK(config["config"]["model"]["forget_range"] == 20.0);
}
