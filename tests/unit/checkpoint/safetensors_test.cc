#include "checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/format.h"
#include "tests/catch.h"
#include "tests/small_files.h"
#include "tests/temporary_folder.h"

using namespace mnemo;

namespace {

// A file made by hand: its length, its header, its data.
std::string file_of(const std::string& header, const std::string& data = "") {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

std::string message_of(const std::string& bytes) {
  try {
    SafetensorsFile::parse(bytes, "some.safetensors");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

const std::array<float, 6> kWeights = {0.5F, -1.0F, 2.0F, 3.25F, -0.0F, 1e-20F};

std::string small_file() {
  return to_safetensors({{"format", "mnemo"}, {"labels", R"(["好","bad"])"}},
                        {byte_tensor("vocabulary", "abc"), float_tensor("weight", {2, 3}, kWeights.data())});
}

// Reads every byte that the file promises, which a sanitizer watches.
std::uint64_t sum_of_bytes(const SafetensorsFile& file) {
  std::uint64_t sum = 0;
  for (const auto& tensor : file.tensors()) {
    REQUIRE(reinterpret_cast<std::uintptr_t>(tensor.data) % dtype_size(tensor.dtype) == 0);
    for (std::size_t i = 0; i < tensor.bytes; ++i) sum += static_cast<const unsigned char*>(tensor.data)[i];
  }
  return sum;
}

void check_harmless(const std::string& bytes) {
  try {
    sum_of_bytes(SafetensorsFile::parse(bytes, "damaged"));
  } catch (const Error& error) {
    const std::string message = error.what();
    REQUIRE(message.find("damaged: ") == 0);
    REQUIRE(std::none_of(message.begin(), message.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
  }
}

}  // namespace

TEST_CASE("a written file is read back") {
  TemporaryFolder folder;
  const std::int64_t counts[] = {-1, INT64_MAX};
  const std::map<std::string, std::string> metadata = {
      {"a", "1"}, {"zh", "模型 \"\\\n\t\x01"}, {"", std::string("\0", 1)}};
  write_safetensors(folder / "m.safetensors", metadata,
                    {float_tensor("w", {2, 3}, kWeights.data()),
                     {"counts", DType::kI64, {2}, counts, sizeof counts},
                     byte_tensor("词", "xyz"),
                     float_tensor("empty", {0, 7}, nullptr),
                     float_tensor("scalar", {}, kWeights.data() + 3)});
  const auto file = SafetensorsFile::read(folder / "m.safetensors");
  CHECK(file.name() == folder / "m.safetensors");
  CHECK(file.metadata() == metadata);
  REQUIRE(file.tensors().size() == 5);
  CHECK(std::ranges::is_sorted(file.tensors(), {}, &TensorView::name));
  const auto* w = file.find("w");
  REQUIRE(w);
  CHECK(w->shape == std::vector<std::int64_t>{2, 3});
  CHECK(w->elements() == 6);
  CHECK(std::equal(w->floats().begin(), w->floats().end(), kWeights.begin(), kWeights.end()));
  CHECK(file.find("词")->text() == "xyz");
  CHECK(std::memcmp(file.find("counts")->data, counts, sizeof counts) == 0);
  CHECK(file.find("empty")->elements() == 0);
  CHECK(file.find("scalar")->floats()[0] == 3.25F);
  CHECK_FALSE(file.find("v"));
  CHECK_THROWS_WITH(w->text(), contains_text("tensor \"w\": expected U8, found F32"));
  CHECK_THROWS_WITH(file.find("counts")->floats(), contains_text("expected F32, found I64"));
}

TEST_CASE("the views of a file stay valid when it is copied, moved and destroyed") {
  auto file = std::make_unique<SafetensorsFile>(SafetensorsFile::parse(small_file(), "small"));
  const SafetensorsFile copy = *file;
  const SafetensorsFile moved = std::move(*file);
  file.reset();
  CHECK(copy.find("weight")->floats()[2] == 2.0F);
  CHECK(moved.find("weight")->floats()[2] == 2.0F);
}

TEST_CASE("the bytes do not depend on the order of the tensors") {
  const auto a = float_tensor("a", {6}, kWeights.data());
  const auto b = byte_tensor("b", "12345");
  const auto c = float_tensor("c", {1}, kWeights.data());
  const std::string bytes = to_safetensors({{"x", "1"}, {"y", "2"}}, {a, b, c});
  CHECK(to_safetensors({{"y", "2"}, {"x", "1"}}, {c, b, a}) == bytes);
  CHECK(to_safetensors({{"y", "2"}, {"x", "1"}}, {b, a, c}) == bytes);
}

TEST_CASE("the layout: sorted header padded to 8 bytes, wide elements first") {
  const float one = 1.0F;
  const std::int64_t two = 2;
  const std::string bytes = to_safetensors(
      {{"k", "v"}}, {byte_tensor("a", "xyz"), float_tensor("b", {1, 1}, &one), {"c", DType::kI64, {}, &two, 8}});
  std::string header =
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"U8","shape":[3],"data_offsets":[12,15]},)"
      R"("b":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]},"c":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::string data("\2\0\0\0\0\0\0\0\0\0\x80\x3Fxyz", 15);
  CHECK(bytes == file_of(header, data));
  CHECK(to_safetensors({}, {}) == file_of("{}      "));
}

TEST_CASE("unaligned tensors of a file from another program are aligned in memory") {
  std::string data("\x07\x00\x00\x80\x3F", 5);
  for (std::string padding : {"", " ", "  ", "   "}) {
    const auto file = SafetensorsFile::parse(
        file_of(R"({"b":)" + entry("U8", "[1]", "[0,1]") + R"(,"f":)" + entry("F32", "[1]", "[1,5]") + "}" + padding,
                data),
        "odd");
    CHECK(sum_of_bytes(file) == 0x07 + 0x80 + 0x3F);
    CHECK(file.find("f")->floats()[0] == 1.0F);
  }
}

TEST_CASE("every dtype has its size and its name") {
  const std::map<std::string, std::size_t> sizes = {{"F64", 8}, {"F32", 4}, {"BF16", 2}, {"F16", 2}, {"I64", 8},
                                                    {"U64", 8}, {"I32", 4}, {"U32", 4},  {"I16", 2}, {"U16", 2},
                                                    {"I8", 1},  {"U8", 1},  {"BOOL", 1}};
  for (const auto& [name, size] : sizes) {
    const auto file =
        SafetensorsFile::parse(file_of(R"({"t":)" + entry(name, "[3]", "[0," + std::to_string(3 * size) + "]") + "}",
                                       std::string(3 * size, 1)),
                               "file");
    CHECK(dtype_name(file.tensors()[0].dtype) == name);
    CHECK(file.tensors()[0].elements() == 3);
  }
}

TEST_CASE("a file that is not a safetensors file is reported as what it is") {
  const std::pair<std::string, std::string> cases[] = {
      {"", "the file is empty"},
      {"abc", "the file is text"},
      {"1\tgood film\n0\tbad film\n", "the file is text"},
      {R"({"task": "classify"})", "the file is text"},
      {"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"},
      {std::string("PK\x03\x04\x00\x00\x08\x08\x00\x00", 10), "a zip archive, as PyTorch"},
      {std::string("\x80\x02\x8a\nl\xfc\x9c", 7), "a Python pickle"},
      {"\x89HDF\r\n\x1A\n", "HDF5"},
      {"\x1F\x8B\x08\x08 file", "gzip"},
      {std::string(5, '\0'), "it has 5 bytes, which is too short"},
      {std::string(8, '\xFF') + "abc", "announce a header of 18446744073709551615 bytes, but 3 follow"},
      {file_of(""), "does not begin with {"},
      {file_of("[]"), "does not begin with {"},
  };
  for (const auto& [bytes, expected] : cases) {
    CHECK_THAT(message_of(bytes), contains_text("some.safetensors: not a safetensors file: "));
    CHECK_THAT(message_of(bytes), contains_text(expected));
  }
}

TEST_CASE("a header that is not valid JSON is refused") {
  std::string deep = R"({"a":)";
  for (int i = 0; i < 100000; ++i) deep += "[";
  std::string long_shape = R"({"a":{"dtype":"U8","data_offsets":[0,0],"shape":[0)";
  for (int i = 0; i < 1000; ++i) long_shape += ",1";
  std::string many_lists = R"({"a":[[])";
  for (int i = 0; i < 1000; ++i) many_lists += ",[]";
  std::string many_fields = R"({"a":{"0":0)";
  for (int i = 1; i < 100; ++i) many_fields += fmt::format(",\"{}\":0", i);
  const std::pair<std::string, std::string> cases[] = {
      {"{", "not valid JSON, at byte"},
      {"{} x", "not valid JSON, at byte"},
      {std::string("{}\0garbage", 10), "holds a NUL byte"},
      {"{\"\xFF\":{}}", "not valid JSON, at byte"},
      {R"({"a":1e999})", "not valid JSON, at byte"},
      {R"({"a":{},"a":{}})", "has the key \"a\" twice"},
      {R"({"__metadata__":{"k":"1","k":"1"}})", "has the key \"k\" twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "has the key \"__metadata__\" twice"},
      {R"({"a":{"dtype":"U8","dtype":"U8"}})", "has the key \"dtype\" twice"},
      {deep, "nested too deeply in \"a\""},
      {R"({"a":{"shape":[{}]}})", "nested too deeply"},
      {long_shape + "]}}", "a list of more than 16 values in \"a\""},
      {many_lists + "]}", "a list of more than 16 values in \"a\""},
      {many_fields + "}}", "an object of more than 8 keys"},
  };
  for (const auto& [header, expected] : cases) CHECK_THAT(message_of(file_of(header)), contains_text(expected));
}

TEST_CASE("limits of the header") {
  const std::string largest(format::kMaxHeaderBytes - 2, ' ');
  CHECK(message_of(file_of("{}" + largest)).empty());
  CHECK_THAT(message_of(file_of("{}" + largest + " ")), contains_text("expected at most 16777216"));
  std::string header = R"({"__metadata__":{})";
  for (std::size_t i = 0; i < format::kMaxEntries; ++i)
    header += fmt::format(R"(,"{}":{})", i, entry("U8", "[0]", "[0,0]"));
  CHECK(message_of(file_of(header + "}")).empty());
  CHECK_THAT(message_of(file_of(header + R"(,"x":{}})")), contains_text("an object of more than 100001 keys"));
}

TEST_CASE("each mismatch of a tensor is named") {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"a":1})", "tensor \"a\": expected an object, found number"},
      {R"({"a":{}})", "tensor \"a\": dtype missing or not a string; tensor \"a\": shape missing"},
      {R"({"a":{}})", "data_offsets missing or not a list of two"},
      {R"({"a":)" + entry("F31", "[1]", "[0,4]") + "}", "tensor \"a\": unknown dtype \"F31\""},
      {R"({"a":{"dtype":3,"shape":[1],"data_offsets":[0,4]}})", "dtype missing or not a string"},
      {R"({"a":)" + entry("F32", "[-1]", "[0,4]") + "}", "shape missing or not a list of whole numbers"},
      {R"({"a":)" + entry("F32", "[-0]", "[0,4]") + "}", "shape missing or not a list of whole numbers"},
      {R"({"a":)" + entry("F32", "[1.0]", "[0,4]") + "}", "shape missing or not a list of whole numbers"},
      {R"({"a":)" + entry("F32", "[1e0]", "[0,4]") + "}", "shape missing or not a list of whole numbers"},
      {R"({"a":)" + entry("F32", "[\"1\"]", "[0,4]") + "}", "shape missing or not a list of whole numbers"},
      {R"({"a":)" + entry("F32", "[null]", "[0,4]") + "}", "shape missing or not a list of whole numbers"},
      {R"({"a":)" + entry("F32", "1", "[0,4]") + "}", "shape missing or not a list of whole numbers"},
      {R"({"a":)" + entry("F32", "[9223372036854775808]", "[0,4]") + "}", "shape missing or not a list"},
      {R"({"a":)" + entry("F32", "[18446744073709551617]", "[0,4]") + "}", "shape missing or not a list"},
      {R"({"a":)" + entry("F32", "[4294967296,4294967297]", "[0,4]") + "}", "more bytes than can be counted"},
      {R"({"a":)" + entry("F32", "[2305843009213693952]", "[0,4]") + "}", "more bytes than can be counted"},
      {R"({"a":)" + entry("F32", "[4611686018427387905]", "[0,4]") + "}", "more bytes than can be counted"},
      {R"({"a":)" + entry("F32", "[2]", "[0,4]") + "}", "tensor \"a\": F32 [2] needs 8 bytes, data_offsets give 4"},
      {R"({"a":)" + entry("F32", "[1]", "[0]") + "}", "data_offsets missing or not a list of two"},
      {R"({"a":)" + entry("F32", "[1]", "[0,4,4]") + "}", "data_offsets missing or not a list of two"},
      {R"({"a":)" + entry("F32", "[1]", "[-4,0]") + "}", "data_offsets missing or not a list of two"},
      {R"({"a":)" + entry("F32", "[1]", "[4,0]") + "}", "bytes 4 to 0 are not within the 4 bytes of data"},
      {R"({"a":)" + entry("F32", "[2]", "[0,8]") + "}", "bytes 0 to 8 are not within the 4 bytes of data"},
      {R"({"a":)" + entry("U8", "[3]", "[0,3]") + "}", "bytes 3 to 4 of the data belong to no tensor"},
      {R"({"a":)" + entry("U8", "[3]", "[1,4]") + "}", "bytes 0 to 1 of the data belong to no tensor"},
      {"{}", "bytes 0 to 4 of the data belong to no tensor"},
      {R"({"a":)" + entry("U8", "[3]", "[0,3]") + R"(,"b":)" + entry("U8", "[2]", "[2,4]") + "}",
       "tensor \"b\": its bytes overlap another tensor's"},
      {R"({"a":)" + entry("U8", "[4]", "[0,4]") + R"(,"b":)" + entry("U8", "[0]", "[2,2]") + "}",
       "tensor \"b\": its bytes overlap another tensor's"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"code":"x"}})", "unknown key \"code\""},
      {R"({"__metadata__":[],"a":)" + entry("U8", "[4]", "[0,4]") + "}",
       "__metadata__: expected an object, found array"},
      {R"({"__metadata__":{"k":1},"a":)" + entry("U8", "[4]", "[0,4]") + "}", "__metadata__ \"k\": expected a string"},
  };
  for (const auto& [header, expected] : cases) {
    CHECK_THAT(message_of(file_of(header, "abcd")), contains_text("some.safetensors: damaged: "));
    CHECK_THAT(message_of(file_of(header, "abcd")), contains_text(expected));
  }
}

