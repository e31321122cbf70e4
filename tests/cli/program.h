// Runs the program as a user would, and small files to run it on.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/places.h"

struct Outcome {
  int code = -1;  // exit code, or 128 + the signal that ended it
  std::string out, err;
};

/// A started program; its standard output and error go to files in `folder`.
class Process {
 public:
  Process(const std::vector<std::string>& arguments, const std::string& folder, const std::string& input = "/dev/null",
          const std::string& output = "", const std::string& error = "")
      : out_(output.empty() ? folder + "/stdout" : output), err_(error.empty() ? folder + "/stderr" : error) {
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ > 0) return;
    const auto redirect = [](const std::string& path, int flags, int to) {
      const int from = ::open(path.c_str(), flags, 0600);
      if (from < 0 || dup2(from, to) < 0) _exit(126);
    };
    redirect(input, O_RDONLY, STDIN_FILENO);
    redirect(out_, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
    redirect(err_, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
    std::vector<char*> argv{const_cast<char*>(program_path().c_str())};
    for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    execv(program_path().c_str(), argv.data());
    _exit(127);
  }

  void send(int signal) const { ::kill(pid_, signal); }

  Outcome wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
            out_.starts_with("/dev/") ? "" : text(out_), err_.starts_with("/dev/") ? "" : text(err_)};
  }

  static std::string text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream all;
    all << file.rdbuf();
    return all.str();
  }

 private:
  std::string out_, err_;
  pid_t pid_;
};

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// The lines of an output, without their ends.
inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) out.push_back(line);
  return out;
}

/// Checks the exit code of a command that failed, and that its one message says why.
inline void check_fails(const Outcome& outcome, int code, const std::string& message) {
  INFO(outcome.out << outcome.err);
  CHECK(outcome.code == code);
  CHECK_THAT(outcome.err, contains_text(message));
  CHECK_THAT(outcome.err, contains_text("mnemo: "));
}

/// Runs to the end, with `input` on standard input.
inline Outcome run(const std::vector<std::string>& arguments, const std::string& folder,
                   const std::string& input = "") {
  write_text(folder + "/stdin", input);
  return Process(arguments, folder, folder + "/stdin").wait();
}

/// Runs to the end with standard error going to a terminal of `columns` columns; `err` is the output to that terminal.
inline Outcome run_on_terminal(const std::vector<std::string>& arguments, const std::string& folder, int columns) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  winsize size{};
  size.ws_row = 24;
  size.ws_col = static_cast<unsigned short>(columns);
  if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0 || ioctl(terminal, TIOCSWINSZ, &size) != 0)
    throw std::runtime_error("no pseudo terminal");
  Process process(arguments, folder, "/dev/null", "", ptsname(terminal));
  std::string shown;
  char buffer[4096];
  // Reading fails when nobody has the terminal open any longer.
  for (ssize_t n = 0; (n = read(terminal, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR);)
    if (n > 0) shown.append(buffer, static_cast<std::size_t>(n));
  close(terminal);
  Outcome outcome = process.wait();
  outcome.err = shown;
  return outcome;
}

/// Runs to the end with standard output going to a device.
inline Outcome run_into(const std::string& device, const std::vector<std::string>& arguments,
                        const std::string& folder) {
  return Process(arguments, folder, "/dev/null", device).wait();
}
