#include "base/file.h"

#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

using namespace mnemo;

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

TEST_CASE("an atomic file follows links, keeps modes, and writes into what is no regular file") {
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

  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  std::string got;
  std::thread reader([&] { got = read_file(fifo); });
  replace(fifo);
  reader.join();
  CHECK(got == "new");
  CHECK(std::filesystem::is_fifo(fifo));
}

TEST_CASE("errors name the path and the reason") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(read_file(folder / "absent"), contains_text("absent: cannot open: No such file"));
  CHECK_THROWS_WITH(read_file(folder.path()), contains_text("is a folder"));
  CHECK_THROWS_AS(AtomicFile(folder / "no/such/folder"), Error);
}