TEST_CASE("all mismatches are reported in one line, ten of them listed") {
  std::string header = R"({"__metadata__":{"k":1})";
  for (int i = 0; i < 12; ++i) header += fmt::format(R"(,"t{}":{})", 10 + i, entry("F31", "[0]", "[0,0]"));
  const std::string message = message_of(file_of(header + "}"));
  CHECK_THAT(message, contains_text("__metadata__ \"k\""));
  CHECK_THAT(message, contains_text("\"t18\""));
  CHECK_THAT(message, !contains_text("\"t19\""));
  CHECK_THAT(message, contains_text("; and 3 more"));
}

TEST_CASE("a hostile name cannot break a message into lines or make it endless") {
  const std::string name = R"(\n\u001b[31m\u202e)" + std::string(5000, 'x');
  const std::string message = message_of(file_of("{\"" + name + "\":1}"));
  CHECK(message.size() < 300);
  CHECK_THAT(message, contains_text(R"("\n\x1b[31m\u202ex)"));
}

TEST_CASE("a small file with any byte changed is refused or harmless") {
  const std::string sound = small_file();
  for (std::size_t i = 0; i < sound.size(); ++i)
    for (const int mask : {0xFF, 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80}) {
      std::string bytes = sound;
      bytes[i] = static_cast<char>(bytes[i] ^ mask);
      check_harmless(bytes);
    }
}

TEST_CASE("a small file that is cut off anywhere or has trailing bytes is refused") {
  const std::string sound = small_file();
  REQUIRE(message_of(sound).empty());
  for (std::size_t length = 0; length < sound.size(); ++length) {
    const std::string message = message_of(sound.substr(0, length));
    CHECK(message.find("some.safetensors: ") == 0);
    check_harmless(sound.substr(0, length));
  }
  CHECK_THAT(message_of(sound + "x"), contains_text("belong to no tensor"));
  CHECK_THAT(message_of(sound.substr(0, sound.size() - 1)), contains_text("cut off?"));
}

TEST_CASE("a file that could not be read back is not written") {
  const auto a = float_tensor("a", {6}, kWeights.data());
  auto wrong = a;
  wrong.shape = {7};
  CHECK_THROWS_WITH(to_safetensors({}, {a, a}), contains_text("two tensors are called \"a\""));
  CHECK_THROWS_WITH(to_safetensors({}, {wrong}), contains_text("tensor \"a\": F32 [7] does not fit its 24 bytes"));
  wrong.shape = {-1, -6};
  CHECK_THROWS_WITH(to_safetensors({}, {wrong}), contains_text("F32 [-1, -6] does not fit"));
  CHECK_THROWS_WITH(to_safetensors({}, {byte_tensor("__metadata__", "x")}), contains_text("must not be called"));
  CHECK_THROWS_WITH(to_safetensors({}, {byte_tensor("\xFF", "x")}), contains_text("not valid UTF-8"));
  CHECK_THROWS_WITH(to_safetensors({{"k", "\xFF"}}, {}), contains_text("not valid UTF-8"));
  CHECK_THROWS_WITH(to_safetensors({{"k", std::string(format::kMaxHeaderBytes, 'x')}}, {}),
                    contains_text("expected at most 16777216"));
  CHECK_THROWS_WITH(to_safetensors({}, {float_tensor("a", std::vector<std::int64_t>(17, 1), kWeights.data())}),
                    contains_text("more than 16 dimensions"));
  CHECK_THROWS_AS(float_tensor("a", {INT64_MAX, 2}, nullptr), Error);
}

TEST_CASE("an error of reading or writing names the file") {
  TemporaryFolder folder;
  CHECK_THROWS_WITH(SafetensorsFile::read(folder / "none"), contains_text("none: cannot open"));
  CHECK_THROWS_WITH(write_safetensors(folder / "no/m", {}, {}), contains_text("no/m: cannot create"));
}

TEST_CASE("a full disk leaves the old file as it was") {
  TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  write_safetensors(path, {{"version", "old"}}, {});
  const std::vector<float> large(100'000);
  std::string message;
  try {
    const SmallFiles full;
    write_safetensors(path, {{"version", "new"}}, {float_tensor("w", {100'000}, large.data())});
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK_THAT(message, contains_text("m.safetensors: cannot write: "));
  CHECK(SafetensorsFile::read(path).metadata().at("version") == "old");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}
