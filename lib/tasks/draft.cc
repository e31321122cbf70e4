#include "tasks/draft.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "config/options.h"
#include "text/line_reader.h"
#include "text/normalize.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr double kSmallDevFraction = 0.2, kDevFraction = 0.1;
constexpr std::int64_t kFewRecords = 300;

// Blocks of scripts without blanks between words: Thai to Myanmar, Khmer, kana, ideographs and their extensions.
struct Block {
  char32_t first, last;
};
constexpr Block kUnsegmented[] = {{0x0E00, 0x0EFF}, {0x1000, 0x109F}, {0x1780, 0x17FF},
                                  {0x3040, 0x30FF}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF},
                                  {0xF900, 0xFAFF}, {0xFF66, 0xFF9F}, {0x20000, 0x3FFFF}};

bool is_letter(char32_t c) { return c > 0x7F ? c >= 0xC0 : (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

bool holds_any(const std::string& name, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](const char* word) { return name.find(word) != std::string::npos; });
}

// By the file's name alone: eng.testa is CoNLL-2003's dev.
void sort_in(const std::string& path, PartFiles& parts) {
  std::string name = std::filesystem::path(path).filename().string();
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  std::vector<std::string>* part = &parts.train;
  if (!holds_any(name, {"train"})) {
    if (holds_any(name, {"dev", "valid", "testa"}))
      part = &parts.dev;
    else if (holds_any(name, {"test"}))
      part = &parts.test;
  }
  part->push_back(path);
}

// The files of a folder that are named for a part, in the order of their names.
std::vector<std::string> named_files(const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && holds_any(name, {"train", "dev", "valid", "test"}))
      out.push_back(entry.path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

PartFiles find_parts(const std::vector<std::string>& paths) {
  PartFiles out;
  for (const std::string& path : paths) {
    if (path == "-") throw UsageError("-: standard input can be looked at only once; name a file");
    if (std::filesystem::is_directory(path))
      for (const std::string& file : named_files(path)) sort_in(file, out);
    else
      sort_in(path, out);
  }
  // A single file is train, whatever it is called.
  if (out.train.empty() && out.dev.size() + out.test.size() == 1) out.train.swap(out.dev.empty() ? out.test : out.dev);
  if (out.train.empty()) fail("{}: found no file for train; name the files", paths.front());
  return out;
}

std::vector<std::string> first_lines(const std::string& path, std::size_t most, bool kept_empty) {
  LineReader reader(path, InvalidUtf8::kError);
  std::vector<std::string> out;
  std::string line;
  while (out.size() < most && reader.next(line))
    if (kept_empty || line.find_first_not_of(" \t") != std::string::npos) out.push_back(line);
  return out;
}

bool is_unsegmented(char32_t c) {
  return std::any_of(std::begin(kUnsegmented), std::end(kUnsegmented),
                     [c](const Block& block) { return c >= block.first && c <= block.last; });
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
  note(fmt::format("{} {}: {}", key, value.dump(), why));
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
  draft.note(fmt::format("left to the size of train, and so here: {}", fmt::join(settle_by_size(config, size), ", ")));
}

}  // namespace mnemo
