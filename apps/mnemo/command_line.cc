// CLI11 only splits the words of a command line into options and arguments (`split`). Types, ranges, choices and
// combinations are checked here against the declared options, so that all messages have one form and only this file
// bears the cost of compiling CLI11.
#include "apps/mnemo/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <string_view>

#include "apps/mnemo/help.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/shown.h"
#include "config/nearest.h"

namespace mnemo {

CommandOption& CommandOption::range(double least, double most) {
  low = least;
  high = most;
  return *this;
}

CommandOption& CommandOption::one_of(std::vector<std::string> values) {
  choices = std::move(values);
  return *this;
}

CommandOption& CommandOption::needs(const std::string& other) {
  needed.push_back(other);
  return *this;
}

CommandOption& CommandOption::excludes(std::initializer_list<const char*> others) {
  excluded.insert(excluded.end(), others.begin(), others.end());
  return *this;
}

CommandOption& CommandOption::required() {
  is_required = true;
  return *this;
}

CommandOption& CommandOption::hidden() {
  is_hidden = true;
  return *this;
}

CommandOption& CommandOption::by_default(const std::string& text) {
  default_text = text;
  return *this;
}

CommandOption& CommandOption::sets_if_given(bool& was_given) {
  given = &was_given;
  return *this;
}

Command& Command::add(const std::string& below, const std::string& its_summary) {
  Command& command = commands.emplace_back(below, its_summary);
  command.path = path + " " + below;
  return command;
}

CommandOption& Command::option(const std::string& names, const std::string& value, Place place,
                               const std::string& help) {
  CommandOption& option = options.emplace_back();
  const bool has_letter = names[1] != '-';
  option.letter = has_letter ? names[1] : '\0';
  option.name = has_letter ? names.substr(3) : names;
  option.value = value;
  option.place = place;
  option.help = help;
  option.group = group_;
  return option;
}

bool Command::has_arguments() const { return std::ranges::any_of(options, &CommandOption::is_argument); }

CommandOption& Command::flag(const std::string& names, bool* place, const std::string& help) {
  return option(names, "", place, help);
}

CommandOption& Command::argument(const std::string& shown, Place place, const std::string& help) {
  CommandOption& option = options.emplace_back();
  option.name = option.value = shown;
  option.place = place;
  option.help = help;
  option.group = "Arguments";
  return option;
}

std::string usage(const Command& command) {
  std::string out = command.path;
  if (!command.commands.empty() && !command.has_arguments()) return out + " COMMAND [OPTION]...";
  out += " [OPTION]...";
  for (const CommandOption& o : command.options) {
    if (o.is_required && !o.is_argument()) out += " " + o.name + " " + o.value;
    if (o.is_argument()) out += (o.is_required ? " " + o.name : " [" + o.name + "]") + (o.is_list() ? "..." : "");
  }
  for (const Command& below : command.commands) out += ", or " + usage(below);
  return out;
}

namespace {

// The name most likely meant by a mistyped one: a name that begins with it, else the nearest; empty if none is near.
std::string meant(const std::string& name, const std::vector<std::string>& candidates) {
  const bool has_letters = name.find_first_not_of('-') != std::string::npos;
  for (const std::string& candidate : candidates)
    if (has_letters && candidate.starts_with(name)) return candidate;
  return nearest_if_near(name, candidates);
}

std::string manual(const Command& command) {
  const std::size_t blank = command.path.find(' ');
  return blank == std::string::npos ? "mnemo help" : "mnemo help" + command.path.substr(blank);
}

// Refuses a name that is none of the candidates.
[[noreturn]] void refuse_unknown(const std::string& name, const char* kind, const std::vector<std::string>& candidates,
                                 const Command& command) {
  const std::string near = meant(name, candidates);
  throw UsageError(fmt::format("{}: unknown {}{} ({} lists all)", shown(name), kind,
                               near.empty() ? "" : "; the nearest is " + near, manual(command)));
}

// The admissible values of an option, in words.
std::string expected(const CommandOption& o, std::string_view kind) {
  if (o.low == o.high) return std::string(kind);
  return fmt::format("{} from {} to {}", kind, o.low, o.high);
}

std::string whole(const CommandOption& o) {
  if (o.low == o.high) return "a whole number";
  return fmt::format("a whole number from {:.0f} to {:.0f}", o.low, o.high);
}

[[noreturn]] void refuse(const CommandOption& o, const std::string& wanted, const std::string& found) {
  throw UsageError(fmt::format("{}: expected {}, found \"{}\"", o.name, wanted, shown(found)));
}

template <class Number>
Number number(const CommandOption& o, const std::string& text, const std::string& wanted) {
  Number value{};
  const char* const begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  const auto in_range = [&](double v) { return o.low == o.high ? std::isfinite(v) : v >= o.low && v <= o.high; };
  if (error != std::errc() || stop != end || !in_range(static_cast<double>(value))) refuse(o, wanted, text);
  return value;
}

// Parses a value and stores it in its place.
struct Store {
  const CommandOption& option;
  const std::string& text;

