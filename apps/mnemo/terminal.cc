#include "apps/mnemo/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"

namespace mnemo {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::chrono::seconds kPlainLine{10};
constexpr int kWidth = 20;

std::string describe(const Progress& p) {
  std::string text = fmt::format("epoch {}/{}  loss {:.4f}  {} left  {:.0f} tokens/s", p.epoch, p.epochs, p.loss,
                                 duration_text(p.seconds_left), p.tokens_per_s);
  // Last, since a narrow terminal cuts it off.
  if (!std::isnan(p.best)) text += fmt::format("  best {} {:.4f}", p.metric, p.best);
  return text;
}

std::string describe_evaluation(const Progress& p) {
  const auto& m = *p.evaluated;
  std::string text = fmt::format("step {}  epoch {}/{}  train loss {:.4f}  dev loss {:.4f}", p.step, p.epoch, p.epochs,
                                 p.loss, m.at("loss"));
  if (p.metric != "loss" && m.contains(p.metric)) text += fmt::format("  {} {:.4f}", p.metric, m.at(p.metric));
  return text + fmt::format("  (best {:.4f})  {:.0f} tokens/s", p.best, p.tokens_per_s);
}

int terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 1 << 20;
}

bool is_terminal() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && !(kind && std::string_view(kind) == "dumb");
}

// The text as a terminal may get it: newlines and tabs as they are, anything else that it would act on escaped.
std::string harmless(std::string_view text) {
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find_first_of("\n\t", begin), text.size());
    out += escaped(text.substr(begin, end - begin));
    if (end < text.size()) out += text[end];
    begin = end + 1;
  }
  return out;
}

// Of xterm's palette the colours 16 to 231 are a cube of 6 shades of red, green and blue.
std::string colour_code(int colour) {
  if (colour < kPalette) return fmt::format("1;{}", colour);
  const int number = colour - kPalette, cube = number - 16;
  const bool dark = 3 * (cube / 36) + 6 * (cube / 6 % 6) + cube % 6 < 25;
  return fmt::format("38;5;{};48;5;{}", dark ? 231 : 16, number);
}

std::string for_terminal(std::string_view text, std::span<const Highlight> highlights) {
  std::string out;
  std::size_t at = 0;
  for (const Highlight& h : highlights) {
    out += harmless(text.substr(at, h.begin - at));
    out += fmt::format("\033[{}m{}\033[0m", colour_code(h.colour), harmless(text.substr(h.begin, h.end - h.begin)));
    at = h.end;
  }
  return out + harmless(text.substr(at));
}

void write_answer(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    fail("standard output: cannot write: {}", std::strerror(errno));
}

}  // namespace

bool no_colour() {
  const char* value = std::getenv("NO_COLOR");
  return value && *value != '\0';
}

bool answers_in_colour() { return isatty(STDOUT_FILENO) != 0 && !no_colour(); }

std::size_t answer_columns(std::size_t otherwise) {
  const char* const columns = std::getenv("COLUMNS");
  if (columns && std::atoi(columns) > 0) return static_cast<std::size_t>(std::atoi(columns));
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : otherwise;
}

void say(const std::string& line) {
  if (!quiet) std::fprintf(stderr, "%s\n", escaped(line).c_str());
}

void put(const std::string& text, std::span<const Highlight> highlights) {
  write_answer(isatty(STDOUT_FILENO) != 0 ? for_terminal(text, highlights) : text);
}

std::string json_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

std::string shell_quoted(const std::string& word) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  // Between $'...' the escapes of `escaped` are those of the shell.
  if (const std::string visible = escaped(word); visible != word) {
    std::string out = "$'";
    for (const char c : word) {
      if (c == '\\' || c == '\'') out += '\\';
      out += c;
    }
    return escaped(out) + "'";
  }
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string duration_text(double seconds) {
  const auto s = static_cast<long long>(std::llround(std::max(0.0, seconds)));
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                  : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

ProgressBar::ProgressBar() : terminal_(is_terminal()), colour_(terminal_ && !no_colour()), last_(Clock::now()) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::clear() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

void ProgressBar::line(const std::string& text) {
  clear();
  say(text);
}

void ProgressBar::show(const Progress& p) {
  if (quiet) return;
  if (p.evaluated) return line(describe_evaluation(p));
  const auto now = Clock::now();
  if (terminal_ ? now - last_ < kRedraw : now - last_ < kPlainLine) return;
  last_ = now;
  if (!terminal_) return say(fmt::format("step {}/{}  {}", p.step, p.steps, describe(p)));
  // A wrapped line could not be drawn over: on a narrow terminal the text is cut, on a very narrow one there is no bar.
  const int columns = terminal_columns() - 1,
            percent = static_cast<int>(100 * p.step / std::max<std::int64_t>(1, p.steps));
  std::string bar;
  for (int i = 0; i < kWidth && columns >= 2 * kWidth; ++i) bar += i < kWidth * percent / 100 ? "━" : "─";
  const int left = columns - (bar.empty() ? 0 : kWidth + 1);
  const std::string text = fmt::format("{:3}%  {}", percent, describe(p)).substr(0, std::max(0, left));
  std::fprintf(stderr, "\r\033[K%s%s%s%s%s", colour_ && !bar.empty() ? "\033[36m" : "", bar.c_str(),
               colour_ && !bar.empty() ? "\033[0m" : "", bar.empty() ? "" : " ", text.c_str());
  drawn_ = true;
}

}  // namespace mnemo
