#include "tasks/draft.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/shown.h"
#include "config/options.h"
#include "text/line_reader.h"
#include "text/normalize.h"
#include "text/script.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr double kSmallDevFraction = 0.2, kDevFraction = 0.1;
constexpr std::int64_t kFewRecords = 300;

bool is_letter(char32_t c) { return c > 0x7F ? c >= 0xC0 : (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

// The words of a file's name, in lower case: whatever is between characters that are not letters. Bytes above 0x7F are
// of letters.
std::set<std::string> words_of(const std::string& path) {
  std::set<std::string> out;
  std::string word;
  for (const char byte : std::filesystem::path(path).filename().string() + ".") {
    const auto c = static_cast<unsigned char>(byte);
    if (c > 0x7F || std::isalpha(c)) {
      word += static_cast<char>(std::tolower(c));
    } else if (!word.empty()) {
      out.insert(std::move(word));
      word.clear();
    }
  }
  return out;
}

enum class Part { kNone, kTrain, kDev, kTest };

// The part that a file's name says it is; eng.testa is CoNLL-2003's dev.
Part named_part(const std::string& path) {
  const std::set<std::string> words = words_of(path);
  const auto any = [&](std::initializer_list<const char*> wanted) {
    return std::any_of(wanted.begin(), wanted.end(), [&](const char* word) { return words.contains(word); });
  };
  if (any({"train", "training", "trn"})) return Part::kTrain;
  if (any({"dev", "devel", "development", "valid", "validation", "validate", "val", "tune", "tuning", "testa"}))
    return Part::kDev;
  return any({"test", "testing", "tst", "testb", "eval", "evaluation", "heldout"}) ? Part::kTest : Part::kNone;
}

void sort_in(const std::string& path, PartFiles& parts) {
  const Part part = named_part(path);
  (part == Part::kDev ? parts.dev : part == Part::kTest ? parts.test : parts.train).push_back(path);
}

const char* kind_of(std::filesystem::file_type type) {
  switch (type) {
    case std::filesystem::file_type::fifo:
      return "a pipe";
    case std::filesystem::file_type::character:
      return "a device";
    case std::filesystem::file_type::socket:
      return "a socket";
    default:
      return "something else";
  }
}

// Throws Error unless the path is that of a folder or of a file that can be read several times and named in JSON.
// Returns whether it is a folder.
bool check_path(const std::string& path) {
  if (path == "-") throw UsageError("-: standard input can be read only once; name a file");
  if (find_invalid_utf8(path))
    fail("{}: the name is not valid UTF-8, as paths in a configuration must be: rename the file", escaped(path));
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::none || !std::filesystem::exists(status))
    fail("{}: cannot open: {}", escaped(path), error ? error.message() : "No such file or directory");
  if (std::filesystem::is_directory(status)) return true;
  if (!std::filesystem::is_regular_file(status))
    fail("{}: is read several times: expected a file, found {}; save it in a file first", escaped(path),
         kind_of(status.type()));
  return false;
}

// Whether a file beside the data is about them.
bool is_about(const std::string& path) {
  const std::set<std::string> words = words_of(path);
  return words.contains("readme") || words.contains("license") || words.contains("licence");
}

// The files of a folder that are named for a part, in the order of their names; a file whose name says nothing if it is
// the only one and there is none for train. `left_out` gets the others.
std::vector<std::string> data_files(const std::string& folder, std::vector<std::string>& left_out) {
  std::error_code error;
  std::vector<std::string> named, others;
  std::filesystem::directory_iterator entries(folder, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    std::error_code ignored;  // of an entry that cannot be looked at, which is no file for training
    const std::string path = entries->path().string();
    if (!entries->is_regular_file(ignored) || entries->path().filename().string().front() == '.' || is_about(path))
      continue;
    (named_part(path) != Part::kNone ? named : others).push_back(path);
  }
  if (error) fail("{}: cannot read the folder: {}", escaped(folder), error.message());
  std::sort(named.begin(), named.end());
  std::sort(others.begin(), others.end());
  const bool train =
      std::ranges::any_of(named, [](const std::string& path) { return named_part(path) == Part::kTrain; });
  if (!train && others.size() == 1)
    named.push_back(others.front());
  else
    left_out.insert(left_out.end(), others.begin(), others.end());
  return named;
}

}  // namespace

