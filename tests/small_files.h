// A disk that is full, without one.
#pragma once

#include <sys/resource.h>

#include <csignal>

#include "tests/catch.h"

namespace mnemo {

/// While it lives, writing beyond the first 4 KiB of any file fails, as on a full disk.
class SmallFiles {
 public:
  SmallFiles() {
    REQUIRE(getrlimit(RLIMIT_FSIZE, &limit_) == 0);
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit tight{4096, limit_.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &tight) == 0);
  }
  ~SmallFiles() {
    setrlimit(RLIMIT_FSIZE, &limit_);
    std::signal(SIGXFSZ, old_handler_);
  }
  SmallFiles(const SmallFiles&) = delete;
  SmallFiles& operator=(const SmallFiles&) = delete;

 private:
  rlimit limit_{};
  void (*old_handler_)(int) = nullptr;
};

}  // namespace mnemo