  void operator()(bool* to) const { *to = true; }
  void operator()(int* to) const { *to = number<int>(option, text, whole(option)); }
  void operator()(std::int64_t* to) const { *to = number<std::int64_t>(option, text, whole(option)); }
  void operator()(std::uint64_t* to) const { *to = number<std::uint64_t>(option, text, whole(option)); }
  void operator()(double* to) const { *to = number<double>(option, text, expected(option, "a number")); }
  void operator()(std::string* to) const { *to = text; }
  void operator()(std::optional<int>* to) const { *to = number<int>(option, text, whole(option)); }
  void operator()(std::optional<double>* to) const { *to = number<double>(option, text, expected(option, "a number")); }
  void operator()(std::vector<std::string>* to) const { to->push_back(text); }
};

void store(const CommandOption& o, const std::vector<std::string>& values) {
  if (values.size() > 1 && !o.is_list() && !o.is_flag())
    throw UsageError(fmt::format("{}: expected once, found {} times", o.name, values.size()));
  for (const std::string& value : values) {
    if (o.is_flag() && value != "true") throw UsageError(fmt::format("{}: takes no value", o.name));
    if (!o.choices.empty() && std::find(o.choices.begin(), o.choices.end(), value) == o.choices.end())
      refuse(o, listed(o.choices, "or"), value);
    std::visit(Store{o, value}, o.place);
  }
  if (o.given) *o.given = true;
}

using Values = std::map<std::string, std::vector<std::string>>;  // of the given options, by name

void check_together(const CommandOption& o, const Values& values) {
  for (const std::string& other : o.needed)
    if (!values.contains(other)) throw UsageError(fmt::format("{}: only with {}", o.name, other));
  for (const std::string& other : o.excluded)
    if (values.contains(other)) throw UsageError(fmt::format("{}: not together with {}", o.name, other));
}

// Refuses a word that the command does not expect: a mistyped option, or one argument too many.
[[noreturn]] void refuse_extra(const Command& command, const std::string& extra) {
  if (extra.size() < 2 || extra.front() != '-')
    throw UsageError(
        fmt::format("{}: one argument too many; usage: {} ({})", shown(extra), usage(command), manual(command)));
  const std::string typed = extra.substr(0, extra.find('='));
  if (typed[1] != '-')
    throw UsageError(fmt::format("{}: unknown option ({} lists all)", shown(typed), manual(command)));
  std::vector<std::string> names;
  for (const std::deque<CommandOption>* options : {&command.options, &help_options()})
    for (const CommandOption& o : *options)
      if (!o.is_argument() && !o.is_hidden) names.push_back(o.name);
  refuse_unknown(typed, "option", names, command);
}

// Splits the words of the command line into the values of options; none if a page of help is asked for. The only use of
// CLI11: it handles long and short names, joined short ones, `--name=value`, `--` and the remaining arguments.
std::optional<Values> split(const Command& command, const std::vector<std::string>& words) {
  CLI::App app;
  app.set_help_flag("");
  app.allow_extras();
  std::map<std::string, CLI::Option*> taken;
  for (const std::deque<CommandOption>* options : {&command.options, &help_options()})
    for (const CommandOption& o : *options) {
      const std::string names = o.is_argument() ? "argument" + std::to_string(taken.size())
                                                : (o.letter ? std::string{'-', o.letter, ','} : std::string()) + o.name;
      const auto keep = [](const CLI::results_t&) { return true; };
      CLI::Option* option = o.is_flag() ? app.add_flag(names) : app.add_option(names, keep);
      if (o.is_argument() && o.is_list())
        option->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args();
      else if (!o.is_flag())
        option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
      if (!o.is_flag() && !o.is_argument()) option->allow_extra_args(false);
      taken.emplace(o.name, option);
    }
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ArgumentMismatch&) {
    throw UsageError(fmt::format("{}: expected a value after it ({})", shown(words.back()), manual(command)));
  } catch (const CLI::ParseError& error) {
    throw UsageError(fmt::format("{} ({})", shown(error.what()), manual(command)));
  }
  if (taken.at("--help")->count() > 0) return std::nullopt;
  if (const auto extras = app.remaining(); !extras.empty()) refuse_extra(command, extras.front());
  Values values;
  for (const auto& [name, option] : taken)
    if (option->count() > 0) values.emplace(name, option->results());
  return values;
}

// False if a page of help is asked for.
bool parse(const Command& command, const std::vector<std::string>& words) {
  const std::optional<Values> values = split(command, words);
  if (!values) return false;
  for (const CommandOption& o : command.options)
    if (const auto found = values->find(o.name); found != values->end()) store(o, found->second);
  for (const CommandOption& o : command.options) {
    if (values->contains(o.name))
      check_together(o, *values);
    else if (o.is_required)
      throw UsageError(fmt::format("{} is missing; usage: {} ({})", o.name, usage(command), manual(command)));
  }
  return true;
}

std::vector<std::string> names_below(const Command& command) {
  std::vector<std::string> out;
  out.reserve(command.commands.size());
  for (const Command& below : command.commands) out.push_back(below.name);
  return out;
}

// Null if there is none of this name.
Command* match_below(Command& command, const std::string& name) {
  for (Command& below : command.commands)
    if (below.name == name) return &below;
  return nullptr;
}

Command& find_below(Command& command, const std::string& name) {
  if (Command* const below = match_below(command, name)) return *below;
  refuse_unknown(name, "command", names_below(command), command);
}

}  // namespace

