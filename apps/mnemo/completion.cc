// mnemo completion: scripts that let a shell complete commands, options and their values. All are generated from the
// declared commands, so that they cannot lag behind them. bash finds the current command by a table of command paths,
// zsh gets one function per command, fish one line per option with the condition under which it is offered.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/terminal.h"

namespace mnemo {
namespace {

struct CompletionOptions {
  std::string shell;
};

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

std::string joined(const std::vector<std::string>& words, std::string_view between = " ") {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : std::string(between)) + word;
  return out;
}

// Whether the value is the name of a file or folder.
bool is_path(const CommandOption& o) {
  for (const char* start : {"FILE", "FOLDER", "MODEL", "DATA", "CONFIG", "CORPUS"})
    if (o.value.starts_with(start)) return true;
  return false;
}

std::vector<CommandOption> options_of(const Command& command) {
  std::vector<CommandOption> out;
  for (const std::deque<CommandOption>* options : {&command.options, &help_options()})
    for (const CommandOption& o : *options)
      if (!o.is_argument() && !o.is_hidden) out.push_back(o);
  return out;
}

std::vector<CommandOption> arguments_of(const Command& command) {
  std::vector<CommandOption> out;
  for (const CommandOption& o : command.options)
    if (o.is_argument()) out.push_back(o);
  return out;
}

std::vector<std::string> names_of(const std::deque<Command>& commands) {
  std::vector<std::string> out;
  out.reserve(commands.size());
  for (const Command& command : commands) out.push_back(command.name);
  return out;
}

// "" for the program, "config check" for mnemo config check.
std::string below_program(const Command& command) {
  const std::size_t blank = command.path.find(' ');
  return blank == std::string::npos ? "" : command.path.substr(blank + 1);
}

// The command whose arguments are the program's own commands: after it, words are completed as if it were not there.
bool is_help(const Command& command) { return command.path == "mnemo help"; }

// Calls `use` with the command and all below it but help.
template <class Use>
void for_all(const Command& command, const Use& use) {
  use(command);
  for (const Command& below : command.commands)
    if (!is_help(below)) for_all(below, use);
}

// The candidates for a word without dashes, files aside.
std::string bash_words(const Command& command) {
  std::vector<std::string> words = names_of(command.commands);
  for (const CommandOption& o : arguments_of(command)) words.insert(words.end(), o.choices.begin(), o.choices.end());
  return joined(words);
}

std::string bash_script(const Command& program) {
  std::string path, words, values;
  for_all(program, [&](const Command& command) {
    const std::string name = below_program(command);
    for (const Command& below : command.commands)
      if (!is_help(below))
        path += fmt::format("      '{} {}') command='{}' ;;\n", name, below.name, below_program(below));
    std::vector<std::string> names;
    for (const CommandOption& o : options_of(command)) {
      names.push_back(o.name);
      const std::string letter = o.letter ? fmt::format(" | '{} -{}'", name, o.letter) : "";
      if (!o.choices.empty())
        values += fmt::format("    '{} {}'{}) words='{}' ;;\n", name, o.name, letter, joined(o.choices));
      else if (!o.is_flag())
        values += fmt::format("    '{} {}'{}) return ;;\n", name, o.name, letter);
    }
    words += fmt::format("    '{}') options='{}' words='{}' ;;\n", name, joined(names), bash_words(command));
  });
  return "# Completion for bash: source <(mnemo completion bash)\n_mnemo() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD - 1]}\"\n"
         "  local command='' options='' words='' word\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD - 1}\"; do\n    case \"$command $word\" in\n" +
         path + "    esac\n  done\n  case \"$command\" in\n" + words + "  esac\n  case \"$command $previous\" in\n" +
         values +
         "  esac\n  [[ \"$current\" == -* ]] && words=\"$options\"\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n}\n"
         // Files where there are no candidates.
         "complete -o default -F _mnemo mnemo\n";
}

std::string zsh_function(const Command& command) { return "_" + replaced(command.path, " ", "_"); }

std::string zsh_text(const std::string& text) {
  std::string out = replaced(text, "\\", "\\\\");
  for (const char* mark : {"[", "]", ":"}) out = replaced(out, mark, std::string("\\") + mark);
  return replaced(out, "'", "'\\''");
}

std::string zsh_value(const CommandOption& o) {
  if (o.is_flag()) return "";
  const std::string action = !o.choices.empty() ? "(" + joined(o.choices) + ")" : is_path(o) ? "_files" : " ";
  return ":" + zsh_text(o.value.empty() ? "value" : o.value) + ":" + action;
}

std::string zsh_option(const CommandOption& o) {
  const std::string text = "[" + zsh_text(o.help) + "]" + zsh_value(o);
  const std::string often = o.is_list() ? "*" : "";
  if (!o.letter) return fmt::format("    '{}{}{}' \\\n", often, o.name, text);
  const std::string once = o.is_list() ? often : fmt::format("(-{} {})", o.letter, o.name);
  return fmt::format("    '{}'{{-{},{}}}'{}' \\\n", once, o.letter, o.name, text);
}

std::string zsh_script(const Command& program) {
  std::string out = "#compdef mnemo\n# Completion for zsh: source <(mnemo completion zsh), after compinit\n";
  for_all(program, [&](const Command& command) {
    out += zsh_function(command) + "() {\n  local line state\n  _arguments -C \\\n";
    for (const CommandOption& o : options_of(command)) out += zsh_option(o);
    int place = 0;
    std::string choices;  // of the first argument, which share its place with commands
    for (const CommandOption& o : arguments_of(command))
      if (!command.commands.empty())
        for (const std::string& choice : o.choices) choices += choice + " ";
      else
        out += fmt::format("    '{}{}' \\\n", o.is_list() ? "*" : std::to_string(++place), zsh_value(o));
    if (command.commands.empty()) {
      out += "    && return\n}\n";
      return;
    }
    out += "    '1:command:((";
    for (const Command& below : command.commands)
      out += fmt::format("{}\\:\"{}\" ", below.name, zsh_text(below.summary));
    out += choices + "))' '*::argument:->rest'\n  [[ \"$state\" == rest ]] || return\n  case \"$line[1]\" in\n";
    for (const Command& below : command.commands)
      out += fmt::format("    {}) {} ;;\n", below.name, zsh_function(is_help(below) ? program : below));
    out += "  esac\n}\n";
  });
  return out + "if [[ \"$funcstack[1]\" == _mnemo ]]; then _mnemo \"$@\"; else compdef _mnemo mnemo; fi\n";
}

std::string fish_text(const std::string& text) { return replaced(replaced(text, "\\", "\\\\"), "'", "\\'"); }

// The condition under which a command's options are offered: all words of its path have been typed, and none of a
// command below it.
std::string fish_condition(const Command& command) {
  std::string out;
  const std::string path = below_program(command);
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find(' ', at), path.size());
    out += (out.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + path.substr(at, end - at));
    at = end + 1;
  }
  if (command.commands.empty()) return out;
  std::vector<std::string> names;
  names.reserve(command.commands.size());
  for (const Command& below : command.commands)
    if (!is_help(below)) names.push_back(below.name);
  return out + (out.empty() ? "" : "; and ") + "not __fish_seen_subcommand_from " + joined(names);
}

