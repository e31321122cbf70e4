// The tasks that a configuration can name. A new one is a row here, before its rows in the tables of models and tasks.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace mnemo {

inline constexpr std::array kTaskNames{"classify", "tag", "generate"};

/// Some of the tasks.
class TaskSet {
 public:
  /// The task at this place of kTaskNames.
  static constexpr TaskSet of(unsigned place) { return TaskSet(1u << place); }
  static constexpr TaskSet all() { return TaskSet((1u << kTaskNames.size()) - 1); }

  constexpr TaskSet operator|(TaskSet other) const { return TaskSet(bits_ | other.bits_); }
  constexpr bool operator==(const TaskSet&) const = default;

  constexpr bool has(std::string_view task) const {
    for (unsigned i = 0; i < kTaskNames.size(); ++i)
      if (task == kTaskNames[i]) return (bits_ >> i & 1u) != 0;
    return false;
  }

  /// "tag", "classify and tag".
  std::string names() const {
    std::string out;
    for (const char* name : kTaskNames)
      if (has(name)) out += (out.empty() ? "" : " and ") + std::string(name);
    return out;
  }

 private:
  constexpr explicit TaskSet(std::uint32_t bits) : bits_(bits) {}

  std::uint32_t bits_;
};

inline constexpr TaskSet kClassify = TaskSet::of(0), kTag = TaskSet::of(1), kGenerate = TaskSet::of(2);

}  // namespace mnemo
