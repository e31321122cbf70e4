// inspect: looking at a model at work, on one text and on data.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/cli/fixture.h"

namespace {

using InspectJson = nlohmann::json;

InspectJson gates_of(const Fixture& f, const std::string& model, const std::string& text,
                     std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"inspect", model, "--gates", "--text", text, "-f", "json"});
  const Outcome o = f.mnemo(more);
  INFO(o.err);
  REQUIRE(o.code == 0);
  return InspectJson::parse(o.out);
}

// Every value has a row for each unit of the text and a number for each column; gates lie between 0 and 1, and the
// states follow from them.
void check_lstm_values(const InspectJson& network, std::size_t hidden) {
  const std::size_t units = network["units"].size();
  for (const auto& layer : network["layers"]) {
    const InspectJson& values = layer["values"];
    CHECK(layer["columns"].size() == hidden);
    CHECK(values.size() == 7);
    for (const auto& [name, rows] : values.items()) {
      REQUIRE(rows.size() == units);
      for (const auto& row : rows) REQUIRE(row.size() == hidden);
    }
    const bool forward = layer["direction"] == "forward";
    for (std::size_t s = 0; s < units; ++s)
      for (std::size_t j = 0; j < hidden; ++j) {
        const std::size_t t = forward ? s : units - 1 - s, before = forward ? t - 1 : t + 1;
        const auto at = [&](const char* name) { return values[name][t][j].get<double>(); };
        for (const char* gate : {"i", "f", "o"}) REQUIRE((at(gate) > 0 && at(gate) < 1));
        const double c = s == 0 ? 0.0 : values["c"][before][j].get<double>();
        REQUIRE(std::abs(at("f") * c + at("i") * at("g") - at("c")) < 1e-5);
        REQUIRE(std::abs(std::tanh(at("c")) - at("tanh(c)")) < 1e-5);
        REQUIRE(std::abs(at("o") * at("tanh(c)") - at("h")) < 1e-6);
      }
  }
}

}  // namespace

TEST_CASE("inspect --gates gives a classifier's gates and states for every unit of the text, as JSON and rows") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors");
  const InspectJson all = gates_of(f, model, "a fine soup again");
  REQUIRE(all["networks"].size() == 1);
  const InspectJson& network = all["networks"][0];
  CHECK(network["network"] == "rnn");
  CHECK(network["units"] == InspectJson({"a", "fine", "soup", "again"}));
  REQUIRE(network["layers"].size() == 2);
  CHECK(network["layers"][0]["direction"] == "forward");
  CHECK(network["layers"][1]["direction"] == "backward");
  check_lstm_values(network, 6);
  const InspectJson some = gates_of(f, model, "a fine soup again", {"--layer", "0", "--unit", "4", "--unit", "1"});
  CHECK(some["networks"][0]["layers"][0]["columns"] == InspectJson({4, 1}));
  CHECK(some["networks"][0]["layers"][1]["values"]["f"][2][0] == network["layers"][1]["values"]["f"][2][4]);
  // The same whatever is beside it.
  CHECK(gates_of(f, model, "a fine soup again", {"--threads", "3"}) == all);

  const Outcome rows = f.mnemo({"inspect", model, "--gates", "--text", "a fine soup again", "-f", "tsv"});
  REQUIRE(rows.code == 0);
  const auto lines = lines_of(rows.out);
  CHECK(lines[0] == "network\tlayer\tdirection\tname\tunit\tplace\ttext\tvalue");
  CHECK(lines.size() == 1 + 2 * 7 * 6 * 4);
  CHECK(lines[1].starts_with("rnn\t0\tforward\ti\t0\t0\ta\t0."));
  const Outcome table = f.mnemo({"inspect", model, "--gates", "--text", "a fine soup again", "--unit", "2"});
  CHECK(table.out.starts_with("lstm, layer 0, forward: i\nunit     a  fine  soup again\n   2  0."));
  CHECK(f.mnemo({"inspect", model, "--gates", "--text", "fine", "-f", "tsv", "-o", f.path("gates.tsv")}).out.empty());
  CHECK(lines_of(f.bytes("gates.tsv")).size() == 1 + 2 * 7 * 6);
}

