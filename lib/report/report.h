// The result of an evaluation, whatever the task.
#pragma once

#include <optional>
#include <string>

#include "base/json_fwd.h"
#include "measure/metrics.h"

namespace mnemo {

class Report {
 public:
  virtual ~Report() = default;
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

  /// Every metric that is defined on the data, by name.
  virtual Metrics metrics() const = 0;
  /// One of them, by any of its names; nothing if it is not defined.
  virtual std::optional<double> metric(const std::string& name) const {
    const Metrics all = metrics();
    const auto found = all.find(name);
    return found == all.end() ? std::nullopt : std::optional(found->second);
  }
  /// The metric that has the interval, and by which models are compared.
  virtual const std::string& main_metric() const = 0;

  /// Adds a paired test against another model's report on the same data. Throws Error if the two cannot be compared.
  virtual void compare(const Report& other) = 0;

  virtual Json json() const = 0;
  virtual std::string text() const = 0;
  /// The few figures printed at the end of training, one or more lines.
  virtual std::string summary() const = 0;
  /// A self-contained page, with the learning curves of a run's log if there is one; empty if the task has no page.
  virtual std::string page(const std::string& log_file) const = 0;

  std::string model_name, data_name;  ///< as the user named them

 protected:
  Report() = default;
};

}  // namespace mnemo
