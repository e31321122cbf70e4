// The tasks that a configuration can name. A new task starts with a row here, then gets its rows in the tables of
// models and tasks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/shown.h"

namespace mnemo {

inline constexpr std::array kTaskNames{"classify", "tag", "generate", "translate"};

/// A set of tasks.
class TaskSet {
 public:
  constexpr TaskSet() = default;  ///< empty
  /// The task of this name, which must be in kTaskNames.
  static consteval TaskSet named(std::string_view name) {
    unsigned place = 0;
    while (name != kTaskNames.at(place)) ++place;
    return TaskSet(1u << place);
  }
  static constexpr TaskSet all() { return TaskSet((1u << kTaskNames.size()) - 1); }

  constexpr TaskSet operator|(TaskSet other) const { return TaskSet(bits_ | other.bits_); }
  constexpr bool operator==(const TaskSet&) const = default;

  constexpr bool has(std::string_view task) const {
    for (unsigned i = 0; i < kTaskNames.size(); ++i)
      if (task == kTaskNames[i]) return (bits_ >> i & 1u) != 0;
    return false;
  }

  /// "tag", "classify and tag", "classify, tag and generate".
  std::string names() const {
    std::vector<std::string> out;
    for (const char* name : kTaskNames)
      if (has(name)) out.emplace_back(name);
    return listed(out, "and");
  }

 private:
  constexpr explicit TaskSet(std::uint32_t bits) : bits_(bits) {}

  std::uint32_t bits_ = 0;
};

inline constexpr TaskSet kClassify = TaskSet::named("classify"), kTag = TaskSet::named("tag"),
                         kGenerate = TaskSet::named("generate"), kTranslate = TaskSet::named("translate");

}  // namespace mnemo