TEST_CASE("inspect --gates shows other cells by their own names") {
  const Fixture& f = trained();
  const std::vector<std::pair<std::string, std::set<std::string>>> cells{
      {"gru", {"r", "z", "n", "h"}},
      {"rnn", {"h"}},
      {"peephole_lstm", {"i", "f", "g", "o", "c", "tanh(c)", "h"}},
      {"cifg_lstm", {"i", "f", "g", "o", "c", "tanh(c)", "h"}},
      {"capped_lstm", {"i", "f", "g", "o", "c", "tanh(c)", "h"}},
      {"min_lstm", {"f", "i", "g", "h"}},
      {"min_gru", {"z", "g", "h"}},
      {"sru", {"f", "r", "g", "c", "h"}}};
  for (const auto& [cell, names] : cells) {
    INFO(cell);
    REQUIRE(f.train(cell, {"--set", "model.cell=" + cell, "--set", "training.epochs=1", "--overwrite"}).code == 0);
    std::set<std::string> found;
    const InspectJson all = gates_of(f, f.path(cell + "/model.safetensors"), "a dull song");
    for (const auto& [name, rows] : all["networks"][0]["layers"][0]["values"].items()) found.insert(name);
    CHECK(found == names);
  }
}

TEST_CASE("inspect --gates refuses what it cannot show") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors");
  const auto refused = [&](const std::vector<std::string>& more, int code, const std::string& message) {
    std::vector<std::string> all{"inspect", model};
    all.insert(all.end(), more.begin(), more.end());
    check_fails(f.mnemo(all), code, message);
  };
  refused({"--gates"}, 2, "--text");
  refused({"--text", "fine"}, 2, "--gates");
  refused({"--gates", "--text", "fine", "--layer", "1"}, 2, "--layer 1: the model has layers 0 to 0");
  refused({"--gates", "--text", "fine", "--unit", "6"}, 2, "--unit 6: the layers have units 0 to 5");
  refused({"--gates", "--text", "fine", "--unit", "-1"}, 2, "--unit");
  refused({"--gates", "--text", "fine", "--unit", "x"}, 2, "--unit x: expected a number from 0 on");
  refused({"--gates", "--text", "\xff"}, 2, "--text: is not valid UTF-8");
  refused({"--gates", "--text", " "}, 1, "the text has no units");
  refused({"--gates", "--verify", "--text", "fine"}, 2, "--verify");
  refused({"--format", "tsv"}, 2, "--format tsv: only with an option that looks inside");
}

TEST_CASE("inspect DATA shows saturation, gradients back in time and the context that is used, in every format") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors"), data = f.path("train.tsv");
  const auto found = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"inspect", model, data});
    const Outcome o = f.mnemo(more);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return o.out;
  };
  const InspectJson saturation = InspectJson::parse(found({"--saturation", "-f", "json"}));
  REQUIRE(saturation["gates"].size() == 6);  // i, f, o in both directions
  CHECK(saturation["gates"][0]["below"].size() == 6);
  CHECK(saturation["gates"][0]["steps"] == saturation["gates"][5]["steps"]);
  CHECK(found({"--saturation", "--threads", "3"}) == found({"--saturation", "--threads", "1"}));
  CHECK(lines_of(found({"--saturation", "-f", "tsv"})).size() == 1 + 6 * 6);

  const InspectJson flow = InspectJson::parse(
      found({"--gradient-flow", "--beside", "rnn,gru", "--places", "40", "--longest", "4", "-f", "json"}));
  std::set<std::string> names;
  for (const auto& one : flow["networks"]) {
    names.insert(one["model"].get<std::string>());
    CHECK(one["median"].size() <= 5);
    for (const auto& value : one["median"]) CHECK(value.get<double>() >= 0);
  }
  CHECK(names == std::set<std::string>{"model", "rnn at initialisation", "gru at initialisation"});
  CHECK(found({"--gradient-flow", "--beside", "rnn", "--epochs", "1", "--longest", "4"}).find("rnn trained") !=
        std::string::npos);

  const InspectJson context = InspectJson::parse(found({"--context", "--longest", "8", "-f", "json"}));
  REQUIRE(context["losses"].size() == 4);
  CHECK(context["losses"][3]["above"] == 0.0);
  CHECK(found({"--context", "--longest", "8", "-f", "svg"}).starts_with("<svg"));
  for (const std::string view : {"--saturation", "--gradient-flow", "--context", "--find=regex:fine"}) {
    const std::string page = found({view, "--longest", "4", "-f", "html"});
    CHECK(page.starts_with("<!DOCTYPE html>"));
    CHECK(page.find("<script") == std::string::npos);
    CHECK(page.find("http://") == std::string::npos);
  }
}

