#include "base/unnamed_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

namespace mnemo {

int open_unnamed_file(const std::string& folder, const char* prefix) {
  const int direct = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (direct >= 0) return direct;
  std::string name = folder + "/" + prefix + "XXXXXX";
  const int out = ::mkostemp(name.data(), O_CLOEXEC);
  if (out >= 0) ::unlink(name.c_str());
  return out;
}

}  // namespace mnemo
