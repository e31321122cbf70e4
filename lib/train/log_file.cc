#include "train/log_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace mnemo {

LogFile::LogFile(const std::string& path, std::int64_t step) : path_(path) {
  std::string kept;
  if (step > 0)
    for (const Json& line : read_log(path))
      if (line["step"].get<std::int64_t>() <= step && line["kind"] != "end") kept += line.dump() + "\n";
  AtomicFile file(path);
  file.write(kept);
  file.commit();
  file_ = std::fopen(path.c_str(), "a");
  if (!file_) fail("{}: cannot open: {}", path, std::strerror(errno));
}

LogFile::~LogFile() {
  if (file_) std::fclose(file_);
}

void LogFile::write(const Json& line) {
  const std::string text = line.dump() + "\n";
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size())
    fail("{}: cannot write: {}", path_, std::strerror(errno));
  flush();
}

void LogFile::flush() {
  if (std::fflush(file_) != 0) fail("{}: cannot write: {}", path_, std::strerror(errno));
}

namespace {

// Null if the text is not a line as a run writes it.
Json parse_line(std::string_view text) {
  Json line;
  try {
    line = parse_json(text);
  } catch (const JsonError&) {  // not JSON, or beyond its limits
  }
  const auto step = line.is_object() ? line.find("step") : line.end();
  const auto kind = line.is_object() ? line.find("kind") : line.end();
  const bool valid = step != line.end() && kind != line.end() && step->is_number_integer() && kind->is_string();
  const bool huge = valid && step->is_number_unsigned() && step->get<std::uint64_t>() > std::uint64_t{1} << 53;
  return valid && !huge ? line : Json();
}

}  // namespace

std::vector<Json> read_log(const std::string& path) {
  std::vector<Json> out;
  if (!file_exists(path)) return out;
  const std::string text = read_file(path);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    Json line = parse_line(std::string_view(text).substr(begin, end - begin));
    if (line.is_object()) out.push_back(std::move(line));
    begin = end + 1;
  }
  return out;
}

}  // namespace mnemo
