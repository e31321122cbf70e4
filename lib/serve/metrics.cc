#include "serve/metrics.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace mnemo {
namespace {

const std::vector<double> kSecondBounds{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
const std::vector<double> kRecordBounds{1, 2, 4, 8, 16, 32, 64, 128, 256};

const double kStarted = static_cast<double>(std::time(nullptr));

// A value of a label as the text form wants it.
std::string label_value(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

void head(std::string& out, const char* name, const char* type, const char* help) {
  fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

template <class Value>
void single(std::string& out, const char* name, const char* type, const char* help, Value value) {
  head(out, name, type, help);
  fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
}

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

std::int64_t open_files() {
  std::error_code error;
  std::int64_t out = 0;
  for (auto at = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error))
    ++out;
  return out;
}

void append_process(std::string& out) {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  single(out, "process_cpu_seconds_total", "counter", "Processor time.",
         seconds(used.ru_utime) + seconds(used.ru_stime));
  single(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
  single(out, "process_open_fds", "gauge", "Open files.", open_files());
  single(out, "process_start_time_seconds", "gauge", "Start, in seconds since 1970.", kStarted);
}

}  // namespace

void Histogram::add(double value) {
  const auto place = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  ++counts_[static_cast<std::size_t>(place)];
  ++count_;
  sum_ += value;
}

void Histogram::append(const std::string& name, const std::string& labels, std::string& out) const {
  std::uint64_t sum = 0;
  const std::string before = labels.empty() ? "" : labels + ",", all = labels.empty() ? "" : "{" + labels + "}";
  for (std::size_t i = 0; i < bounds_.size(); ++i) {
    sum += counts_[i];
    fmt::format_to(std::back_inserter(out), "{}_bucket{{{}le=\"{}\"}} {}\n", name, before, bounds_[i], sum);
  }
  fmt::format_to(std::back_inserter(out), "{0}_bucket{{{1}le=\"+Inf\"}} {2}\n{0}_sum{3} {4}\n{0}_count{3} {2}\n", name,
                 before, count_, all, sum_);
}

Metrics::Metrics() : waited_(kSecondBounds), batches_(kRecordBounds) {}

void Metrics::request(const std::string& route, int code, double seconds) {
  const std::lock_guard lock(mutex_);
  ++requests_[{route, code}];
  seconds_.try_emplace(route, kSecondBounds).first->second.add(seconds);
}

void Metrics::batch(std::int64_t records, std::int64_t tokens) {
  const std::lock_guard lock(mutex_);
  batches_.add(static_cast<double>(records));
  tokens_ += static_cast<std::uint64_t>(tokens);
}

void Metrics::begun(std::int64_t tokens) {
  const std::lock_guard lock(mutex_);
  tokens_ += static_cast<std::uint64_t>(tokens);
}

void Metrics::answered() {
  const std::lock_guard lock(mutex_);
  ++records_;
}

void Metrics::waited(double seconds) {
  const std::lock_guard lock(mutex_);
  waited_.add(seconds);
}

void Metrics::rejected(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  ++rejected_[reason];
}

void Metrics::reloaded(bool done) {
  const std::lock_guard lock(mutex_);
  ++reloads_[done ? 1 : 0];
}

std::string Metrics::text(const Gauges& gauges) const {
  std::string out;
  const auto line = std::back_inserter(out);
  const std::lock_guard lock(mutex_);
  head(out, "mnemo_requests_total", "counter", "Requests by route and status; 0: no whole answer was sent.");
  for (const auto& [key, count] : requests_)
    fmt::format_to(line, "mnemo_requests_total{{route=\"{}\",code=\"{}\"}} {}\n", key.first, key.second, count);
  head(out, "mnemo_request_seconds", "histogram", "Time of a request from its first line to its end.");
  for (const auto& [route, seconds] : seconds_)
    seconds.append("mnemo_request_seconds", fmt::format("route=\"{}\"", route), out);
  head(out, "mnemo_queue_seconds", "histogram", "Time that a request waited for a worker.");
  waited_.append("mnemo_queue_seconds", "", out);
  head(out, "mnemo_batch_records", "histogram", "Texts of a batch.");
  batches_.append("mnemo_batch_records", "", out);
  single(out, "mnemo_records_total", "counter", "Texts answered.", records_);
  single(out, "mnemo_tokens_total", "counter", "Tokens of the texts answered, as the queue counts them.", tokens_);
  head(out, "mnemo_rejected_total", "counter", "Requests that were not answered, by reason.");
  for (const auto& [reason, count] : rejected_)
    fmt::format_to(line, "mnemo_rejected_total{{reason=\"{}\"}} {}\n", reason, count);
  head(out, "mnemo_reloads_total", "counter", "Models loaded again on SIGHUP, or left as they were.");
  for (const int done : {0, 1})
    fmt::format_to(line, "mnemo_reloads_total{{result=\"{}\"}} {}\n", done == 1 ? "loaded" : "refused", reloads_[done]);
  single(out, "mnemo_access_log_dropped_total", "counter", "Lines of the access log that could not be written.",
         gauges.dropped_lines);
  single(out, "mnemo_connections", "gauge", "Open connections.", gauges.connections);
  single(out, "mnemo_held_bytes", "gauge",
         "Bytes of bodies that are not answered yet and of answers that are not sent.", gauges.held_bytes);
  single(out, "mnemo_queue_requests", "gauge", "Requests that wait.", gauges.queued_requests);
  single(out, "mnemo_queue_tokens", "gauge", "Tokens that wait.", gauges.queued_tokens);
  single(out, "mnemo_streams", "gauge", "Texts that are being written unit by unit.", gauges.streams);
  head(out, "mnemo_model_info", "gauge", "Models served.");
  for (const Gauges::Model& m : gauges.models)
    fmt::format_to(line, "mnemo_model_info{{model=\"{}\",task=\"{}\",sha256=\"{}\"}} 1\n", label_value(m.name),
                   label_value(m.task), m.sha256);
  append_process(out);
  return out;
}

}  // namespace mnemo
