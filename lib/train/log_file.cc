#include "train/log_file.h"

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace mnemo {

LogFile::LogFile(const std::string& path, std::int64_t step) : path_(path) {
  std::string kept;
  if (step > 0)
    for (const Json& line : read_log(path))
      if (line.value("step", std::int64_t{0}) <= step && line.value("kind", "") != "end") kept += line.dump() + "\n";
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

std::vector<Json> read_log(const std::string& path) {
  std::vector<Json> out;
  if (!file_exists(path)) return out;
  const std::string text = read_file(path);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    Json line = Json::parse(text.substr(begin, end - begin), nullptr, false);
    if (line.is_object()) out.push_back(std::move(line));
    begin = end + 1;
  }
  return out;
}

}  // namespace mnemo