TEST_CASE(
    "inspect --find names a cell of a character model that is in one state inside brackets and in another outside") {
  const TemporaryFolder folder;
  const std::string data = folder / "train.txt", config = folder / "c.json";
  mnemo::RandomStream random(1, mnemo::Purpose::kTest, 23);
  std::string text;
  for (int line = 0; line < 3000; ++line) {
    bool inside = false;
    for (int i = 0; i < 30; ++i) {
      const double draw = random.uniform();
      const bool mark = draw < (inside ? 0.15 : 0.1);
      text += mark ? (inside ? ')' : '(') : "abcde "[random.below(6)];
      inside = inside != mark;
    }
    text += inside ? ")\n" : "\n";
  }
  write_text(data, text);
  write_text(config, R"({"task": "generate", "data": {"train": "train.txt", "dev_fraction": 0.1},
 "text": {"unit": "char"}, "model": {"embedding": 16, "hidden": 32, "dropout": 0},
 "training": {"epochs": 6, "batch_size": 32, "bptt": 64, "learning_rate": 0.01}})");
  const auto program = [&](const std::vector<std::string>& arguments) { return run(arguments, folder.path()); };
  REQUIRE(program({"train", config, "--set", "output.dir=" + folder / "run"}).code == 0);
  std::vector<std::string> find{"inspect", folder / "run/model.safetensors", data, "--find", "brackets", "--places",
                                "100"};
  const auto in = [&](const std::string& format) {
    std::vector<std::string> all = find;
    all.insert(all.end(), {"-f", format});
    const Outcome o = program(all);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return o.out;
  };
  const InspectJson found = InspectJson::parse(in("json"));
  REQUIRE(found["units"].size() == 64);
  const double auc = found["units"][0]["auc"].get<double>();
  CHECK(std::max(auc, 1 - auc) > 0.99);
  CHECK(found["units"][0]["value"] == "c");
  CHECK(found["units"][0]["p"] == 0.001);
  CHECK(found["steps"].get<int>() + std::count(text.begin(), text.begin() + 10000, '(') +
            std::count(text.begin(), text.begin() + 10000, ')') ==
        10000);
  CHECK(lines_of(in("tsv")).size() == 65);
  // Without colours the text would say nothing.
  CHECK(in("text").starts_with("Units that follow being inside brackets best\nlayer "));
  CHECK(in("text").find(text.substr(0, 29)) == std::string::npos);
  CHECK(in("text").find("lstm, layer 0, forward") != std::string::npos);
  const std::string drawing = in("svg");
  CHECK(drawing.starts_with("<svg"));
  CHECK_THAT(drawing, contains_text("lstm, layer 0, forward</text>"));
  CHECK_THAT(drawing, contains_text(">0.001</text>"));
  CHECK_THAT(drawing, contains_text("permutation test"));
  CHECK(in("html").find("rgba(214,69,61") != std::string::npos);
  // The text is as random at any place of a line, so that no state need follow the position.
  find[4] = "position";
  const InspectJson by_position = InspectJson::parse(in("json"));
  for (const auto& unit : by_position["units"]) CHECK(std::abs(unit["rho"].get<double>()) < 0.5);
}

TEST_CASE("inspect --find searches a language model's text as it was written, not as the vocabulary has it") {
  const TemporaryFolder folder;
  write_text(folder / "train.txt", "the cat saw the dog\nthe dog saw the cat\nthe cat saw\n");
  write_text(folder / "seen.txt", "The  cat saw Ursula (and the DOG)\nthe dog\n");
  write_text(folder / "c.json", R"({"task": "generate", "data": {"train": "train.txt"},
 "text": {"unit": "word", "lowercase": true, "min_count": 1}, "model": {"embedding": 4, "hidden": 4},
 "training": {"epochs": 1, "batch_size": 2, "bptt": 8}})");
  REQUIRE(run({"train", folder / "c.json", "--set", "output.dir=" + folder / "run"}, folder.path()).code == 0);
  const auto found = [&](const std::string& property) {
    const Outcome o =
        run({"inspect", folder / "run/model.safetensors", folder / "seen.txt", "--find", property, "-f", "json"},
            folder.path());
    INFO(o.err);
    REQUIRE(o.code == 0);
    return InspectJson::parse(o.out);
  };
  CHECK(found("regex:Ursula")["present"] == 1);
  CHECK(found("regex:[A-Z]+")["present"] == 3);
  CHECK(found("regex:DOG")["present"] == 1);
  CHECK(found("regex:cat saw")["present"] == 2);
  CHECK(run({"inspect", folder / "run/model.safetensors", folder / "seen.txt", "--find", "regex:unk"}, folder.path())
            .code == 1);
  const InspectJson units = found("regex:the dog$");
  CHECK(units["present"] == 2);
  // Places of --place are those of the tables.
  const auto weighed = [&](const std::string& place) {
    return run({"inspect", folder / "run/model.safetensors", "--attribution", "occlusion", "--text", "the cat saw",
                "--place", place, "-f", "json"},
               folder.path());
  };
  const InspectJson second = InspectJson::parse(weighed("2").out);
  CHECK(second["target"] == "log p of cat");
  CHECK(second["units"] == InspectJson({"\n", "the"}));
  CHECK(weighed("0").err.find("have the places 1 to 3") != std::string::npos);
  CHECK(weighed("4").code == 2);
}