std::string fish_script(const Command& program) {
  std::string out = "# Completion for fish: mnemo completion fish | source\ncomplete -c mnemo -f\n";
  for_all(program, [&](const Command& command) {
    const std::string start = fmt::format("complete -c mnemo -n '{}'", fish_condition(command));
    for (const Command& below : command.commands)
      out += fmt::format("{} -a {} -d '{}'\n", start, below.name, fish_text(below.summary));
    for (const CommandOption& o : arguments_of(command))
      out += start + (o.choices.empty() ? " -F\n" : fmt::format(" -a '{}'\n", joined(o.choices)));
    for (const CommandOption& o : options_of(command)) {
      out += start + (o.letter ? fmt::format(" -s {}", o.letter) : "") + " -l " + o.name.substr(2);
      if (!o.choices.empty())
        out += fmt::format(" -x -a '{}'", joined(o.choices));
      else if (!o.is_flag())
        out += is_path(o) ? " -r -F" : " -x";
      out += fmt::format(" -d '{}'\n", fish_text(o.help));
    }
  });
  return out;
}

}  // namespace

void add_completion(Command& program) {
  Command& command = program.add("completion", "print a script by which a shell completes commands and options");
  command.examples = {"source <(mnemo completion bash)   # in ~/.bashrc",
                      "source <(mnemo completion zsh)    # in ~/.zshrc, after compinit",
                      "mnemo completion fish > ~/.config/fish/completions/mnemo.fish"};
  auto o = std::make_shared<CompletionOptions>();
  command.argument("SHELL", &o->shell, "The shell").one_of({"bash", "zsh", "fish"}).required();
  command.run = [o, &program] {
    put(o->shell == "bash" ? bash_script(program) : o->shell == "zsh" ? zsh_script(program) : fish_script(program));
    return 0;
  };
}

}  // namespace mnemo
