// Atomic files in a temporary folder: what readers and other writers see at each point, links, modes, pipes, and the
// names of temporary files.
#include "base/file.h"

#include <sys/stat.h>

#include <filesystem>
#include <set>
#include <string>
#include <thread>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

using namespace mnemo;

namespace {

std::set<std::string> names_in(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

unsigned mode_of(const std::string& path) { return static_cast<unsigned>(std::filesystem::status(path).permissions()); }

}  // namespace

TEST_CASE("an atomic file appears whole on commit and not at all without") {
  TemporaryFolder folder;
  const std::string path = folder / "file";
  {
    AtomicFile file(path);
    file.write("half");
  }
  CHECK_FALSE(file_exists(path));
  CHECK(std::filesystem::is_empty(folder.path()));
  {
    AtomicFile file(path);
    file.write("whole");
    file.commit();
  }
  CHECK(read_file(path) == "whole");
  {
    AtomicFile file(path);
    file.write("other");
  }
  CHECK(read_file(path) == "whole");
}

TEST_CASE("an atomic file follows links, keeps modes, and writes directly to anything but a regular file") {
  TemporaryFolder folder;
  const std::string real = folder / "real", link = folder / "link", fifo = folder / "fifo";
  const auto replace = [](const std::string& path) {
    AtomicFile file(path);
    file.write("new");
    file.commit();
  };
  { AtomicFile(real).commit(); }
  std::filesystem::permissions(real, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::create_symlink(real, link);
  replace(link);
  CHECK(std::filesystem::is_symlink(link));
  CHECK(read_file(real) == "new");
  CHECK(std::filesystem::status(real).permissions() ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));

  const std::string dangling = folder / "dangling", end = folder / "end";
  std::filesystem::create_symlink("end", folder / "middle");
  std::filesystem::create_symlink(folder / "middle", dangling);
  replace(dangling);
  CHECK(std::filesystem::is_symlink(dangling));
  CHECK(read_file(end) == "new");
  std::filesystem::create_symlink("loop", folder / "loop");
  CHECK_THROWS_AS(AtomicFile(folder / "loop"), Error);

  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  std::string got;
  std::thread reader([&] { got = read_file(fifo); });
  replace(fifo);
  reader.join();
  CHECK(got == "new");
  CHECK(std::filesystem::is_fifo(fifo));
}

TEST_CASE("two writers of one file do not interfere: each commits a whole file") {
  TemporaryFolder folder;
  const std::string path = folder / "file";
  AtomicFile first(path), second(path);
  first.write("first, the longer one");
  second.write("second");
  first.commit();
  CHECK(read_file(path) == "first, the longer one");
  second.commit();
  CHECK(read_file(path) == "second");
  CHECK(names_in(folder.path()) == std::set<std::string>{"file"});
}

TEST_CASE("a temporary file has an unpredictable name, and nobody else can read it") {
  TemporaryFolder folder;
  const std::string path = folder / "file", victim = folder / "victim";
  write_file(victim, "precious");
  std::filesystem::create_symlink(victim, path + ".tmp");
  std::set<std::string> seen;
  write_file(path, "old");
  for (const auto mode : {0600u, 0640u, 0444u}) {
    std::filesystem::permissions(path, std::filesystem::perms(mode));
    AtomicFile file(path);
    std::set<std::string> names = names_in(folder.path());
    for (const char* other : {"file", "file.tmp", "victim"}) names.erase(other);
    REQUIRE(names.size() == 1);
    CHECK(seen.insert(*names.begin()).second);
    CHECK((mode_of(folder / *names.begin()) & 077) == 0);
    file.write("new");
    file.commit();
    CHECK(mode_of(path) == mode);
  }
  CHECK(read_file(victim) == "precious");
  CHECK(names_in(folder.path()) == std::set<std::string>{"file", "file.tmp", "victim"});
}

TEST_CASE("an atomic file that must not replace another does not") {
  TemporaryFolder folder;
  const std::string path = folder / "file";
  {
    AtomicFile file(path, Existing::kRefuse);
    file.write("new");
    write_file(path, "what came meanwhile");
    CHECK_THROWS_WITH(file.commit(), contains_text("file: exists already"));
  }
  CHECK(read_file(path) == "what came meanwhile");
  CHECK_THROWS_WITH(AtomicFile(path, Existing::kRefuse), contains_text("file: exists already"));
  CHECK(names_in(folder.path()) == std::set<std::string>{"file"});
  std::filesystem::remove(path);
  AtomicFile file(path, Existing::kRefuse);
  file.write("new");
  file.commit();
  CHECK(read_file(path) == "new");
  CHECK(names_in(folder.path()) == std::set<std::string>{"file"});
}

TEST_CASE("files that killed writers left are removed, similar ones stay") {
  TemporaryFolder folder;
  const std::set<std::string> others{"file",
                                     "file.tmp",
                                     "file.0123456789ab.tmp.gz",
                                     "file.0123456789aG.tmp",
                                     "a file.tmp",
                                     "other.0123456789ab.tmp",
                                     "file-0123456789ab.tmp"};
  for (const std::string& name : others) write_file(folder / name, "x");
  for (const char* name : {"file.0123456789ab.tmp", "file.ffffffffffff.tmp", "log.000000000000.tmp"})
    write_file(folder / name, "x");
  remove_temporaries(folder.path(), {"file", "log"});
  CHECK(names_in(folder.path()) == others);
  remove_temporaries(folder / "absent", {"file"});
}

TEST_CASE("a file under two names is recognised as one") {
  TemporaryFolder folder;
  const std::string a = folder / "a", b = folder / "b";
  write_file(a, "x");
  write_file(b, "x");
  std::filesystem::create_symlink("a", folder / "link");
  CHECK(same_file(a, folder.path() + "/./link"));
  CHECK_FALSE(same_file(a, b));
  CHECK_FALSE(same_file(folder / "absent", folder / "absent"));
  CHECK_FALSE(same_file("", a));
}

TEST_CASE("errors name the path and the reason") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(read_file(folder / "absent"), contains_text("absent: cannot open: No such file"));
  CHECK_THROWS_WITH(read_file(folder.path()), contains_text("is a folder"));
  CHECK_THROWS_AS(AtomicFile(folder / "no/such/folder"), Error);
}