TEST_CASE("inspect --find label names states that follow a text's label, and none where labels are shuffled") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors");
  const auto found = [&](const std::string& data) {
    const Outcome o = f.mnemo({"inspect", model, f.path(data), "--find", "label:pos", "-f", "json"});
    INFO(o.err);
    REQUIRE(o.code == 0);
    return InspectJson::parse(o.out);
  };
  CHECK(found("train.tsv")["found"].get<int>() > 0);
  const std::string data = f.bytes("train.tsv");
  int named = 0;
  for (std::uint64_t round = 0; round < 20; ++round) {
    std::vector<std::string> labels, texts;
    for (const std::string& line : lines_of(data)) {
      labels.push_back(line.substr(0, 4));
      texts.push_back(line.substr(4));
    }
    mnemo::RandomStream(round, mnemo::Purpose::kTest, 24).shuffle(labels);
    std::string shuffled;
    for (std::size_t i = 0; i < texts.size(); ++i) shuffled += labels[i] + texts[i] + "\n";
    write_text(f.path("shuffled.tsv"), shuffled);
    named += found("shuffled.tsv")["found"] == 0 ? 0 : 1;
  }
  // Binomial with 20 draws of 5%: more than 4 has a probability of 0.3%.
  CHECK(named <= 4);
  const auto refused = [&](const std::string& property, int code, const std::string& message) {
    check_fails(f.mnemo({"inspect", model, f.path("train.tsv"), "--find", property}), code, message);
  };
  refused("label:neutral", 2, "has the label neutral; there are neg, pos");
  refused("quotes", 1, "expected some with it and some without");
  refused("label:", 2, "expected brackets, quotes, position, label:X or regex:R");
  refused("regex:(", 2, "regex:(: missing closing parenthesis");
}

TEST_CASE("inspect refuses combinations that make no sense, and data of another kind, before it writes anything") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors"), data = f.path("train.tsv");
  const auto refused = [&](std::vector<std::string> more, int code, const std::string& message) {
    more.insert(more.begin(), {"inspect", model});
    const Outcome o = f.mnemo(more);
    INFO(o.err);
    CHECK(o.code == code);
    CHECK(o.out.empty());
    CHECK(o.err.find(message) != std::string::npos);
  };
  refused({"--saturation"}, 2, "need DATA");
  refused({"--find", "brackets"}, 2, "need DATA");
  refused({data, "--find", "brackets", "--context"}, 2, "--context");
  refused({data}, 2, "DATA needs");
  refused({data, "--saturation", "--context"}, 2, "--context");
  refused({data, "--gradient-flow", "--beside", "rnn,grub"}, 2, "--beside rnn,grub");
  refused({data, "--gradient-flow", "--beside", "rnn,"}, 2, "--beside rnn,");
  refused({data, "--context", "--longest", "1"}, 2, "--longest");
  refused({"-f", "svg"}, 2, "--format svg");
  refused({"-o", f.path("x")}, 2, "--output");
  refused({"--verify", "-f", "json"}, 2, "--verify: not together with --format");
  refused({"--places", "3"}, 2, "--places: only with DATA");
  refused({"--longest", "3"}, 2, "--longest: only with DATA");
  refused({"--gates", "--text", "fine", "--format-in", "tsv"}, 2, "--format-in: only with DATA");
  refused({data, "--find", ""}, 2, "--find: is empty, expected brackets");
  refused({data, "--gradient-flow", "--beside", ""}, 2, "--beside: is empty, expected names of cells");
  refused({"--gates", "--text", ""}, 2, "--text: is empty, expected a text");
  refused({"--attribution", "gradient", "--text", "fine", "--label", ""}, 2, "--label: is empty");
  refused({data, "--context", "-o", ""}, 2, "--output: is empty, expected a file");
  refused({"--gates", "--text", "fine", "--unit", "1", "--unit", "1"}, 2, "--unit 1: is given twice");
  refused({data, "--gradient-flow", "--beside", "rnn,gru,rnn"}, 2, "rnn is there twice");
  // Before the data are read.
  refused({f.path("none.tsv"), "--gradient-flow", "--beside", "grub"}, 2, "--beside grub");
  refused({f.path("none.tsv"), "--context", "-o", f.path("none/x.svg")}, 1, "none/x.svg");
  refused({data, "--gradient-flow", "--places", "4"}, 1, "4 sequences of two or more steps");
  refused({f.path("none.tsv"), "--saturation"}, 1, "none.tsv");
  write_text(f.path("strange.tsv"), "neverseen\ta fine soup\n");
  refused({f.path("strange.tsv"), "--saturation"}, 1, "labels that the model does not know: 1");
  refused({f.path("strange.tsv"), "--context"}, 1, "labels that the model does not know: 1");
}

