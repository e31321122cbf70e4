// The command line as data: commands and their options, each declared once. Parsing, messages, help and completions
// are derived from the declarations.
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

/// Where a value is stored. Its content before parsing is the default that help shows; a bool is a flag.
using Place = std::variant<bool*, int*, std::int64_t*, std::uint64_t*, double*, std::string*, std::optional<int>*,
                           std::optional<double>*, std::vector<std::string>*>;

/// An option, or a positional argument.
struct CommandOption {
  std::string name;   ///< "--top"; for an argument its placeholder in the usage line, "MODEL"
  char letter = 0;    ///< the short option's; 0: none
  std::string value;  ///< placeholder of the value in help, "N"; empty: its choices, or no value
  Place place;
  std::string help, group;
  std::optional<std::string> default_text;  ///< shown instead of the content of `place`
  double low = 0, high = 0;                 ///< range of numbers; low == high: any
  std::vector<std::string> choices;         ///< empty: any
  std::vector<std::string> needed, excluded;
  bool is_required = false;
  bool is_hidden = false;  ///< accepted, but neither shown nor completed
  bool* given = nullptr;   ///< set to true if the option is given

  bool is_argument() const { return name.front() != '-'; }
  bool is_flag() const { return std::holds_alternative<bool*>(place); }
  bool is_list() const { return std::holds_alternative<std::vector<std::string>*>(place); }

  CommandOption& range(double least, double most);
  CommandOption& one_of(std::vector<std::string> values);
  /// Allowed only together with this option.
  CommandOption& needs(const std::string& other);
  /// Not allowed together with any of these, in either order.
  CommandOption& excludes(std::initializer_list<const char*> others);
  CommandOption& required();
  /// For an option that every command accepts but this one has no use for.
  CommandOption& hidden();
  /// The default as help shows it where it is not simply a value: "the best available".
  CommandOption& by_default(const std::string& text);
  CommandOption& sets_if_given(bool& was_given);
};

struct Command {
  std::string name, summary;
  std::vector<std::string> examples;  ///< first in help, one per line
  std::string notes;                  ///< after the usage line; paragraphs are separated by "\n"
  std::deque<CommandOption> options;  ///< in the order of the help page
  std::deque<Command> commands;       ///< subcommands: check, print, ... of config. One with arguments too, as bench,
                                      ///< takes a first word that is none of the subcommands as an argument
  std::function<int()> run;           ///< its result is the exit code
  std::string path;                   ///< "mnemo config check"

  Command(const std::string& its_name, const std::string& its_summary)
      : name(its_name), summary(its_summary), path(its_name) {}

  Command& add(const std::string& below, const std::string& its_summary);
  /// Sets the title above the options that are declared next.
  void group(const std::string& title) { group_ = title; }
  /// `names`: "--top", or with a short option "-k,--top".
  CommandOption& option(const std::string& names, const std::string& value, Place place, const std::string& help);
  CommandOption& flag(const std::string& names, bool* place, const std::string& help);
  CommandOption& argument(const std::string& shown, Place place, const std::string& help);
  bool has_arguments() const;

 private:
  std::string group_ = "Options";
};

/// The usage line: "mnemo classify [OPTION]... MODEL [FILE]...".
std::string usage(const Command& command);

/// Runs the command that `arguments` (without the program's name) ask for, or prints the help they ask for; returns the
/// exit code. Throws UsageError that says what was expected and, for a mistyped name, which one is nearest.
int run_command_line(Command& program, const std::vector<std::string>& arguments);

/// The message where a command was expected.
std::string missing_command(const Command& command);

/// The options that every command has beside its own.
const std::deque<CommandOption>& help_options();

/// The command that these words name below the program, the program itself for none. Throws UsageError as above.
Command& find_command(Command& program, const std::vector<std::string>& words);

}  // namespace mnemo
