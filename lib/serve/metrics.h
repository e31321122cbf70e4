// What the server counts, in Prometheus' text form.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mnemo {

/// Counts of values up to each of some bounds, as Prometheus' histograms have them.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds) : bounds_(std::move(bounds)), counts_(bounds_.size() + 1) {}
  void add(double value);
  /// The lines of a histogram `name`; `labels`: `route="tag"`, or empty.
  void append(const std::string& name, const std::string& labels, std::string& out) const;

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

/// May be used by any thread.
class Metrics {
 public:
  Metrics();

  /// A request that ended; `code` 0: no whole answer was sent.
  void request(const std::string& route, int code, double seconds);
  /// A batch that a thread has taken, and its tokens.
  void batch(std::int64_t records, std::int64_t tokens);
  /// A text that is begun, to be written unit by unit, and its tokens.
  void begun(std::int64_t tokens);
  /// A record that was answered.
  void answered();
  /// How long a submission waited before its first record was taken.
  void waited(double seconds);
  /// A submission that was not answered, nor will be: "full", "held", "expired", "cancelled", "stopping".
  void rejected(const std::string& reason);
  void reloaded(bool done);

  struct Gauges {
    std::int64_t connections = 0, queued_tokens = 0, queued_requests = 0, streams = 0;
    std::int64_t dropped_lines = 0;  ///< of the access log
    std::int64_t held_bytes = 0;     ///< of bodies and answers
    struct Model {
      std::string name, task, sha256;
    };
    std::vector<Model> models;
  };
  std::string text(const Gauges& gauges) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::uint64_t> requests_;
  std::map<std::string, Histogram> seconds_;
  std::map<std::string, std::uint64_t> rejected_;
  std::uint64_t records_ = 0, tokens_ = 0, reloads_[2] = {0, 0};
  Histogram waited_, batches_;
};

}  // namespace mnemo
