#include "tasks/init.h"

#include <fmt/format.h>

#include "base/shown.h"
#include "tasks/draft.h"
#include "tasks/task.h"

namespace mnemo {
namespace {

// A path, or a list where there are several.
Json paths_json(const std::vector<std::string>& paths) { return paths.size() == 1 ? Json(paths.front()) : Json(paths); }

}  // namespace

Proposal propose(const std::string& task, const std::vector<std::string>& paths, InvalidUtf8 invalid_utf8) {
  const Task& chosen = task_named(task);
  PartFiles parts = find_parts(paths);
  parts.invalid_utf8 = invalid_utf8;
  Draft draft;
  draft.set("task", task);
  draft.set("data.train", paths_json(parts.train), "whatever is not for dev or test");
  if (!parts.dev.empty()) draft.set("data.dev", paths_json(parts.dev), "from the name of the file");
  if (!parts.test.empty()) draft.set("data.test", paths_json(parts.test), "from the name of the file");
  if (!parts.left_out.empty())
    draft.note(
        fmt::format("left out, as their names do not say what they are for: {}", abridged(parts.left_out, 10, ", ")));
  chosen.draft(parts, draft);
  draft.set("output.dir", "run");
  draft.config();  // throws if the draft is not a valid configuration
  return {draft.text(), draft.reasons()};
}

}  // namespace mnemo
