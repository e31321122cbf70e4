#include "tasks/init.h"

#include "base/error.h"
#include "config/nearest.h"
#include "tasks/draft.h"

namespace mnemo {
namespace {

struct Initialiser {
  const char* task;
  void (*draft)(const Parts&, Draft&);
};

constexpr Initialiser kInitialisers[] = {
    {"classify", draft_classify}, {"tag", draft_tag}, {"generate", draft_generate}};

const Initialiser& initialiser_of(const std::string& task) {
  std::vector<std::string> names;
  for (const Initialiser& initialiser : kInitialisers) {
    if (task == initialiser.task) return initialiser;
    names.emplace_back(initialiser.task);
  }
  throw UsageError(fmt::format("{}: unknown task; the nearest is {}", task, nearest(task, names)));
}

// A path, or a list where there are several.
Json paths_json(const std::vector<std::string>& paths) { return paths.size() == 1 ? Json(paths.front()) : Json(paths); }

}  // namespace

Proposal propose(const std::string& task, const std::vector<std::string>& paths) {
  const Initialiser& initialiser = initialiser_of(task);
  const Parts parts = find_parts(paths);
  Draft draft;
  draft.set("task", task);
  draft.set("data.train", paths_json(parts.train));
  if (!parts.dev.empty()) draft.set("data.dev", paths_json(parts.dev), "from the name of the file");
  if (!parts.test.empty()) draft.set("data.test", paths_json(parts.test), "from the name of the file");
  initialiser.draft(parts, draft);
  draft.set("output.dir", "run");
  draft.config();  // throws if the draft is not a valid configuration
  return {draft.text(), draft.reasons()};
}

}  // namespace mnemo
