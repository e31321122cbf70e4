// log.jsonl: one JSON object a line, appended as the run goes.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "base/json_fwd.h"

namespace mnemo {

class LogFile {
 public:
  /// Opens the log of a run that goes on after `step`: lines of later steps, and a line cut off by a kill, are dropped.
  /// At step 0 the log begins empty. Throws Error if it cannot be written.
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

/// The objects of a log, each with a whole number "step" and a text "kind". Lines that are none are left out: a log is
/// for people and pages, and damaged it never stops a run. A missing file is an empty log.
std::vector<Json> read_log(const std::string& path);

}  // namespace mnemo
