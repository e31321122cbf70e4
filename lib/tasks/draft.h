// Tools to look at files and draft a configuration. Internal to lib/tasks/init.cc and the tasks' own init.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "config/config.h"

namespace mnemo {

/// The files by their purpose.
struct PartFiles {
  std::vector<std::string> train, dev, test;
};

/// Throws Error where a path cannot be read or there is no train.
PartFiles find_parts(const std::vector<std::string>& paths);

/// At most the first `most` lines of a file, without empty ones unless `kept_empty`. Throws as LineReader does.
std::vector<std::string> first_lines(const std::string& path, std::size_t most, bool kept_empty = false);

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

/// True for a code point of a script that has no blanks between words.
bool is_unsegmented(char32_t c);

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

/// Sets data.dev_fraction where there is no file for dev.
void draft_dev(const PartFiles& parts, std::int64_t records, Draft& draft);

/// Notes the values of the keys that are left to the size of train.
void note_sizes(std::int64_t size, Draft& draft);

/// Task::draft of each task.
void draft_classify(const PartFiles& parts, Draft& draft);
void draft_tag(const PartFiles& parts, Draft& draft);
void draft_generate(const PartFiles& parts, Draft& draft);

}  // namespace mnemo
