// Errors that reach the user. Libraries throw them; only the program prints one and exits.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace mnemo {

/// Something could not be done: bad data, a bad model, a failed write. The message is one line that says what failed
/// and where, what was expected and what was found, and the next step if there is one. Exit code 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The command line or the configuration asks for something that does not exist or does not fit. Exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// Throws Error with the formatted message.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace mnemo