TEST_CASE("inspect --context leaves out texts without units") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors");
  write_text(f.path("some.tsv"), "pos\ta fine soup\nneg\t\npos\t \n");
  const Outcome some = f.mnemo({"inspect", model, f.path("some.tsv"), "--context", "-f", "json"});
  REQUIRE(some.code == 0);
  CHECK(InspectJson::parse(some.out)["places"] == 1);
  write_text(f.path("none.txt"), "neg\t\n");
  check_fails(f.mnemo({"inspect", model, f.path("none.txt"), "--context", "--format-in", "tsv"}), 1,
              "--context: the data have no units");
}

TEST_CASE("inspect --saturation of a plain RNN says that it has no gates") {
  const Fixture& f = trained();
  REQUIRE(f.train("plain", {"--set", "model.cell=rnn", "--set", "training.epochs=1", "--overwrite"}).code == 0);
  const Outcome o = f.mnemo({"inspect", f.path("plain/model.safetensors"), f.path("train.tsv"), "--saturation"});
  CHECK(o.out.empty());
  check_fails(o, 2, "--saturation: the model's cell has no gates");
}

TEST_CASE("inspect --gradient-flow says what networks with other cells are without") {
  const Fixture& f = trained();
  for (const auto& [setting, without] : {std::pair{"model.layer_norm=true", "layer normalisation"},
                                         {"model.projection=3", "projection"},
                                         {"model.mogrifier.rounds=2", "mogrifier"}}) {
    REQUIRE(f.train("more", {"--set", setting, "--set", "training.epochs=1", "--overwrite"}).code == 0);
    const Outcome o = f.mnemo(
        {"inspect", f.path("more/model.safetensors"), f.path("train.tsv"), "--gradient-flow", "--beside", "gru,lstm"});
    INFO(o.err);
    REQUIRE(o.code == 0);
    CHECK_THAT(o.out, contains_text(std::string("\ngru: no ") + without + ".\n"));
    CHECK(o.out.find("\nlstm: ") == std::string::npos);
    CHECK_THAT(o.out, contains_text("begin with vectors drawn at random"));
  }
}

TEST_CASE("inspect --attribution shows words with the blanks of the text, and a gap only where there is one") {
  const Fixture& f = trained();
  const auto found = [&](const std::string& method, const std::string& format) {
    const Outcome o = f.mnemo(
        {"inspect", f.path("run/model.safetensors"), "--attribution", method, "--text", "so it is", "-f", format});
    REQUIRE(o.code == 0);
    return o.out;
  };
  const std::string page = found("integrated", "html");
  for (const char* words : {">so</span> <span", ">it</span> <span", ">is</span></p>"})
    CHECK_THAT(page, contains_text(words));
  CHECK_THAT(found("integrated", "text"), contains_text(": gap "));
  CHECK(found("occlusion", "text").find("gap") == std::string::npos);
  CHECK(InspectJson::parse(found("gradient", "json"))["gap"].is_null());
}

