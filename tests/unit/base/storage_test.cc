// Arrays that move from memory to a file.
#include "base/storage.h"

#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/small_files.h"
#include "tests/temporary_folder.h"

using namespace mnemo;

namespace {

std::vector<std::uint64_t> numbers(std::size_t count) {
  std::vector<std::uint64_t> out(count);
  std::iota(out.begin(), out.end(), 7);
  return out;
}

// Appended in pieces of growing size.
StoredArray<std::uint64_t> stored(const std::vector<std::uint64_t>& values, std::shared_ptr<Storage> storage) {
  StoredArray<std::uint64_t> out(std::move(storage));
  std::size_t piece = 0;
  for (std::size_t at = 0; at < values.size(); at += piece) {
    piece = std::min(piece * 2 + 1, values.size() - at);
    out.append(std::span(values).subspan(at, piece));
  }
  out.finish();
  return out;
}

std::ptrdiff_t files_in(const std::string& folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

}  // namespace

TEST_CASE("an array holds the same in memory, in a file, and where it moved from one to the other") {
  TemporaryFolder folder;
  // More than the windows that stay resident.
  const std::vector<std::uint64_t> values = numbers(6'000'000);
  for (const std::int64_t limit : {std::int64_t{0}, std::int64_t{1000}, std::int64_t{1} << 20, std::int64_t{1} << 40}) {
    INFO(limit);
    const auto storage = std::make_shared<Storage>(folder.path(), limit);
    const StoredArray<std::uint64_t> array = stored(values, storage);
    CHECK(array.in_file() == (limit < std::int64_t{1} << 40));
    CHECK(storage->exceeded() == array.in_file());
    REQUIRE(array.size() == std::ssize(values));
    bool equal = true;
    for (std::int64_t i = 0; i < array.size(); ++i) equal &= array[i] == values[static_cast<std::size_t>(i)];
    // From the end, and in large pieces, too.
    for (std::int64_t i = array.size() - 1; i > 0; i -= 4099) equal &= array[i] == values[static_cast<std::size_t>(i)];
    const auto all = array.values(1, array.size() - 1);
    equal &= std::equal(all.begin(), all.end(), values.begin() + 1);
    // Copied from all over the array, from places near the last ones, and across the windows.
    std::vector<std::uint64_t> copied(3);
    for (std::int64_t n = 0; n < 300'000; ++n) {
      const std::int64_t i = n * 1'299'709 % (array.size() - 8193);
      for (const std::int64_t near : {i, i + 3, i + 8190}) {
        array.copy(near, copied);
        for (std::size_t k = 0; k < copied.size(); ++k)
          equal &= copied[k] == values[static_cast<std::size_t>(near) + k];
      }
    }
    std::vector<std::uint64_t> most(values.size() - 1);
    array.copy(1, most);
    equal &= std::equal(most.begin(), most.end(), values.begin() + 1);
    CHECK(equal);
    CHECK(files_in(folder.path()) == 0);
  }
}

TEST_CASE("arrays without a storage or without values lie in memory") {
  TemporaryFolder folder;
  const StoredArray<std::uint64_t> free = stored(numbers(1000), nullptr);
  CHECK(free[999] == 1006);
  CHECK(!free.in_file());
  const StoredArray<std::uint64_t> empty = stored({}, std::make_shared<Storage>(folder.path(), 0));
  CHECK(empty.size() == 0);
  CHECK(!empty.in_file());
}

TEST_CASE("the memory of an array that is gone is free again, and an eighth of it once something lies in a file") {
  Storage storage("", 1000);
  CHECK(storage.take(1000));
  CHECK(!storage.take(1));
  storage.give_back(1000);
  CHECK(storage.take(600));
  storage.give_back(600);
  storage.exceed();
  CHECK(!storage.take(126));
  CHECK(storage.take(125));
}

TEST_CASE("the file of an array lies in the nearest folder that exists") {
  TemporaryFolder folder;
  const auto storage = std::make_shared<Storage>(folder / "run/not/yet", 0);
  CHECK(stored(numbers(10), storage)[9] == 16);
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("a full disk is an error that names the folder and what to do") {
  TemporaryFolder folder;
  std::string message;
  try {
    const SmallFiles full;
    stored(numbers(2'000'000), std::make_shared<Storage>(folder.path(), 0));
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK_THAT(message, contains_text(folder.path() + ": cannot write a file for the data beyond training.memory: "));
  CHECK_THAT(message, contains_text("raise training.memory"));
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("a folder that cannot be written to is an error") {
  CHECK_THROWS_WITH(stored(numbers(10), std::make_shared<Storage>("/proc", 0)),
                    contains_text("/proc: cannot make a file"));
}
