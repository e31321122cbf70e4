// Runs the commands of the README as they are written there.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include "tests/cli/fixture.h"

namespace {

std::string document(const std::string& path) { return Process::text(source_folder() + "/" + path); }

// From the headline to the next one.
std::string section(const std::string& text, const std::string& headline) {
  const std::size_t begin = text.find("\n## " + headline + "\n");
  REQUIRE(begin != std::string::npos);
  return text.substr(begin, text.find("\n## ", begin + 1) - begin);
}

// The first JSON object in a block of its own.
std::string first_configuration(const std::string& text) {
  const std::size_t begin = text.find("\n    {\n");
  REQUIRE(begin != std::string::npos);
  return text.substr(begin, text.find("\n    }\n", begin) + 7 - begin);
}

// The code between back quotes in rows of tables that begins with the program's name.
std::vector<std::string> commands_of_tables(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with("| ")) continue;
    for (std::size_t at = 0; (at = line.find('`', at)) != std::string::npos;) {
      const std::size_t end = line.find('`', at + 1);
      std::string command = line.substr(at + 1, end - at - 1);
      for (std::size_t bar; (bar = command.find("\\|")) != std::string::npos;) command.erase(bar, 1);
      if (command.starts_with("mnemo ")) out.push_back(command);
      at = end + 1;
    }
  }
  return out;
}

class Folder {
 public:
  std::string path(const std::string& name) const { return f_.path(name); }
  void write(const std::string& name, const std::string& text) const { write_text(path(name), text); }
  std::string read(const std::string& name) const { return f_.bytes(name); }

  // Through the shell, in the folder. Exit code 3: a --min that tiny data do not reach.
  void run(const std::string& command) const {
    const std::string bin = std::filesystem::path(program_path()).parent_path().string();
    write("command.sh", "cd '" + f_.folder() + "'\nPATH='" + bin + "':$PATH\n" + command + "\n");
    const int status =
        std::system(("bash '" + path("command.sh") + "' > '" + path("out") + "' 2>&1 < /dev/null").c_str());
    INFO(command << "\n" << f_.bytes("out"));
    CHECK(WIFEXITED(status));
    CHECK((WEXITSTATUS(status) == 0 || (WEXITSTATUS(status) == 3 && command.find("--min ") != std::string::npos)));
  }

  // All commands of a section's tables except those that never end.
  void run_tables(const std::string& text, std::size_t least) const {
    const auto commands = commands_of_tables(text);
    CHECK(commands.size() >= least);
    for (std::string command : commands) {
      if (command.find("tail -f") != std::string::npos) continue;
      if (const std::size_t model = command.find(" MODEL"); model != std::string::npos)
        command.replace(model, 6, " run/model.safetensors");
      // A search takes the time that it is given.
      run(command.starts_with("mnemo tune ") ? command + " --trials 4" : command);
    }
  }

 private:
  Fixture f_;
};

}  // namespace

TEST_CASE("the README's commands for your own texts do what they say") {
  const std::string text = section(document("README.md"), "Your own texts");
  const Folder folder;
  folder.write("my.json", first_configuration(text));
  folder.write("test.tsv", "pos\ta fine song\nneg\tthis dull room again\npos\ta warm walk\nneg\tan awful film\n");
  folder.write("dev.tsv", folder.read("dev.tsv") + folder.read("test.tsv"));
  folder.write("reviews.txt", "a fine film\nthis dull room\n");
  folder.write("reviews.csv",
               "label,text\n\"pos\",\"a fine, warm film\"\nneg,dull\n" + std::string("pos,fine\nneg,bad\n"));
  folder.run_tables(text, 14);
}

TEST_CASE("the README's commands for tagging do what they say") {
  const std::string text = section(document("README.md"), "Names, parts of speech, words");
  const Folder folder;
  folder.write("names.json", first_configuration(text));
  std::string sentences;
  for (int i = 0; i < 12; ++i) sentences += "Li B-PER\nBai I-PER\nsings O\n\nHe O\nsaw O\nSuyab B-LOC\n\n";
  for (const char* name : {"train.conll", "dev.conll", "test.conll"}) folder.write(name, sentences);
  folder.write("lines.txt", "Li Bai sings\nHe saw Suyab\n");
  folder.run_tables(text, 6);
}

