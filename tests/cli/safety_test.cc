// What the program does with files that are not its own, with hostile input, and where the system refuses.
#include <sys/stat.h>

#include <filesystem>

#include "tests/cli/fixture.h"

namespace {

void check_fails(const Outcome& outcome, int code, const std::string& message) {
  INFO(outcome.out << outcome.err);
  CHECK(outcome.code == code);
  CHECK_THAT(outcome.err, contains_text(message));
  CHECK_THAT(outcome.err, Catch::Matchers::StartsWith("mnemo: "));
}

}  // namespace

TEST_CASE("an output that is an input is refused, and the input stays") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors"), dev = f.path("dev.tsv"), link = f.path("same");
  std::filesystem::create_symlink(model, link);
  const std::string before = Process::text(model), data = Process::text(dev);
  for (const std::string& output : {model, link, dev}) {
    check_fails(f.mnemo({"evaluate", model, dev, "--report", output}), 2, output + ": is an input");
    check_fails(f.mnemo({"quantize", model, "--dev", dev, "--overwrite", "-o", output}), 2, output + ": is an input");
  }
  CHECK(Process::text(model) == before);
  CHECK(Process::text(dev) == data);
}

TEST_CASE("a planted NAME.tmp is neither followed nor replaced nor waited for") {
  const Fixture& f = trained();
  const std::string model = f.path("run/model.safetensors"), dev = f.path("dev.tsv"), victim = f.path("victim");
  write_text(victim, "precious");
  std::filesystem::create_symlink(victim, f.path("q.tmp"));
  REQUIRE(mkfifo(f.path("page.html.tmp").c_str(), 0600) == 0);
  CHECK(f.mnemo({"quantize", model, "--dev", dev, "-o", f.path("q"), "--max-drop", "1"}).code == 0);
  CHECK(f.mnemo({"evaluate", model, dev, "--report", f.path("page.html")}).code == 0);
  CHECK(Process::text(victim) == "precious");
  CHECK_FALSE(std::filesystem::is_symlink(f.path("q")));
  CHECK(f.mnemo({"inspect", f.path("q"), "--verify"}).code == 0);
}

TEST_CASE("what a killed run left half written is gone after the next one, other files stay") {
  const Fixture f;
  std::filesystem::create_directory(f.path("run"));
  const std::string half = f.path("run/resume.safetensors.00112233aabb.tmp"), own = f.path("run/my.tmp");
  write_text(half, "half");
  write_text(own, "mine");
  REQUIRE(f.train("run").code == 0);
  CHECK_FALSE(std::filesystem::exists(half));
  CHECK(Process::text(own) == "mine");
}
