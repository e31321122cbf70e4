// Tools to look at files and draft a configuration. Internal to lib/tasks/init.cc and the tasks' own init.cc.
#pragma once

#include <bit>
#include <cstdint>
#include <exception>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "config/config.h"
#include "text/utf8.h"

namespace mnemo {

class Draft;

/// The files by their purpose.
struct PartFiles {
  std::vector<std::string> train, dev, test;
  std::vector<std::string> left_out;  ///< files of a folder whose names say nothing
  bool from_folder = false;           ///< train was found in a folder, not named
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kError;
};

/// Throws Error where a path is not that of a file that can be read several times, or there is no train.
PartFiles find_parts(const std::vector<std::string>& paths);

/// An even sample of a sequence, whatever its length: it holds at most `most` items and kBytes bytes. The first item is
/// always in it; which others are depends on their places alone, which are hashed so that a regular order of the items,
/// such as labels in turn, does not show in the sample.
template <class Item>
class Sample {
 public:
  explicit Sample(std::size_t most) : most_(most) {}

  void add(const Item& item, std::size_t bytes) {
    const std::uint64_t hash = hash_of(place_++);
    if (std::countr_zero(hash) < level_) return;
    items_.push_back({hash, bytes, item});
    bytes_ += bytes;
    while (items_.size() > 1 && (items_.size() > most_ || bytes_ > kBytes)) thin_out();
  }

  /// In the order in which they were added.
  std::vector<Item> take() {
    std::vector<Item> out;
    out.reserve(items_.size());
    for (Entry& entry : items_) out.push_back(std::move(entry.item));
    return out;
  }

 private:
  static constexpr std::size_t kBytes = std::size_t{16} << 20;
  struct Entry {
    std::uint64_t hash;
    std::size_t bytes;
    Item item;
  };

  // 0 for 0, which has more zeros at its end than any level asks for.
  static std::uint64_t hash_of(std::uint64_t place) {
    place *= 0x9E3779B97F4A7C15u;
    place ^= place >> 29;
    place *= 0xD1342543DE82EF95u;
    return place ^ place >> 32;
  }

  void thin_out() {
    ++level_;
    std::erase_if(items_, [&](const Entry& entry) {
      const bool goes = std::countr_zero(entry.hash) < level_;
      bytes_ -= goes ? entry.bytes : 0;
      return goes;
    });
  }

  std::size_t most_, bytes_ = 0;
  std::uint64_t place_ = 0;
  int level_ = 0;
  std::vector<Entry> items_;
};

/// At most `most` of a file's lines, from all of it, without empty ones. Throws as LineReader does.
std::vector<std::string> sample_lines(const std::string& path, std::size_t most, InvalidUtf8 policy);

/// At most the first `most` lines of a file, without empty ones unless `kept_empty`. Throws as LineReader does.
std::vector<std::string> first_lines(const std::string& path, std::size_t most, InvalidUtf8 policy,
                                     bool kept_empty = false);

/// Lines as the JSON objects that they are.
struct ObjectLines {
  std::vector<Json> objects;
  std::size_t lines = 0;    ///< that are not empty
  std::size_t refused = 0;  ///< that are not read, but in braces, or JSON which parse_json refuses
  /// Whether the file is meant to be JSON Lines: a line that is broken does not make it another format.
  bool likely() const { return 2 * (objects.size() + refused) > lines; }
};
ObjectLines parse_objects(const std::vector<std::string>& lines);

/// The keys of objects with the type of their values: `"id" (a number), "text" (a string)`.
std::string described_keys(const std::vector<Json>& objects);

/// Looks for two files of train without a label in common; `labels` are those of each file. Found in a folder, they are
/// versions of the data rather than parts: throws Error. Named one by one, they may be a file for each label: a note.
void check_one_set(const PartFiles& parts, const std::vector<std::set<std::string>>& labels, Draft& draft);

/// Counts the letters of texts by script.
class ScriptCount {
 public:
  void add(std::string_view text);
  /// Whether most of it is written without blanks between words: Chinese, Japanese, Thai and others.
  bool unsegmented() const { return 3 * unsegmented_ > letters_; }
  /// The fraction of such letters, in per cent.
  int share() const { return letters_ == 0 ? 0 : static_cast<int>(100 * unsegmented_ / letters_); }

 private:
  std::int64_t letters_ = 0, unsegmented_ = 0;
};

/// A configuration under construction, with the reasons for its choices.
class Draft {
 public:
  /// `key` with dots: "data.format".
  void set(const std::string& key, Json value);
  /// The same with a line that gives the reason.
  void set(const std::string& key, Json value, const std::string& why);
  void note(const std::string& line) { reasons_.push_back(line); }

  /// As a run would read it.
  Config config() const;
  std::string text() const { return config_.dump(2) + "\n"; }
  const std::vector<std::string>& reasons() const { return reasons_; }

 private:
  Json config_ = Json::object();
  std::vector<std::string> reasons_;
};

/// Tries formats in turn. One is found if it `fits`, which fills in a draft, and `look` then reads the files with that
/// draft; it becomes `draft`. Returns what `look` found; nothing if no format fits. If none of those that fit can be
/// read, throws the Error of the first one, which is the likeliest.
template <class Formats, class Fits, class Look>
auto first_readable(const Formats& formats, Draft& draft, const Fits& fits, const Look& look)
    -> std::optional<decltype(look(draft.config()))> {
  std::exception_ptr mistake;
  for (const auto& format : formats) {
    Draft trial = draft;
    if (!fits(format, trial)) continue;
    try {
      auto found = look(trial.config());
      draft = std::move(trial);
      return found;
    } catch (const Error&) {
      if (!mistake) mistake = std::current_exception();
    }
  }
  if (mistake) std::rethrow_exception(mistake);
  return std::nullopt;
}

/// Sets data.dev_fraction where there is no file for dev.
void draft_dev(const PartFiles& parts, std::int64_t records, Draft& draft);

/// Notes the values of the keys that are left to the size of train, of which data.dev_fraction is held out if there is
/// no file for dev.
void note_sizes(std::int64_t size, Draft& draft);

/// Task::draft of each task.
void draft_classify(const PartFiles& parts, Draft& draft);
void draft_tag(const PartFiles& parts, Draft& draft);
void draft_generate(const PartFiles& parts, Draft& draft);
void draft_translate(const PartFiles& parts, Draft& draft);

}  // namespace mnemo
