// Poems from the shell.
#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/cli/program.h"
#include "tests/temporary_folder.h"
#include "text/utf8.h"

namespace {

using nlohmann::json;

// Quatrains that are in every anthology of the Tang, with titles and authors.
const std::vector<std::array<std::string, 3>> kPoems{
    {"李白", "靜夜思", "牀前看月光，疑是地上霜。|舉頭望山月，低頭思故鄉。"},
    {"王之渙", "登鸛雀樓", "白日依山盡，黃河入海流。|欲窮千里目，更上一層樓。"},
    {"孟浩然", "春曉", "春眠不覺曉，處處聞啼鳥。|夜來風雨聲，花落知多少。"},
    {"王維", "鹿柴", "空山不見人，但聞人語響。|返景入深林，復照青苔上。"},
    {"王維", "相思", "紅豆生南國，春來發幾枝。|願君多采擷，此物最相思。"},
    {"柳宗元", "江雪", "千山鳥飛絕，萬徑人蹤滅。|孤舟蓑笠翁，獨釣寒江雪。"},
    {"李白", "早發白帝城", "朝辭白帝彩雲間，千里江陵一日還。|兩岸猿聲啼不住，輕舟已過萬重山。"},
    {"杜甫", "絕句", "兩箇黃鸝鳴翠柳，一行白鷺上青天。|窗含西嶺千秋雪，門泊東吳萬里船。"},
    {"張繼", "楓橋夜泊", "月落烏啼霜滿天，江楓漁火對愁眠。|姑蘇城外寒山寺，夜半鐘聲到客船。"},
    {"王昌齡", "出塞", "秦時明月漢時關，萬里長征人未還。|但使龍城飛將在，不教胡馬度陰山。"},
    {"杜牧", "山行", "遠上寒山石徑斜，白雲深處有人家。|停車坐愛楓林晚，霜葉紅於二月花。"},
    {"王翰", "涼州詞", "葡萄美酒夜光杯，欲飲琵琶馬上催。|醉臥沙場君莫笑，古來征戰幾人回。"}};

json collection(std::size_t first, std::size_t last) {
  json out = json::array();
  for (std::size_t i = first; i < last; ++i) {
    const auto& [author, title, body] = kPoems[i % kPoems.size()];
    const std::size_t bar = body.find('|');
    out.push_back({{"author", author}, {"title", title}, {"paragraphs", {body.substr(0, bar), body.substr(bar + 1)}}});
  }
  return out;
}

class PoemFixture {
 public:
  PoemFixture() {
    write_text(path("train.json"), collection(0, 12).dump());
    json dev = collection(0, 3);
    dev.push_back({{"paragraphs", {"日暮蒼山遠，天寒白屋貧。", "柴門聞犬吠，風雪夜歸人。"}}, {"author", "劉長卿"}});
    write_text(path("dev.json"), dev.dump());
    write_text(path("c.json"), R"({"task": "generate", "data": {"train": "train.json", "dev": "dev.json",
 "format": "poems-json"}, "model": {"embedding": 16, "hidden": 32, "dropout": 0.0, "embedding_dropout": 0.0},
 "training": {"epochs": 10, "batch_size": 4, "learning_rate": 0.02}})");
  }
  std::string path(const std::string& name) const { return folder_ / name; }
  std::string bytes(const std::string& name) const { return Process::text(path(name)); }
  Outcome mnemo(const std::vector<std::string>& arguments, const std::string& input = "") const {
    return run(arguments, folder_.path(), input);
  }
  Outcome train(const std::string& output, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all{"train", path("c.json"), "--set", "output.dir=" + path(output)};
    all.insert(all.end(), more.begin(), more.end());
    return mnemo(all);
  }
  std::string model() const { return path("run/model.safetensors"); }
  Outcome generate(std::vector<std::string> more) const {
    more.insert(more.begin(), {"generate", model()});
    return mnemo(more);
  }

 private:
  TemporaryFolder folder_;
};

