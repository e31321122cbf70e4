// mnemo config: check, print, schema, explain.
#include <cstdio>
#include <memory>

#include "apps/mnemo/commands.h"
#include "config/options.h"
#include "pipeline/network_options.h"

namespace mnemo {
namespace {

struct ConfigOptions {
  int threads = 1;  // taken, as by every command, though there is nothing to share out
  std::string file, key, format = "text";
  std::vector<std::string> sets;
};

void add_file(CLI::App* command, ConfigOptions& o) {
  command->add_option("config", o.file, "Configuration file (JSON)")->required()->type_name("CONFIG.json");
  command->add_option("--set", o.sets, "Override a key")->type_name("KEY=VALUE");
  add_threads(command, o.threads);
}

}  // namespace

void add_config(CLI::App& app, Command& chosen) {
  auto* command = app.add_subcommand("config", "Check, print and explain configurations");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n  mnemo config check my.json\n  mnemo config explain training\n"
      "  mnemo config print my.json --set training.epochs=3\n  mnemo config schema > mnemo.schema.json");
  auto o = std::make_shared<ConfigOptions>();
  auto* check = command->add_subcommand("check", "Say whether a configuration is valid, or list all that is wrong");
  add_file(check, *o);
  check->callback([&chosen, o] {
    chosen = [o] {
      load_model_config(o->file, o->sets);
      std::printf("%s: valid\n", o->file.c_str());
      return 0;
    };
  });
  auto* print = command->add_subcommand("print", "Print the whole configuration, defaults filled in");
  add_file(print, *o);
  print->callback([&chosen, o] {
    chosen = [o] {
      std::puts(config_to_json(load_model_config(o->file, o->sets)).dump(2).c_str());
      return 0;
    };
  });
  auto* schema = command->add_subcommand("schema", "Print the JSON Schema, for editors");
  schema->callback([&chosen] {
    chosen = [] {
      std::puts(config_schema().dump(2).c_str());
      return 0;
    };
  });
  auto* explain_command = command->add_subcommand("explain", "Explain a key, a section, or all keys");
  explain_command->add_option("key", o->key, "Key or section, such as training.epochs or text")->type_name("KEY");
  explain_command->add_option("--format", o->format, "text or markdown")
      ->check(CLI::IsMember({"text", "markdown"}))
      ->capture_default_str();
  explain_command->callback([&chosen, o] {
    chosen = [o] {
      std::fputs(explain(o->key, o->format == "markdown").c_str(), stdout);
      return 0;
    };
  });
}

}  // namespace mnemo
