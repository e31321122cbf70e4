// Widths are counted in columns of a terminal rather than bytes, since the names of poem forms are Chinese. While lines
// are broken, the blanks of a short default are kept as \x1F, so that "(default: 32)" is never split.
#include "apps/mnemo/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/terminal.h"
#include "base/shown.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr std::size_t kWidestName = 24;  // in the left column; a wider entry has its text on the next line
constexpr std::size_t kLongestUnbroken = 24;
constexpr char kKept = '\x1F';  // a blank at which lines are not broken

// Columns on a terminal: two for East Asian characters, the only wide ones in help.
std::size_t columns(std::string_view text) {
  std::size_t out = 0;
  for (std::size_t at = 0; at < text.size(); at += utf8_length(text[at]))
    out += decode_utf8(&text[at]).value < 0x2E80 ? 1 : 2;
  return out;
}

// Appends words to `out`, whose last line has `used` columns, and begins lines with `indent` blanks.
void wrap(std::string& out, std::size_t used, std::string_view text, std::size_t indent, std::size_t width) {
  bool first = true;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
    const std::string_view word = text.substr(at, end - at);
    const std::size_t needed = columns(word);
    if (!first && used + 1 + needed > width) {
      out += "\n" + std::string(indent, ' ');
      used = indent;
      first = true;
    }
    out += (first ? "" : " ") + std::string(word);
    std::replace(out.end() - static_cast<std::ptrdiff_t>(word.size()), out.end(), kKept, ' ');
    used += needed + (first ? 0 : 1);
    first = false;
    if (end < text.size() && text[end] == '\n') {
      out += "\n" + std::string(indent, ' ');
      used = indent;
      first = true;
    }
    at = end + 1;
  }
  out += "\n";
}

std::string joined_names(const std::vector<std::string>& words, std::string_view between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : std::string(between)) + word;
  return out;
}

std::string left_column(const CommandOption& o) {
  if (o.is_argument()) return o.name + (o.is_list() ? "..." : "");
  std::string out = o.letter ? std::string{'-', o.letter, ','} + " " + o.name : "    " + o.name;
  if (o.is_flag()) return out;
  return out + " " + (o.value.empty() ? joined_names(o.choices, "|") : o.value);
}

struct ShowDefault {
  std::string operator()(const bool*) const { return ""; }
  std::string operator()(const int* value) const { return std::to_string(*value); }
  std::string operator()(const std::int64_t* value) const { return std::to_string(*value); }
  std::string operator()(const std::uint64_t* value) const { return std::to_string(*value); }
  std::string operator()(const double* value) const { return fmt::format("{}", *value); }
  std::string operator()(const std::string* value) const { return *value; }
  std::string operator()(const std::optional<int>* value) const { return *value ? std::to_string(**value) : ""; }
  std::string operator()(const std::optional<double>* value) const { return *value ? fmt::format("{}", **value) : ""; }
  std::string operator()(const std::vector<std::string>*) const { return ""; }
};

std::string right_column(const CommandOption& o) {
  std::string out = o.help;
  if (!o.value.empty() && !o.choices.empty()) out += ": " + listed(o.choices, "or");
  const std::string shown = o.default_text ? *o.default_text : std::visit(ShowDefault(), o.place);
  if (shown.empty()) return out;
  std::string note = "(default: " + shown + ")";
  if (note.size() <= kLongestUnbroken) std::replace(note.begin(), note.end(), ' ', kKept);
  return out + " " + note;
}

std::size_t left_width(const std::deque<CommandOption>& options) {
  std::size_t out = 0;
  for (const CommandOption& o : options)
    if (const std::size_t needed = columns(left_column(o)); needed <= kWidestName) out = std::max(out, needed);
  return out;
}

void append_row(std::string& out, const std::string& left, const std::string& right, std::size_t left_columns,
                std::size_t width) {
  const std::size_t indent = 2 + left_columns + 2, needed = 2 + columns(left);
  out += "  " + left;
  out += needed + 2 <= indent ? std::string(indent - needed, ' ') : "\n" + std::string(indent, ' ');
  wrap(out, indent, right, indent, width);
}

std::vector<std::string> groups_of(const std::deque<CommandOption>& options) {
  std::vector<std::string> out;
  for (const CommandOption& o : options)
    if (std::find(out.begin(), out.end(), o.group) == out.end()) out.push_back(o.group);
  return out;
}

void append_options(std::string& out, const Command& command, std::size_t width) {
  std::deque<CommandOption> all;
  std::ranges::remove_copy_if(command.options, std::back_inserter(all), &CommandOption::is_hidden);
  for (CommandOption o : help_options()) {
    if (!command.options.empty() && !command.options.back().is_argument()) o.group = command.options.back().group;
    all.push_back(o);
  }
  const std::size_t left = left_width(all);
  for (const std::string& group : groups_of(all)) {
    out += "\n" + group + ":\n";
    for (const CommandOption& o : all)
      if (o.group == group) append_row(out, left_column(o), right_column(o), left, width);
  }
}

void append_commands(std::string& out, const Command& command, std::size_t width) {
  if (command.commands.empty()) return;
  std::size_t left = 0;
  for (const Command& below : command.commands) left = std::max(left, below.name.size());
  out += "\nCommands:\n";
  for (const Command& below : command.commands) append_row(out, below.name, below.summary, left, width);
}

}  // namespace

std::string help_page(const Command& command, std::size_t width) {
  std::string out;
  wrap(out, 0, command.path + ": " + command.summary, 0, width);
  if (!command.examples.empty()) out += "\nExamples:\n";
  for (const std::string& example : command.examples) out += "  " + example + "\n";
  out += "\n";
  wrap(out, 0, "Usage: " + usage(command), 7, width);
  if (!command.notes.empty()) {
    out += "\n";
    wrap(out, 0, command.notes, 0, width);
  }
  append_commands(out, command, width);
  append_options(out, command, width);
  return out;
}

void add_help(Command& program) {
  Command& command = program.add("help", "show how a command is used");
  command.examples = {"mnemo help train", "mnemo help config explain"};
  auto words = std::make_shared<std::vector<std::string>>();
  command.argument("COMMAND", words.get(), "Command and, for config, the command below it")
      .by_default("the list of commands");
  command.run = [words, &program] {
    put(help_page(find_command(program, *words), page_width()));
    return 0;
  };
}

std::size_t page_width() { return std::clamp<std::size_t>(answer_columns(80), 40, 100); }

}  // namespace mnemo