const PoemFixture& trained_poems() {
  static const std::unique_ptr<const PoemFixture> fixture = [] {
    auto made = std::make_unique<PoemFixture>();
    const Outcome outcome = made->train("run");
    if (outcome.code != 0) throw std::runtime_error("training the tiny model of poems: " + outcome.err);
    return made;
  }();
  return *fixture;
}

// Lines of "xyz", every so-many-th "abcd".
std::string forty_lines(int every) {
  std::string out;
  for (int i = 0; i < 40; ++i) out += i % every == 0 ? "abcd\n" : "xyz\n";
  return out;
}

// The log-probability that `score` gives a line.
double scored(const PoemFixture& f, const std::string& run, const std::string& line) {
  const Outcome o = f.mnemo({"score", f.path(run + "/model.safetensors"), "--format", "jsonl"}, line + "\n");
  return json::parse(o.out)["log_prob"];
}

}  // namespace

TEST_CASE("poems: those of train are left out of dev, and only bodies are measured") {
  const PoemFixture f;
  const Outcome o = f.train("run");
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK_THAT(o.err, contains_text("dev: 3 records whose text is in train left out"));
  CHECK_THAT(o.err, contains_text("train: 12 records"));
  CHECK_THAT(o.err, contains_text("dev: 1 records"));
  const Outcome e = f.mnemo({"evaluate", f.model(), f.path("train.json"), "--format", "json"});
  INFO(e.err);
  REQUIRE(e.code == 0);
  const json report = json::parse(e.out);
  CHECK(report["records"] == 12);
  // The units that are measured: those of the bodies, with the end of each.
  std::int64_t body = 0;
  for (const json& poem : json::parse(mnemo::read_file(f.path("train.json")))) {
    for (const std::string paragraph : poem["paragraphs"])
      body += static_cast<std::int64_t>(mnemo::count_code_points(paragraph)) + 1;
  }
  CHECK(report["units"] == body);
  write_text(f.path("plain.txt"), "白日依山盡\n黃河入海流龘\n");
  CHECK(f.mnemo({"evaluate", f.model(), f.path("plain.txt")}).code == 1);
  const Outcome lines =
      f.mnemo({"evaluate", f.model(), f.path("plain.txt"), "--format-in", "lines", "--format", "json"});
  REQUIRE(lines.code == 0);
  CHECK(json::parse(lines.out)["units"] == 13);
  CHECK(json::parse(lines.out)["unknown_units"] == 1);
  CHECK(f.mnemo({"evaluate", f.model(), f.path("plain.txt"), "--format-in", "tsv"}).code == 2);
  const Outcome overlap = f.generate({"--length", "5", "--overlap", f.path("plain.txt"), "--format-in", "lines"});
  CHECK(overlap.code == 0);
  CHECK(report["metrics"]["perplexity"].get<double>() > 1.0);
}

TEST_CASE("poems: the same bytes for any number of threads, and after an interruption within an epoch") {
  const PoemFixture f;
  const std::vector<std::string> more{"--set", "training.save_every=2 steps"};
  const auto with = [&](std::vector<std::string> others) {
    others.insert(others.end(), more.begin(), more.end());
    return others;
  };
  REQUIRE(f.train("one", with({"--threads", "1"})).code == 0);
  REQUIRE(f.train("three", with({"--threads", "3"})).code == 0);
  CHECK(f.bytes("one/model.safetensors") == f.bytes("three/model.safetensors"));
  // Killed in the middle of an epoch of three steps.
  Process process({"train", f.path("c.json"), "--set", "output.dir=" + f.path("cut"), "--set",
                   "training.save_every=2 steps", "--set", "training.epochs=10"},
                  f.path(""));
  while (!std::filesystem::exists(f.path("cut/resume.safetensors"))) usleep(1000);
  process.send(SIGKILL);
  process.wait();
  REQUIRE(f.train("cut", with({"--resume"})).code == 0);
  CHECK(f.bytes("cut/model.safetensors") == f.bytes("one/model.safetensors"));
}

