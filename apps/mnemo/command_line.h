// The command line as data: commands and their options, declared once. Parsing, messages, help and completions are made
// of it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace mnemo {

/// Where a value goes. What stands there before parsing is the default that help shows; a bool is a flag.
using Place = std::variant<bool*, int*, std::int64_t*, std::uint64_t*, double*, std::string*, std::optional<int>*,
                           std::optional<double>*, std::vector<std::string>*>;

/// An option, or an argument that has its place instead of a name.
struct CommandOption {
  std::string name;   ///< "--top"; of an argument what stands for it in the usage line, "MODEL"
  char letter = 0;    ///< of a short option, 0: none
  std::string value;  ///< what stands for the value in help, "N"; empty: its choices, or none
  Place place;
  std::string help, group;
  std::optional<std::string> default_text;  ///< shown instead of what stands in `place`
  double low = 0, high = 0;                 ///< of numbers; low == high: any
  std::vector<std::string> choices;         ///< empty: any
  std::vector<std::string> needed, excluded;
  bool is_required = false;
  bool* given = nullptr;  ///< told whether it was given

  bool is_argument() const { return name.front() != '-'; }
  bool is_flag() const { return std::holds_alternative<bool*>(place); }
  bool is_list() const { return std::holds_alternative<std::vector<std::string>*>(place); }

  CommandOption& range(double least, double most);
  CommandOption& one_of(std::vector<std::string> values);
  /// Only with this option.
  CommandOption& needs(const std::string& other);
  /// Not together with one of these; that holds both ways.
  CommandOption& excludes(std::initializer_list<const char*> others);
  CommandOption& required();
  /// What help shows as the default where it is not a value: "the cell's".
  CommandOption& by_default(const std::string& text);
  CommandOption& tells(bool& was_given);
};

struct Command {
  std::string name, summary;
  std::vector<std::string> examples;  ///< first in help, a line each
  std::string notes;                  ///< behind the usage line; paragraphs are parted by "\n"
  std::deque<CommandOption> options;  ///< in help's order
  std::deque<Command> commands;       ///< those below it: check, print, ... of config
  std::function<int()> run;           ///< its result is the exit code
  std::string path;                   ///< "mnemo config check"

  Command(const std::string& its_name, const std::string& its_summary)
      : name(its_name), summary(its_summary), path(its_name) {}

  Command& add(const std::string& below, const std::string& its_summary);
  /// The title above the options that are declared next.
  void group(const std::string& title) { group_ = title; }
  /// `names`: "--top", or with a short one "-k,--top".
  CommandOption& option(const std::string& names, const std::string& value, Place place, const std::string& help);
  CommandOption& flag(const std::string& names, bool* place, const std::string& help);
  CommandOption& argument(const std::string& shown, Place place, const std::string& help);

 private:
  std::string group_ = "Options";
};

/// The usage line: "mnemo classify [OPTION]... MODEL [FILE]...".
std::string usage(const Command& command);

/// Runs the command that `arguments` (without the program's name) ask for, or prints the help they ask for; returns the
/// exit code. Throws UsageError that says what was expected, and of a mistyped name the nearest one.
int run_command_line(Command& program, const std::vector<std::string>& arguments);

/// What is said where a command was expected.
std::string missing_command(const Command& command);

/// The options that every command has besides its own.
const std::deque<CommandOption>& help_options();

/// The name that a mistyped one most likely meant: one that begins so, else the nearest.
std::string meant(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace mnemo