TEST_CASE("the README's commands for language models do what they say") {
  const std::string text = section(document("README.md"), "Language models, and poems in form");
  const Folder folder;
  std::string corpus;
  for (int i = 0; i < 80; ++i) corpus += "ROMEO: to be, or not to be\n";
  for (const char* name : {"corpus.txt", "dev.txt", "test.txt", "lines.txt", "more.txt"}) folder.write(name, corpus);
  folder.write("list.txt", "1 ||| to be\n1 ||| be to\n");
  folder.write("lm.json", R"({"task": "generate", "data": {"train": "corpus.txt", "dev": "dev.txt"},
    "model": {"hidden": 16, "embedding": 16}, "training": {"epochs": 2, "batch_size": 4}})");
  folder.write("c.json", R"({"data": {"train": "train.tsv", "dev": "dev.tsv"}, "text": {"unit": "char"},
    "model": {"hidden": 16, "embedding": 16, "bidirectional": false}, "training": {"epochs": 1}, "output": {"dir": "c"}})");
  folder.run("mnemo train lm.json -o lm && mnemo train lm.json --set output.dir=run");
  folder.run("mnemo generate run/model.safetensors --prompt 'ROMEO:' --length 300 --temperature 0.8");
  folder.run_tables(text, 9);
}

TEST_CASE("the README's commands for translation do what they say") {
  const std::string text = section(document("README.md"), "Translation");
  const Folder folder;
  std::string english, german, pairs;
  for (int i = 0; i < 12; ++i) {
    english += "Click OK.\nOpen the file.\n";
    german += "Klicken Sie auf OK.\nDatei öffnen.\n";
  }
  for (const char* part : {"train", "dev", "test"}) {
    folder.write(std::string(part) + ".en", english);
    folder.write(std::string(part) + ".de", german);
  }
  folder.write("lines.en", "Click OK.\n\nOpen it.\n");
  folder.write("begin.txt", "Klicken\n\n\n");
  folder.write("terms.tsv", "OK\tJa\n");
  folder.write("pairs.tsv", "Click OK.\tKlicken Sie auf OK.\n");
  folder.write("small.json", R"({"task": "translate", "data": {"train": {"source": "train.en", "target": "train.de"},
    "dev": {"source": "dev.en", "target": "dev.de"}}, "text": {"merges": 20}, "model": {"hidden": 8, "embedding": 8},
    "training": {"epochs": 2}})");
  folder.run("mnemo train small.json --set output.dir=run");
  folder.run_tables(text, 6);
}

TEST_CASE("every option that a document names exists in its command") {
  const Fixture f;
  int found = 0;
  for (const char* path :
       {"README.md", "docs/poems.md", "docs/tagging.md", "docs/translation.md", "docs/serving.md", "docs/results.md",
        "docs/performance.md", "configs/README.md", "data/README.md", "CONTRIBUTING.md"}) {
    std::istringstream words(document(path));
    std::string command, previous;
    std::set<std::string> page;
    for (std::string word; words >> word;) {
      // A command's options end with its code: at a back quote, or where a new command begins.
      const std::string bare = word.substr(0, word.find_first_of("`|;,)="));
      if (previous.ends_with("mnemo") && !bare.empty() && std::islower(static_cast<unsigned char>(bare.front()))) {
        const Outcome help = f.mnemo({"help", bare});
        command = help.code == 0 ? bare : "";
        // The options of all subcommands count, as the words between are not parsed here.
        std::string pages = help.out;
        for (const char* below : {"check", "print", "schema", "explain"})
          if (bare == "config") pages += f.mnemo({"help", bare, below}).out;
        if (bare == "bench") pages += f.mnemo({"help", bare, "memory"}).out;
        std::istringstream shown(pages);
        page.clear();
        for (std::string part; shown >> part;) page.insert(part.substr(0, part.find(',')));
      } else if (!command.empty() && bare.starts_with("-") && bare.size() > 1 && !std::isdigit(bare[1])) {
        INFO(path << ": mnemo " << command << " ... " << bare);
        CHECK(page.contains(bare));
        ++found;
      }
      if (word.find('`') != std::string::npos) command.clear();
      if (word == "|" || word == "$" || word.starts_with("#")) command.clear();
      previous = word;
    }
  }
  CHECK(found > 40);
}