TEST_CASE("poems in a form keep it, and are written with their title and author") {
  const auto& f = trained_poems();
  const Outcome o = f.generate({"--form", "五绝", "--title", "春曉", "--author", "王維", "--samples", "20", "--tones",
                                "loose", "--allow-repeats", "--format", "jsonl"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const auto poems = lines_of(o.out);
  REQUIRE(poems.size() == 20);
  std::string all;
  for (const std::string& poem : poems) {
    const json one = json::parse(poem);
    CHECK(one["title"] == "春曉");
    CHECK(one["author"] == "王維");
    CHECK(one["form"] == "五绝");
    CHECK(one["log_prob"].get<double>() < 0);
    all += one["text"].get<std::string>() + "\n\n";
  }
  const Outcome s = f.mnemo({"score", f.model(), "--form", "五绝", "--tones", "loose"}, all);
  CHECK_THAT(s.err, contains_text("20 poems, 20 keep the form 五绝"));
  CHECK(f.generate({"--form", "五绝", "--seed", "3", "--tones", "loose", "--allow-repeats"}).out ==
        f.generate({"--form", "五绝", "--seed", "3", "--tones", "loose", "--allow-repeats"}).out);
  const Outcome beam = f.generate({"--form", "五绝", "--beam", "4", "--tones", "off"});
  CHECK(beam.code == 0);
  const Outcome checked = f.mnemo({"score", f.model(), "--form", "五绝", "--tones", "off"}, beam.out);
  CHECK_THAT(checked.err, contains_text("1 poems, 1 keep the form"));
}

TEST_CASE("an acrostic begins the lines, and candidates are ranked") {
  const auto& f = trained_poems();
  const Outcome o = f.generate({"--form", "七绝", "--acrostic", "春江月夜", "--tones", "loose", "--allow-repeats"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK(o.out.starts_with("春"));
  for (const std::string c : {"，江", "\n月", "，夜"}) CHECK(o.out.find(c) != std::string::npos);
  // The best of eight is at least as probable as each alone, as quatrains need no parallel couplets.
  const std::vector<std::string> form{"--form", "五绝", "--tones", "off", "--format", "jsonl"};
  const auto log_p = [&](std::vector<std::string> more) {
    more.insert(more.begin(), form.begin(), form.end());
    std::vector<double> out;
    for (const std::string& line : lines_of(f.generate(more).out))
      out.push_back(json::parse(line)["log_prob"].get<double>());
    return out;
  };
  const auto best = log_p({"--candidates", "8"}), all = log_p({"--samples", "8"});
  REQUIRE(best.size() == 1);
  REQUIRE(all.size() == 8);
  CHECK(best[0] == *std::max_element(all.begin(), all.end()));
  // In verse of eight lines parallelism counts, too.
  const std::vector<std::string> eight{"--form", "五律", "--tones", "off", "--allow-repeats", "--format", "jsonl"};
  const auto scores = [&](std::vector<std::string> more) {
    more.insert(more.begin(), eight.begin(), eight.end());
    std::vector<double> out;
    for (const std::string& line : lines_of(f.generate(more).out)) {
      const json one = json::parse(line);
      out.push_back(one["log_prob"].get<double>() / one["units"].get<double>() + one["parallelism"].get<double>());
    }
    return out;
  };
  const auto chosen = scores({"--candidates", "6"}), every = scores({"--samples", "6"});
  REQUIRE(every.size() == 6);
  CHECK(chosen == std::vector<double>{*std::max_element(every.begin(), every.end())});
}

TEST_CASE("impossible forms, and models that cannot write them, are refused") {
  const auto& f = trained_poems();
  const auto refused = [&](const std::vector<std::string>& arguments, const std::string& text, int code = 1) {
    const Outcome o = f.generate(arguments);
    INFO(o.err);
    CHECK(o.code == code);
    CHECK(o.out.empty());
    CHECK_THAT(o.err, contains_text(text));
  };
  refused({"--form", "五绝", "--acrostic", "春江月夜春"}, "5 characters");
  refused({"--form", "五绝", "--acrostic", "春江月龘"}, "龘");
  refused({"--form", "八绝"}, "neither a form nor a file", 2);
  refused({"--acrostic", "春"}, "--acrostic: only with --form", 2);
  // A whole poem as the prompt is returned as it is.
  const Outcome poem = f.generate({"--form", "五绝", "--tones", "off", "--format", "jsonl"});
  const std::string whole = json::parse(poem.out)["text"];
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--beam", "2"}, {"--samples", "2"}}) {
    std::vector<std::string> all{"--form", "五绝", "--tones", "off", "--prompt", whole, "--format", "jsonl"};
    all.insert(all.end(), more.begin(), more.end());
    const Outcome again = f.generate(all);
    CHECK(again.code == 0);
    for (const std::string& line : lines_of(again.out)) {
      CHECK(json::parse(line)["text"] == whole);
      CHECK(json::parse(line)["units"] == 0);
    }
  }
  refused({"--form", "五绝", "--tones", "off", "--prompt", whole + "山"}, "is after the end of 五绝");
  refused({"--form", "五绝", "--prompt", "月光"}, "prompt, unit", 1);
  refused({"--author", "龘"}, "--author: the model does not know \"龘\"");
  write_text(f.path("bad.txt"), "试\n平x\n");
  refused({"--form", f.path("bad.txt")}, "bad.txt:2");
  std::string many = "试\n";
  for (char letter = 'A'; letter <= 'O'; ++letter) many += std::string("中平") + letter + "，";
  write_text(f.path("many.txt"), many);
  refused({"--form", f.path("many.txt")}, "asks for 15 different level rhymes: the book has 14");
  refused({"--form", "五绝", "--title", "\xff"}, "--title: is not valid UTF-8", 2);
  refused({"--form", "五绝", "--author", "\xe7"}, "--author: is not valid UTF-8", 2);
  refused({"--form", "五绝", "--length", "3"}, "--form: not together with --length", 2);
  refused({"--tones", "off"}, "--tones: only with --form", 2);
  refused({"--beam", "2", "--samples", "3"}, "a beam of 2 finds at most 2 texts", 2);
  refused({"--seed", "-1"}, "--seed", 2);
  // A rhyme needs characters that the tables know.
  write_text(f.path("lines.txt"), "abc，de。\nabc，fg。\n");
  write_text(f.path("plain.json"),
             R"({"task": "generate", "data": {"train": "lines.txt", "dev_fraction": 0}, "model": {"hidden": 8,
 "embedding": 8}, "training": {"epochs": 1, "batch_size": 2}})");
  REQUIRE(f.mnemo({"train", f.path("plain.json"), "--set", "output.dir=" + f.path("plain")}).code == 0);
  const auto plain = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"generate", f.path("plain/model.safetensors")});
    return f.mnemo(more);
  };
  CHECK_THAT(plain({"--form", "五绝"}).err, contains_text("no rhyme has enough characters"));
  CHECK_THAT(plain({"--title", "abc"}).err, contains_text("is not conditioned on titles and authors"));
}

