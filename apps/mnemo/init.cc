// mnemo init: proposes a configuration for the user's files.
#include "tasks/init.h"

#include <memory>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/data_options.h"
#include "apps/mnemo/terminal.h"
#include "config/tasks.h"

namespace mnemo {
namespace {

struct InitOptions {
  int threads = 1;  // accepted, as by every command, but without effect
  std::string task;
  std::vector<std::string> data;
  std::string invalid_utf8 = "error";
};

int run_init(const InitOptions& o) {
  const Proposal proposal = propose(o.task, o.data, *invalid_utf8_from_name(o.invalid_utf8));
  for (const std::string& reason : proposal.reasons) say(reason);
  if (o.invalid_utf8 != "error") say(fmt::format("give --invalid-utf8 {} to train, too", o.invalid_utf8));
  put(proposal.config);
  return 0;
}

}  // namespace

void add_init(Command& program) {
  Command& command = program.add("init", "write a configuration that suits your files");
  command.examples = {"mnemo init classify reviews.csv > my.json && mnemo train my.json",
                      "mnemo init tag train.conll dev.conll test.conll > my.json",
                      "mnemo init generate corpus.txt > my.json"};
  command.notes =
      "Looks at format, columns, labels, script and size. A file with a word such as dev, validation, test or eval in "
      "its name is used for that, all others for train; a folder stands for the files in it with such names or train, "
      "or for the only one without if none is for train. The reason for each choice goes to standard error. Paths are "
      "written as given and are relative to the configuration file: keep it where you called "
      "mnemo.";
  auto o = std::make_shared<InitOptions>();
  command.argument("TASK", &o->task, "Task of the model").one_of({kTaskNames.begin(), kTaskNames.end()}).required();
  command.argument("DATA", &o->data, "Files, or a folder").required();
  add_invalid_utf8(command, o->invalid_utf8, "Bytes that are not UTF-8");
  add_running(command, o->threads).hidden();
  command.run = [o] { return run_init(*o); };
}

}  // namespace mnemo