TEST_CASE("inspect --attribution weighs the units of a text, and integrated gradients add up to the difference") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors");
  const auto found = [&](const std::string& method, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"inspect", model, "--attribution", method, "--text", "a fine soup again", "-f", "json"});
    const Outcome o = f.mnemo(more);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return InspectJson::parse(o.out);
  };
  const InspectJson integrated = found("integrated");
  CHECK(integrated["units"] == InspectJson({"a", "fine", "soup", "again"}));
  double sum = 0;
  for (const auto& weight : integrated["weights"]) sum += weight.get<double>();
  const double difference = integrated["value"].get<double>() - integrated["baseline"].get<double>();
  // The second term is for kinks of the pooling, beside which this model's difference is small.
  CHECK(std::abs(sum - difference) < 0.01 * std::abs(difference) + 1e-4);
  CHECK(std::abs(integrated["gap"].get<double>() * std::abs(difference) - std::abs(sum - difference)) < 1e-9);
  CHECK(found("integrated", {"--threads", "3"}) == integrated);
  CHECK(found("occlusion")["value"] == integrated["value"]);
  CHECK(found("gradient")["weights"].size() == 4);
  const InspectJson& curve = integrated["deletion"];
  CHECK(curve["share"] == InspectJson({0.0, 0.25, 0.5, 0.75, 1.0}));
  CHECK(std::abs(curve["by_weight"][0].get<double>() - integrated["value"].get<double>()) < 1e-5);
  CHECK(std::abs(curve["at_random"][4].get<double>() - integrated["baseline"].get<double>()) < 1e-5);
  const std::string label = integrated["target"].get<std::string>() == "logit of pos" ? "neg" : "pos";
  const Outcome other = f.mnemo({"inspect", model, "--attribution", "gradient", "--text", "fine", "--label", label});
  REQUIRE(other.code == 0);
  CHECK(other.out.find("logit of " + label) != std::string::npos);
  const auto refused = [&](std::vector<std::string> more, const std::string& message) {
    more.insert(more.begin(), {"inspect", model, "--attribution", "gradient"});
    const Outcome o = f.mnemo(more);
    CHECK(o.code == 2);
    CHECK(o.err.find(message) != std::string::npos);
  };
  refused({"--text", "fine", "--label", "no such"}, "--label no such");
  refused({"--text", "fine", "--place", "0"}, "--place");
  refused({}, "need --text");
  CHECK(f.mnemo({"inspect", model, "--attention", "--text", "fine"}).code == 2);
  const Outcome page = f.mnemo({"inspect", model, "--attribution", "integrated", "--text", "a <b> fine", "-f", "html"});
  CHECK(page.out.find("<b>") == std::string::npos);
  CHECK(page.out.find("&lt;b&gt;") != std::string::npos);
}

TEST_CASE("integrated gradients add up with layer norm, which takes nearly any share of the input for the whole") {
  const Fixture& f = trained();
  for (const char* pooling : {"last", "max"}) {
    REQUIRE(f.train("normed", {"--set", "model.layer_norm=true", "--set", std::string("model.pooling=") + pooling,
                               "--set", "model.dropout=0", "--overwrite"})
                .code == 0);
    for (const char* text : {"a fine soup again", "awful", "the soup was fine and the bread was awful"}) {
      const InspectJson found =
          InspectJson::parse(f.mnemo({"inspect", f.path("normed/model.safetensors"), "--attribution", "integrated",
                                      "--text", text, "-f", "json"})
                                 .out);
      CHECK(std::abs(found["value"].get<double>() - found["baseline"].get<double>()) > 1e-3);
      CHECK(found["gap"].get<double>() < 0.01);
    }
  }
}

TEST_CASE("every method of attribution takes a quantised classifier") {
  const Fixture& f = trained();
  for (const char* precision : {"int8", "bfloat16"}) {
    const std::string small = f.path(std::string("small.") + precision);
    REQUIRE(f.mnemo({"quantize", f.path("run/model.safetensors"), "--dev", f.path("train.tsv"), "--max-drop", "1",
                     "--precision", precision, "-o", small})
                .code == 0);
    for (const char* method : {"gradient", "integrated", "occlusion"}) {
      const Outcome o = f.mnemo({"inspect", small, "--attribution", method, "--text", "a fine soup again"});
      INFO(precision << ", " << method << ": " << o.err);
      CHECK(o.code == 0);
    }
  }
}