TEST_CASE("a tune from a file, and a built-in one") {
  const auto& f = trained_poems();
  write_text(f.path("tune.txt"), "试\n中平A，中中平A。\n");
  const Outcome o = f.generate({"--form", f.path("tune.txt"), "--format", "jsonl", "--rhyme", "xinyun"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const std::string text = json::parse(o.out)["text"];
  CHECK(text.size() == 7 * 3);
  check_fails(f.mnemo({"score", f.model(), "--form", f.path("tune.txt"), "-o", f.path("tune.txt")}, text + "\n"), 2,
              "is an input of this command");
  CHECK_THAT(f.mnemo({"score", f.model(), "--form", f.path("tune.txt"), "--rhyme", "xinyun"}, text + "\n").err,
             contains_text("1 poems, 1 keep the form 试"));
}

TEST_CASE("a traditional model's characters have the tones of a traditional text") {
  // 征 is level; 徵, which simplified texts write 征 too, may be oblique. Its line does not show a script, either.
  const auto& f = trained_poems();
  write_text(f.path("oblique.txt"), "试\n仄中，中平A。\n");
  const std::vector<std::string> form{"--form", f.path("oblique.txt"), "--rhyme", "pingshui"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = form;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  CHECK(f.generate(with({"--prompt", "白"})).code == 0);
  CHECK_THAT(f.generate(with({"--prompt", "征"})).err, contains_text("\"征\" does not keep the form"));
  std::vector<std::string> score{"score", f.model()};
  score.insert(score.end(), form.begin(), form.end());
  CHECK_THAT(f.mnemo(score, "征人，白山。\n").out, contains_text("place 1: 征 is level, expected oblique"));
  CHECK_THAT(f.mnemo(score, "征人，东山。\n").err, contains_text("1 poems, 1 keep the form"));
}

TEST_CASE("score names the rules that a poem breaks, line by line") {
  const auto& f = trained_poems();
  const std::string poems =
      "白日依山盡，黃河入海流。\n欲窮千里目，更上一層山。\n\n千山鳥飛絕，萬徑人蹤滅。\n孤舟蓑笠翁，獨釣寒江雪。\n";
  const Outcome o = f.mnemo({"score", f.model(), "--form", "五绝"}, poems);
  INFO(o.err);
  REQUIRE(o.code == 0);
  const auto lines = lines_of(o.out);
  REQUIRE(lines.size() == 10);
  CHECK_THAT(lines[0], contains_text("1\t0\t-"));
  CHECK(lines[1] == "1\t1\t白日依山盡\t仄仄平平仄\tok");
  CHECK_THAT(lines[4], contains_text("山 does not rhyme with the others"));
  CHECK_THAT(o.err, contains_text("2 poems, 0 keep the form"));
  const json second =
      json::parse(lines_of(f.mnemo({"score", f.model(), "--form", "五绝", "--format", "jsonl"}, poems).out)[1]);
  CHECK(second["ok"] == false);
  CHECK(second["lines"].size() == 4);
  CHECK(second["unknown"] == 0);
  CHECK_THAT(f.mnemo({"score", f.model(), "--form", "五绝"}, "龘日依山盡，黃河入海龘。\n").err,
             contains_text("; 2 unknown units"));
  // A line of blanks separates poems, too.
  const std::string separated = "白日依山盡，黃河入海流。\n \n白日依山盡，黃河入海流。\n";
  CHECK_THAT(f.mnemo({"score", f.model(), "--form", "五绝"}, separated).err, contains_text("2 poems, 0 keep the form"));
  CHECK(f.mnemo({"score", f.model(), "--cache-share", "0.2"}, poems).code == 2);
}

TEST_CASE("overlap reports what generated text shares with a corpus") {
  const auto& f = trained_poems();
  const Outcome o =
      f.generate({"--samples", "3", "--length", "40", "--format", "jsonl", "--overlap", f.path("train.json")});
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK_THAT(o.err, contains_text("longest run"));
  double known = 0;
  for (const std::string& line : lines_of(o.out)) {
    const json one = json::parse(line);
    const std::string run = one["overlap"]["run"];
    CHECK(one["text"].get<std::string>().find(run) != std::string::npos);
    known += one["overlap"]["known"]["2"].get<double>();
  }
  CHECK(known > 0);
}

TEST_CASE("lines as records: each a text of its own that ends by itself") {
  const PoemFixture f;
  const std::string text = forty_lines(2);
  write_text(f.path("lines.txt"), text);
  write_text(f.path("records.json"), R"({"task": "generate", "data": {"train": "lines.txt", "records": true,
 "dev_fraction": 0.1}, "model": {"hidden": 16, "embedding": 8, "dropout": 0, "embedding_dropout": 0},
 "training": {"epochs": 30, "batch_size": 8, "learning_rate": 0.03}})");
  // Texts of train are left out of dev; if none is left there is no dev to choose by.
  const auto with_dev = [&](const std::string& dev) {
    write_text(f.path("dev.txt"), dev);
    return f.mnemo({"train", f.path("records.json"), "--overwrite", "--set", "output.dir=" + f.path("records"), "--set",
                    "data.dev=dev.txt"});
  };
  const Outcome known = with_dev(text);
  CHECK(known.code == 1);
  CHECK_THAT(known.err, contains_text("dev.txt: dev has no text that is not in train"));
  CHECK(with_dev("").code == 1);
  const Outcome o = with_dev(text + "abyz\n");
  INFO(o.err);
  REQUIRE(o.code == 0);
  CHECK_THAT(o.err, contains_text("dev: 40 records whose text is in train left out"));
  const Outcome g = f.mnemo({"generate", f.path("records/model.safetensors"), "--samples", "20", "--temperature", "0.3",
                             "--format", "jsonl"});
  for (const std::string& line : lines_of(g.out)) {
    const std::string one = json::parse(line)["text"];
    CHECK((one == "abcd" || one == "xyz"));
  }
  const Outcome s = f.mnemo({"score", f.path("records/model.safetensors")}, "abcd\nzzz\n");
  CHECK(s.code == 0);
  CHECK(lines_of(s.out).size() == 2);
  // A beam's text has ended, and its log-probability is that of the whole text.
  const Outcome beam =
      f.mnemo({"generate", f.path("records/model.safetensors"), "--beam", "3", "--samples", "2", "--format", "jsonl"});
  REQUIRE(lines_of(beam.out).size() == 2);
  const std::string most = json::parse(lines_of(beam.out)[0])["text"];
  CHECK((most == "abcd" || most == "xyz"));
  for (const std::string& line : lines_of(beam.out)) {
    const json one = json::parse(line);
    const std::string found = one["text"];
    CHECK(!found.empty());
    CHECK(one["log_prob"].get<double>() == Approx(scored(f, "records", found)).margin(1e-4));
  }
}

TEST_CASE("a learned initial state is used to generate, score and measure") {
  const PoemFixture f;
  write_text(f.path("lines.txt"), forty_lines(4));
  write_text(f.path("records.json"), R"({"task": "generate", "data": {"train": "lines.txt", "records": true,
 "dev_fraction": 0}, "model": {"hidden": 8, "embedding": 8, "dropout": 0, "embedding_dropout": 0,
 "learned_initial": true}, "training": {"epochs": 6, "batch_size": 8, "learning_rate": 0.03}})");
  REQUIRE(f.mnemo({"train", f.path("records.json"), "--set", "output.dir=" + f.path("learned")}).code == 0);
  const std::string model = f.path("learned/model.safetensors");
  const json one = json::parse(f.mnemo({"generate", model, "--temperature", "0", "--format", "jsonl"}).out);
  const double log_p = one["log_prob"];
  CHECK(log_p == Approx(scored(f, "learned", one["text"])).margin(1e-4));
  write_text(f.path("one.txt"), one["text"].get<std::string>() + "\n");
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--cache", "5", "--cache-share", "0"}}) {
    std::vector<std::string> all{"evaluate", model, f.path("one.txt"), "--format", "json"};
    all.insert(all.end(), more.begin(), more.end());
    const json report = json::parse(f.mnemo(all).out);
    CHECK(report["metrics"]["nats"].get<double>() * report["units"].get<double>() == Approx(-log_p).margin(1e-4));
  }
  // One stream begins only once: nothing could be learned.
  const Outcome stream = f.mnemo(
      {"train", f.path("records.json"), "--set", "data.records=false", "--set", "output.dir=" + f.path("stream")});
  CHECK(stream.code == 2);
  CHECK_THAT(stream.err, contains_text("model.learned_initial: needs data.records"));
}