std::string missing_command(const Command& command) {
  return fmt::format("a command is missing: {} ({})", listed(names_below(command), "or"), manual(command));
}

const std::deque<CommandOption>& help_options() {
  static bool unused = false;
  static const std::deque<CommandOption> options = [] {
    Command every("", "");
    every.flag("-h,--help", &unused, "Show this page");
    return every.options;
  }();
  return options;
}

Command& find_command(Command& program, const std::vector<std::string>& words) {
  Command* command = &program;
  for (const std::string& word : words) {
    if (command->commands.empty())
      throw UsageError(
          fmt::format("{}: {} has no commands below it ({})", shown(word), command->path, manual(*command)));
    command = &find_below(*command, word);
  }
  return *command;
}

int run_command_line(Command& program, const std::vector<std::string>& arguments) {
  Command* command = &program;
  auto at = arguments.begin();
  while (!command->commands.empty() && at != arguments.end() && !at->starts_with('-')) {
    // A word that is none of the commands may be an argument.
    if (command->has_arguments() && !match_below(*command, *at)) break;
    command = &find_below(*command, *at++);
  }
  if (!parse(*command, {at, arguments.end()})) {
    put(help_page(*command, page_width()));
    return 0;
  }
  if (!command->run) throw UsageError(missing_command(*command));
  return command->run();
}

}  // namespace mnemo
