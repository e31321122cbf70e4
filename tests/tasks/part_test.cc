// Every command that answers record by record, in every output format: the answers to the parts of a file, joined, are
// those to the whole, with ids and without.
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "tests/catch.h"
#include "tests/tasks/rows.h"

namespace mnemo {
namespace {

struct PartCase {
  const char* task;
  std::vector<std::string> command;  // the model's path to follow its first word
  std::string input;
};

// A few dozen records from a few, some with CRLF; the last one has no line end.
std::string many(const std::vector<std::string>& records) {
  std::string out;
  for (int i = 0; i < 45; ++i)
    out += records[static_cast<std::size_t>(i * i + i / 7) % records.size()] + (i % 8 ? "\n" : "\r\n");
  return out + records.front();
}

std::vector<PartCase> part_cases() {
  const std::vector<std::string> texts{"a fine film", "this dull song", "", "soup", "cold unknown walk"};
  const std::string lines = many(texts),
                    jsonl = many({R"({"id": 7, "text": "a fine film"})", R"({"id": "x", "text": ""})"});
  const std::string with_ids = many({"1\ta fine film", "b c\t", "3\tstale walk\tand more"});
  const std::string csv = "id,text\r\n" + many({"1,a fine film", "2,\"this\n\n\"\"dull\"\" song\"", "3,"});
  const std::string rows = many({"Anna B-PER\nleft O\n", "# note = x\nOslo B-LOC\n", "\nsnow O\nfell O\n"});
  const std::string conllu = many({"# sent_id = s1\n1\tAnna\t_\tNOUN\t_\t_\t0\troot\t_\t_\n"});
  const std::string german = many({"two dogs sing", "", "one cat", "one unknown cat"});
  return {
      {"classify", {"classify"}, lines},
      {"classify", {"classify", "--top", "2", "--explain"}, lines},
      {"classify", {"classify", "--id"}, with_ids},
      {"classify", {"classify", "--id", "-f", "jsonl"}, with_ids},
      {"classify", {"classify", "--id", "-f", "jsonl", "--format-in", "jsonl"}, jsonl},
      {"classify", {"classify", "--id", "--format-in", "jsonl"}, jsonl},
      {"classify", {"classify", "--format-in", "csv"}, csv},
      {"classify", {"classify", "--format-in", "csv", "--id", "-f", "jsonl"}, csv},
      {"classify", {"classify", "--invalid-utf8", "replace"}, many({"a fine \xFF film", "soup"})},
      {"tag", {"tag"}, rows},
      {"tag", {"tag", "-n", "2", "--marginals"}, rows},
      {"tag", {"tag", "-f", "jsonl"}, rows},
      {"tag", {"tag", "-f", "slashed"}, rows},
      {"tag", {"tag", "--raw"}, many({"Anna saw Rome", "", "rain"})},
      {"tag", {"tag", "--raw", "--id"}, many({"1\tAnna saw Rome", "2\t"})},
      {"tag", {"tag", "--raw", "--id", "-f", "slashed"}, many({"1\tAnna saw Rome", "2\t"})},
      {"tag", {"tag", "--id", "--format-in", "conllu", "-f", "jsonl"}, conllu},
      {"generate", {"score"}, many({"one by one", "", "two by Zwei"})},
      {"generate", {"score", "-f", "jsonl"}, many({"one by one", "", "two by Zwei"})},
      {"generate", {"score", "--id"}, many({"1\tone by one", "2\t", "3\ttwo by Zwei"})},
      {"generate", {"score", "--id", "-f", "jsonl"}, many({"1\tone by one", "2\t"})},
      {"translate", {"translate"}, german},
      {"translate", {"translate", "-n", "2"}, german},
      {"translate", {"translate", "--sample"}, german},
      {"translate", {"translate", "-f", "jsonl"}, german},
      {"translate", {"translate", "--id", "-n", "2"}, many({"1\ttwo dogs", "2\tone cat"})},
      {"translate", {"translate", "--id", "-f", "jsonl"}, many({"1\ttwo dogs", "2\t"})},
      {"translate", {"score"}, many({"one cat\teine Katze", "", "two dogs\tzwei"})},
      {"translate", {"score", "--id", "-f", "jsonl"}, many({"1\tone cat\teine Katze", "2\ttwo dogs\tzwei"})},
  };
}

TaskBench& part_bench(const std::string& task) {
  static std::map<std::string, std::unique_ptr<TaskBench>> benches;
  static const std::vector<TaskRow> rows = task_rows();
  auto& slot = benches[task];
  for (const TaskRow& row : rows)
    if (!slot && row.task == task) slot = std::make_unique<TaskBench>(row);
  return *slot;
}

std::vector<std::string> with_model(const PartCase& one, TaskBench& bench, const std::vector<std::string>& more) {
  std::vector<std::string> out = one.command;
  out.insert(out.begin() + 1, {bench.trained(), "--threads", "1"});
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

// The fields that follow "part I/N: " or begin the line.
std::string summary_of(const Outcome& o) {
  const std::size_t at = o.err.find(" replaced byte");
  const std::size_t begin = at == std::string::npos ? 0 : o.err.rfind('\n', at) + 1;
  return at == std::string::npos ? "" : o.err.substr(begin, o.err.find('\n', at) - begin);
}

std::string message_of_error(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the answers to parts joined are those to the whole") {
  for (const PartCase& one : part_cases()) {
    TaskBench& b = part_bench(one.task);
    const std::string file = b.path("input");
    write_text(file, one.input);
    INFO(fmt::format("{}", fmt::join(one.command, " ")));
    const Outcome whole = b.mnemo(with_model(one, b, {file}));
    INFO(whole.err);
    REQUIRE(whole.code == 0);
    REQUIRE_FALSE(whole.out.empty());
    CHECK(summary_of(whole).empty());
    for (const int parts : {1, 3, 8}) {
      std::string joined;
      for (int part = 1; part <= parts; ++part) {
        const Outcome o =
            b.mnemo(with_model(one, b, {file, "--part", fmt::format("{}/{}", part, parts), "-o", b.path("out")}));
        INFO(o.err);
        REQUIRE(o.code == 0);
        CHECK(o.out.empty());
        CHECK_THAT(summary_of(o), contains_text(fmt::format("part {}/{}: ", part, parts)));
        joined += read_file(b.path("out"));
      }
      CHECK(joined == whole.out);
    }
  }
}

TEST_CASE("ids come out where they are said to") {
  const auto answer = [](const char* task, std::vector<std::string> command, const std::string& input) {
    TaskBench& b = part_bench(task);
    const Outcome o = b.mnemo(with_model({task, command, ""}, b, {}), input);
    INFO(o.err);
    REQUIRE(o.code == 0);
    return o.out;
  };
  CHECK(answer("classify", {"classify", "--id"}, "a b\ta fine film\n").starts_with("a b\tpos\t"));
  CHECK(answer("classify", {"classify", "--id", "-f", "jsonl"}, "7\tfine film\n")
            .starts_with("{\"id\":\"7\",\"labels\":"));
  CHECK(answer("classify", {"classify", "--id", "-f", "jsonl", "--format-in", "jsonl"},
               "{\"id\": 7, \"text\": \"fine\"}\n")
            .starts_with("{\"id\":7,\"labels\":"));
  CHECK(answer("tag", {"tag", "--raw", "--id"}, "7\tAnna left\n").starts_with("# sent_id = 7\nAnna\t"));
  CHECK(answer("tag", {"tag", "--raw", "--id", "-f", "slashed"}, "7\tAnna left\n").starts_with("7\tAnna/"));
  CHECK(
      answer("tag", {"tag", "--raw", "--id", "-f", "jsonl"}, "7\tAnna left\n").starts_with("{\"id\":\"7\",\"text\":"));
  CHECK(answer("generate", {"score", "--id"}, "x\tone by one\n").starts_with("x\t1\t4\t"));
  CHECK(answer("generate", {"score", "--id", "-f", "jsonl"}, "x\tone\n").starts_with("{\"id\":\"x\",\"line\":1,"));
  CHECK(answer("translate", {"translate", "--id"}, "x\tone cat\n").starts_with("x\teine Katze"));
  CHECK(answer("translate", {"translate", "--id", "-n", "2"}, "x\tone cat\n").starts_with("x\t0 ||| "));
  CHECK(
      answer("translate", {"translate", "--id", "-f", "jsonl"}, "x\tone cat\n").starts_with("{\"id\":\"x\",\"text\":"));
  CHECK(answer("translate", {"score", "--id"}, "x\tone cat\teine Katze\n").starts_with("x\t1\t3\t"));
}

TEST_CASE("a summary counts records, tokens and replaced bytes") {
  TaskBench& b = part_bench("classify");
  const auto summary = [&](const std::vector<std::string>& more, const std::string& input) {
    return summary_of(b.mnemo(with_model({"classify", {"classify"}, ""}, b, more), input));
  };
  CHECK(summary({}, "a fine film\n").empty());
  CHECK(summary({"--summary"}, "a fine film\n\n").starts_with("2 records, 3 tokens, 0 replaced bytes, "));
  CHECK(summary({"--summary", "--invalid-utf8", "skip"}, "a\xFF\xFE film\n")
            .starts_with("1 record, 2 tokens, 2 replaced bytes, "));
  CHECK(summary({"--summary", "--invalid-utf8", "replace"}, "a\xC3 film\n")
            .starts_with("1 record, 2 tokens, 1 replaced byte, "));
  CHECK(summary({"-o", b.path("out"), "--quiet"}, "a\n").empty());
  CHECK(summary({"--summary"}, "").starts_with("0 records, 0 tokens, 0 replaced bytes, "));
}

TEST_CASE("what fails leaves no file of answers, and an older one as it was") {
  TaskBench& b = part_bench("classify");
  const std::string out = b.path("kept");
  const auto answer = [&](const std::vector<std::string>& more, const std::string& input = "") {
    return b.mnemo(with_model({"classify", {"classify"}, ""}, b, more), input);
  };
  write_text(b.path("bad"), "a fine film\n\xFF\n");
  check_fails(answer({b.path("bad"), "-o", out}), 1, "bad:2:1: invalid UTF-8");
  CHECK_FALSE(file_exists(out));
  CHECK(answer({"-o", out}, "soup\n").code == 0);
  const std::string before = read_file(out);
  check_fails(answer({b.path("bad"), "-o", out}), 1, "bad:2:1: invalid UTF-8");
  CHECK(read_file(out) == before);
  check_fails(answer({"-o", b.path("none/out")}), 1, "none/out");
  check_fails(answer({"-o", ""}), 2, "-o: expected a file, found an empty name");
  check_fails(answer({"-o", b.trained()}), 2, "is an input of this command");
  check_fails(answer({b.path("bad"), "-o", b.path("bad")}), 2, "is an input of this command");
  for (const std::string& side : {b.path("bad"), out})
    check_fails(answer({b.path("bad") + "," + out, "-o", side}), 2, "is an input of this command");
  // Standard output that goes to a file is written on, not replaced.
  const Outcome shown = answer({"-o", "/dev/stdout"}, "soup\n");
  CHECK(shown.out == before);
  CHECK(answer({"-o", "-"}, "soup\n").out == before);
  CHECK_FALSE(file_exists("-"));
  // A signal while input is awaited.
  const std::string pipe = b.path("pipe");
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const std::string folder = b.path("");
  Process process({"classify", b.trained(), "-o", b.path("interrupted"), pipe}, folder);
  const int writer = ::open(pipe.c_str(), O_WRONLY);
  REQUIRE(::write(writer, "a fine film\n", 12) == 12);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  process.send(SIGTERM);
  CHECK(process.wait().code == 128 + SIGTERM);
  ::close(writer);
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    CHECK(entry.path().filename().string().find("interrupted") == std::string::npos);
}

TEST_CASE("parts and ids that make no sense are refused in one line") {
  const auto refuse = [](const char* task, const std::vector<std::string>& command, int code,
                         const std::string& message, const std::string& input = "") {
    TaskBench& b = part_bench(task);
    const Outcome o = b.mnemo(with_model({task, command, ""}, b, {}), input);
    INFO(fmt::format("{}", fmt::join(command, " ")));
    CHECK(o.out.empty());
    CHECK(lines_of(o.err).size() == 1);
    check_fails(o, code, message);
  };
  const std::string data = part_bench("classify").path("data");
  refuse("classify", {"classify", "--part", "0/3", data}, 2, "--part 0/3: expected I/N");
  refuse("classify", {"classify", "--part", "", data}, 2, "--part : expected I/N");
  refuse("classify", {"classify", "--part", "1/3", data, data}, 2, "--part: takes one FILE, found 2");
  refuse("classify", {"classify", "--part", "1/3", "/dev/null"}, 2, "is not a regular file");
  refuse("classify", {"classify", "--part", "1/3", data + "x"}, 1, "cannot open");
  refuse("classify", {"classify", "--id"}, 1, "standard input:1: no id", "a b\n");
  refuse("tag", {"tag", "--part", "1/3", "-f", "html", data}, 2, "--part: not with --format html");
  refuse("tag", {"tag", "--id", data}, 2, "--id: sentences of conll have none");
  refuse("translate", {"translate", "--id", "-f", "html"}, 2, "--id: not with --format html");
  refuse("translate", {"translate", "--part", "1/2", "--prefix", data, data}, 2, "--part: not with --prefix");
  refuse("translate", {"translate", "--alignment", "same", "-o", "same"}, 2, "--alignment same: is the file of -o");
  refuse("translate", {"score", "--part", "1/2", "--format-in", "parallel", data + "," + data}, 2,
         "--part: not for parallel text in two files");
  refuse("generate", {"score", "--part", "1/2", "--cache", "10", data}, 2, "--part: not with --cache or --dynamic");
  refuse("generate", {"score", "--id", "--nbest", data}, 2, "--id: not with --nbest");
}

TEST_CASE("a regular file on standard input has parts") {
  TaskBench& b = part_bench("classify");
  std::string joined;
  const std::string input = "a fine film\ncold soup\n\nstale walk\n";
  for (int part = 1; part <= 3; ++part)
    joined += b.mnemo(with_model({"classify", {"classify"}, ""}, b, {"--part", fmt::format("{}/3", part)}), input).out;
  CHECK(joined == b.mnemo(with_model({"classify", {"classify"}, ""}, b, {}), input).out);
}

TEST_CASE("a model whose weights are mapped answers as one that was read, and leaves the file as it is") {
  for (const TaskRow& row : task_rows()) {
    INFO(row.task);
    TaskBench& b = part_bench(row.task);
    const std::string path = b.path("mapped.safetensors");
    const std::string bytes = read_file(b.trained());
    write_text(path, bytes);
    ThreadPool pool(2);
    Workspace workspace(pool);
    const auto read = TextModel::load(path), mapped = TextModel::map(path);
    CHECK_THAT(read_file("/proc/self/maps"), contains_text(path));
    CHECK(mapped->verify(pool) == read->verify(pool));
    CHECK(mapped->answer(b.records(), workspace) == read->answer(b.records(), workspace));
    // What is written to the weights is the model's own.
    mapped->quantize(kernels::Precision::kInt8, pool);
    mapped->network().visit([](Parameter& p) { std::fill_n(p.value.data(), p.size(), 0.0f); });
    CHECK(read_file(path) == bytes);
    // A file that replaces it leaves the model as it is.
    const auto before = TextModel::map(path);
    write_file(path, bytes.substr(0, 100));
    CHECK(before->answer(b.records(), workspace) == read->answer(b.records(), workspace));
    CHECK(message_of_error([&] { TextModel::map(path); }) == message_of_error([&] { TextModel::load(path); }));
  }
}

TEST_CASE("folds that are trained one by one are collected to what --folds prints") {
  for (const char* task : {"classify", "tag", "translate"}) {
    INFO(task);
    TaskBench& b = part_bench(task);
    const std::string epochs = "training.epochs=2";
    const Outcome together = b.train("folds", {"--folds", "3", "--set", epochs});
    REQUIRE(together.code == 0);
    std::string lines;
    for (const char* fold : {"2/3", "1/3"}) {
      const Outcome o = b.train("apart", {"--fold", fold, "--set", epochs});
      INFO(o.err);
      REQUIRE(o.code == 0);
      CHECK_THAT(together.out, contains_text(o.out));
    }
    const auto collect = [&](const std::string& set) { return b.train("apart", {"--collect", "--set", set}); };
    check_fails(collect(epochs), 1, b.path("apart") + ": no results yet of --fold 3/3");
    REQUIRE(b.train("apart", {"--fold", "3/3", "--set", epochs}).code == 0);
    CHECK(collect(epochs).out == together.out);
    CHECK(read_file(b.path("apart/fold-2/model.safetensors")) == read_file(b.path("folds/fold-2/model.safetensors")));
    check_fails(collect("training.epochs=3"), 1, "fold-1.json: of another configuration: training.epochs 2, now 3");
    // A finished fold stays, a folder with a run is refused.
    CHECK(b.train("apart", {"--fold", "1/3", "--resume", "--set", epochs}).code == 0);
    CHECK(collect(epochs).out == together.out);
    check_fails(b.train("apart", {"--fold", "1/3", "--set", epochs}), 2, "fold-1: holds a run already");
    REQUIRE(b.train("apart", {"--fold", "1/2", "--overwrite", "--set", epochs}).code == 0);
    check_fails(collect(epochs), 1, "fold-2.json: the result of fold 2 of 3, expected 2 of 2");
  }
}

TEST_CASE("folds and results that make no sense are refused in one line") {
  TaskBench& b = part_bench("classify");
  check_fails(b.train("f", {"--fold", "1/1"}), 2, "--fold 1/1: expected from 2 to 1000 folds");
  check_fails(b.train("f", {"--fold", "4/3"}), 2, "--fold 4/3: expected I/N");
  check_fails(b.train("f", {"--fold", ""}), 2, "--fold : expected I/N");
  check_fails(b.train("f", {"--fold", "1/3", "--folds", "3"}), 2, "--fold");
  check_fails(b.train("f", {"--collect"}), 1, "holds no results of folds");
  make_folders(b.path("f"));
  for (const char* text :
       {"", "{}", "[]", R"({"fold": 2, "folds": 1, "metric": "m", "value": 1, "data": "d", "configuration": {}})",
        R"({"fold": "x", "folds": 1, "metric": "m", "value": 1, "data": "d", "configuration": {}})"}) {
    write_text(b.path("f/fold-1.json"), text);
    check_fails(b.train("f", {"--collect"}), 1, "f/fold-1.json: not the result of a fold");
  }
}

}  // namespace mnemo
