// log.jsonl: one JSON object per line, appended as the run proceeds.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "base/json_fwd.h"

namespace mnemo {

class LogFile {
 public:
  /// Opens the log of a run that continues after `step`: lines of later steps, and a line cut off by a kill, are
  /// dropped. At step 0 the log begins empty. Throws Error if it cannot be written.
  LogFile(const std::string& path, std::int64_t step);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  /// Throws Error if the disk is full.
  void write(const Json& line);
  void flush();

 private:
  std::string path_;
  std::FILE* file_ = nullptr;
};

/// The objects of a log, each with an integer "step" and a string "kind". Other lines are left out: a log is for people
/// and report pages, and a damaged one never stops a run. A missing file is an empty log.
std::vector<Json> read_log(const std::string& path);

}  // namespace mnemo
