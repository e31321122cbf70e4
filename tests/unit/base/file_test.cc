#include "base/file.h"

#include <filesystem>

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

TEST_CASE("errors name the path and the reason") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(read_file(folder / "absent"), contains_text("absent: cannot open: No such file"));
  CHECK_THROWS_WITH(read_file(folder.path()), contains_text("is a folder"));
  CHECK_THROWS_AS(AtomicFile(folder / "no/such/folder"), Error);
}