TEST_CASE("what is left out of a text is left out of its convolutions, too") {
  const Fixture& f = trained();
  for (const char* place : {"beside", "before"}) {
    REQUIRE(f.train("convolved", {"--set", "model.convolution.widths=[2,3]", "--set",
                                  std::string("model.convolution.place=") + place, "--overwrite"})
                .code == 0);
    const Outcome o = f.mnemo({"inspect", f.path("convolved/model.safetensors"), "--attribution", "integrated",
                               "--text", "a fine soup again", "-f", "json"});
    REQUIRE(o.code == 0);
    const InspectJson found = InspectJson::parse(o.out);
    const double baseline = found["baseline"].get<double>();
    // The last point of the curve has no unit, as the baseline.
    CHECK(std::abs(found["deletion"]["by_weight"][4].get<double>() - baseline) < 1e-5);
    CHECK(std::abs(found["deletion"]["by_weight"][0].get<double>() - found["value"].get<double>()) < 1e-5);
    double sum = 0;
    for (const auto& weight : found["weights"]) sum += weight.get<double>();
    // Maxima and cuts at zero have kinks, between which the quadrature is not exact.
    CHECK(std::abs(sum - (found["value"].get<double>() - baseline)) < 0.05);
  }
}

TEST_CASE("classify --explain names the words whose absence lowers the label's logit most") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors");
  const std::string text = "a fine soup again";
  const InspectJson weights =
      InspectJson::parse(f.mnemo({"inspect", model, "--attribution", "occlusion", "--text", text, "-f", "json"}).out);
  const Outcome json = f.mnemo({"classify", model, "--explain", "-f", "jsonl"}, text + "\n\n");
  REQUIRE(json.code == 0);
  const auto lines = lines_of(json.out);
  REQUIRE(lines.size() == 2);
  const InspectJson explain = InspectJson::parse(lines[0])["explain"];
  REQUIRE(explain.size() <= 3);
  double largest = 0;
  for (const auto& weight : weights["weights"]) largest = std::max(largest, weight.get<double>());
  if (!explain.empty()) CHECK(std::abs(explain[0][1].get<double>() - largest) < 1e-5);
  CHECK(explain.empty() == (largest == 0));
  CHECK(InspectJson::parse(lines[1])["explain"].empty());
  // Mistakes of a report are coloured by the same weights, for the label that they were given.
  const InspectJson against = InspectJson::parse(
      f.mnemo({"inspect", model, "--attribution", "occlusion", "--text", "a fine <soup> again", "-f", "json"}).out);
  const std::string wrong = against["target"] == "logit of pos" ? "neg" : "pos";
  write_text(f.path("wrong.tsv"), wrong + "\ta fine <soup> again\n");
  REQUIRE(f.mnemo({"evaluate", model, f.path("wrong.tsv"), "--report", f.path("wrong.html")}).code == 0);
  const std::string page = f.bytes("wrong.html");
  for (std::size_t t = 0; t < 4; ++t)
    CHECK_THAT(page, contains_text(fmt::format(R"(title="{:+.4f}">{}</span>)", against["weights"][t].get<double>(),
                                               t == 2 ? "&lt;soup&gt;" : against["units"][t].get<std::string>())));
  const Outcome tsv = f.mnemo({"classify", model, "--explain"}, text + "\n");
  CHECK(std::count(tsv.out.begin(), tsv.out.end(), '\t') == 2);
}

TEST_CASE("classify --explain searches a long text for the words that leaving out each of its words names") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors");
  std::string text;
  for (int k = 0; k < 1500; ++k) text += k == 700 ? "fine " : k == 701 ? "awful " : "the ";
  const InspectJson whole =
      InspectJson::parse(f.mnemo({"inspect", model, "--attribution", "occlusion", "--text", text, "-f", "json"}).out);
  std::size_t first = 0;
  const auto weight = [&](std::size_t t) { return whole["weights"][t].get<double>(); };
  for (std::size_t t = 0; t < 1500; ++t)
    if (weight(t) > weight(first)) first = t;
  const InspectJson line =
      InspectJson::parse(f.mnemo({"classify", model, "--explain", "-f", "jsonl"}, text + "\n").out);
  REQUIRE(!line["explain"].empty());
  CHECK(line["explain"][0][0] == whole["units"][first]);
  CHECK(std::abs(line["explain"][0][1].get<double>() - weight(first)) < 1e-5);
}