PartFiles find_parts(const std::vector<std::string>& paths) {
  PartFiles out;
  std::set<std::filesystem::path> taken;
  for (const std::string& path : paths) {
    const bool is_folder = check_path(path);
    std::error_code error;
    if (!taken.insert(std::filesystem::canonical(path, error)).second && !error)
      throw UsageError(fmt::format("{}: named twice", escaped(path)));
    if (!is_folder) {
      sort_in(path, out);
      continue;
    }
    out.from_folder = true;
    for (const std::string& file : data_files(path, out.left_out)) {
      check_path(file);
      if (taken.insert(std::filesystem::canonical(file, error)).second) sort_in(file, out);
    }
  }
  // A single file is train, whatever it is called.
  if (out.train.empty() && out.left_out.empty() && out.dev.size() + out.test.size() == 1)
    out.train.swap(out.dev.empty() ? out.test : out.dev);
  if (out.train.empty()) fail("{}: found no file for train; name the files", escaped(paths.front()));
  return out;
}

std::vector<std::string> sample_lines(const std::string& path, std::size_t most, InvalidUtf8 policy) {
  LineReader reader(path, policy);
  Sample<std::string> out(most);
  for (std::string line; reader.next(line);)
    if (line.find_first_not_of(" \t") != std::string::npos) out.add(line, line.size());
  return out.take();
}

std::vector<std::string> first_lines(const std::string& path, std::size_t most, InvalidUtf8 policy, bool kept_empty) {
  LineReader reader(path, policy);
  std::vector<std::string> out;
  std::string line;
  while (out.size() < most && reader.next(line))
    if (kept_empty || line.find_first_not_of(" \t") != std::string::npos) out.push_back(line);
  return out;
}

ObjectLines parse_objects(const std::vector<std::string>& lines) {
  ObjectLines out;
  for (const std::string& line : lines) {
    const std::size_t first = line.find_first_not_of(" \t");
    if (first == std::string::npos) continue;
    ++out.lines;
    if (line[first] != '{') continue;
    try {
      Json object = parse_json(line);
      if (object.is_object()) out.objects.push_back(std::move(object));
    } catch (const JsonError& error) {
      const bool closed = line[line.find_last_not_of(" \t")] == '}';
      out.refused += closed || !error.offset() ? 1 : 0;
    }
  }
  return out;
}

std::string described_keys(const std::vector<Json>& objects) {
  std::vector<std::string> out;
  std::set<std::string> seen;
  for (const Json& object : objects)
    for (const auto& [key, value] : object.items())
      if (seen.insert(key).second) out.push_back(fmt::format("\"{}\" ({})", shown(key), described_type(value)));
  return out.empty() ? "no keys" : abridged(out, 10, ", ");
}

void check_one_set(const PartFiles& parts, const std::vector<std::set<std::string>>& labels, Draft& draft) {
  for (std::size_t b = 1; b < labels.size(); ++b)
    for (std::size_t a = 0; a < b; ++a)
      if (std::none_of(labels[a].begin(), labels[a].end(),
                       [&](const auto& label) { return labels[b].contains(label); })) {
        if (parts.from_folder)
          fail("{} and {}: two files for train without a label in common: name those that belong together",
               parts.train[a], parts.train[b]);
        return draft.note(
            fmt::format("{} and {} have no label in common", escaped(parts.train[a]), escaped(parts.train[b])));
      }
}

void ScriptCount::add(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); at += utf8_length(text[at])) {
    const char32_t c = decode_utf8(&text[at]).value;
    if (!is_letter(c)) continue;
    ++letters_;
    if (is_unsegmented(c)) ++unsegmented_;
  }
}

void Draft::set(const std::string& key, Json value) {
  Json* at = &config_;
  std::size_t begin = 0;
  for (std::size_t dot; (dot = key.find('.', begin)) != std::string::npos; begin = dot + 1)
    at = &(*at)[key.substr(begin, dot - begin)];
  (*at)[key.substr(begin)] = std::move(value);
}

void Draft::set(const std::string& key, Json value, const std::string& why) {
  const std::string line = fmt::format("{} {}: {}", key, value.dump(), why);
  const auto before = std::ranges::find_if(reasons_, [&](const std::string& r) { return r.starts_with(key + " "); });
  if (before == reasons_.end())
    note(line);
  else
    *before = line;
  set(key, std::move(value));
}

Config Draft::config() const { return parse_config(config_.dump(), "init"); }

void draft_dev(const PartFiles& parts, std::int64_t records, Draft& draft) {
  if (!parts.dev.empty()) return;
  draft.set("data.dev_fraction", records < kFewRecords ? kSmallDevFraction : kDevFraction,
            "there is no file for dev, by which the best epoch is chosen, so a part of train is held out");
}

void note_sizes(std::int64_t size, Draft& draft) {
  Config config = draft.config();
  if (config.data.dev.empty())
    size = static_cast<std::int64_t>(std::ceil(static_cast<double>(size) * (1.0 - config.data.dev_fraction) - 0.5));
  draft.note(fmt::format("left to the size of train, and so here: {}", fmt::join(settle_by_size(config, size), ", ")));
}

}  // namespace mnemo
