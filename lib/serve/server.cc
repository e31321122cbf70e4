// One thread of libmicrohttpd serves all connections (epoll). It reads a request, hands its records to the batcher and
// suspends the connection; the thread that has the answer makes the response's body and resumes it. So a connection
// that waits costs its memory alone, and the routes that ask no model are never behind those that do.
//
// An Exchange is one request, made at its first line and freed when it has ended, always by libmicrohttpd's thread; its
// connection is suspended as long as the batcher holds a pointer to it. A streamed answer is written into an
// EventStream, and the answers to a body of lines into a LineJob, which may both outlive it. A Peer is one connection.
// What the tick looks at (peers, their phase, what of their exchange waits) is guarded by one mutex, which is held for
// moments.
#include "serve/server.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "serve/access_log.h"
#include "serve/api.h"
#include "serve/batcher.h"
#include "serve/event_stream.h"
#include "serve/line_job.h"
#include "serve/metrics.h"
#include "serve/microhttpd.h"
#include "serve/openapi.h"
#include "serve/page.h"

namespace mnemo {
namespace {

using ServeClock = std::chrono::steady_clock;

constexpr unsigned kIdleSeconds = 75;             // of a connection without requests
constexpr std::size_t kConnectionMemory = 32768;  // libmicrohttpd's, for the head of a request and for its buffers
constexpr std::size_t kMostHeaderBytes = 16384;   // below that, so that the refusal is ours
constexpr std::int64_t kMostDiscarded = 64
                                        << 20;    // of a body that is refused but read, so that its sender gets to know
constexpr std::chrono::milliseconds kQuiet{250};  // after which an idle connection is taken to stay idle
constexpr const char *kJsonType = "application/json", *kLinesType = "application/x-ndjson",
                     *kEventsType = "text/event-stream";
constexpr std::chrono::seconds kSilence{15};  // of a stream, after which it gets a ping
constexpr const char* kRetryAfter = "1";
constexpr std::size_t kMostLogged = 200;  // bytes of a path
// Of a body of lines, which must arrive in the time of a whole request: so a body may be long, but not slow.
constexpr std::int64_t kTimedPart = 16384;

// What a request is about, by its path.
enum class Topic { kHealth, kReady, kMetrics, kModels, kDescription, kPage, kSkill, kNone };
struct Route {
  Topic topic = Topic::kNone;
  std::string name;   // of the skill
  std::string label;  // of metrics: one of few, whatever is asked for
  const char* methods = "";
};

Route route_of(std::string_view path) {
  constexpr const char* kGet = "GET, HEAD";
  if (path == "/healthz") return {Topic::kHealth, "", "/healthz", kGet};
  if (path == "/readyz") return {Topic::kReady, "", "/readyz", kGet};
  if (path == "/metrics") return {Topic::kMetrics, "", "/metrics", kGet};
  if (path == "/openapi.json") return {Topic::kDescription, "", "/openapi.json", kGet};
  if (path == "/") return {Topic::kPage, "", "/", kGet};
  if (path == "/v1/models") return {Topic::kModels, "", "/v1/models", kGet};
  for (const char* skill : kSkillRoutes)
    if (path.starts_with("/v1/") && path.substr(4) == skill) return {Topic::kSkill, skill, std::string(path), "POST"};
  return {Topic::kNone, "", "other", ""};
}

struct Exchange;

enum class Phase { kNew, kIdle, kReceiving, kWaiting, kAnswering, kStreaming };

struct Peer {
  int socket = -1;
  std::string client;  // its address
  Phase phase = Phase::kNew;
  ServeClock::time_point since = ServeClock::now();  // of the phase
  Exchange* exchange = nullptr;                      // but in kNew and kIdle
  bool timed_out = false, is_gone = false;
};

struct Exchange {
  Peer* peer = nullptr;
  MHD_Connection* connection = nullptr;
  ServeClock::time_point began = ServeClock::now();
  Route route;
  bool probed = false, is_old = false;  // old: HTTP/1.0
  bool is_refused = false;              // with a response past libmicrohttpd
  bool has_nul = false;                 // in its path or query
  bool is_malformed = false;            // so that nobody may know where it ends
  bool has_head = false, is_submitted = false, is_lines = false, is_cross_origin = false;
  std::string body;
  std::int64_t received = 0, texts = 0;
  std::int64_t announced = -1;           // of its body; negative: not known
  std::int64_t held = 0;                 // of its body and answer, for libmicrohttpd's thread
  std::int64_t timed_from = 0;           // what had been received when the time of a part began
  ServeClock::duration receiving_for{};  // the time of the part, when its lines began to wait
  std::string method, path;              // for the access log
  std::optional<ApiError> error;
  Batcher::Ticket ticket;
  std::shared_ptr<EventStream> stream;
  std::shared_ptr<LineJob> job;
  BodyForm form = BodyForm::kText;
  const Skill* skill = nullptr;
  // The response.
  int status = 0;
  std::string answer;
  const char* type = kJsonType;
};

const char* header(MHD_Connection* connection, const char* name) {
  return microhttpd().lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

// The address of the other side; empty for a unix socket.
std::string shown_client(MHD_Connection* connection) {
  const auto* const info = microhttpd().get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  char out[INET6_ADDRSTRLEN] = "";
  const sockaddr* const address = info ? info->client_addr : nullptr;
  if (address && address->sa_family == AF_INET)
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, out, sizeof out);
  else if (address && address->sa_family == AF_INET6)
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, out, sizeof out);
  return out;
}

bool same_secret(std::string_view a, std::string_view b) {
  // Takes the same time wherever they differ.
  unsigned char difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < b.size(); ++i)
    difference = static_cast<unsigned char>(difference | (b[i] ^ (a.empty() ? 0 : a[i % a.size()])));
  return difference == 0;
}

bool is_authorized(const char* given, const std::string& token) {
  constexpr std::string_view kScheme = "Bearer ";
  return given && ::strncasecmp(given, kScheme.data(), kScheme.size()) == 0 &&
         same_secret(std::string_view(given).substr(kScheme.size()), token);
}

// The media type without its parameters, in lower case.
std::string media_type(const char* text) {
  std::string out(text ? text : "");
  out.resize(std::min(out.find_first_of("; \t"), out.size()));
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

unsigned connection_limit() {
  constexpr rlim_t kOthers = 64, kMost = 8192;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 512;
  if (limit.rlim_cur < kMost + kOthers && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = std::min(limit.rlim_max, kMost + kOthers);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return static_cast<unsigned>(std::clamp<rlim_t>(limit.rlim_cur, kOthers + 16, kMost + kOthers) - kOthers);
}

// Whether all that the other side sent has been read, and no more will come. libmicrohttpd does not notice where the
// end comes together with the last bytes.
bool has_ended(int socket) {
  char byte = 0;
  return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

ApiError crowded() {
  return {MHD_HTTP_SERVICE_UNAVAILABLE, "overloaded", "the bodies of other requests take too much memory already"};
}

bool is_reset(int socket) {
  pollfd state{socket, 0, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLERR | POLLHUP)) != 0;
}

// Sends a whole response past libmicrohttpd, which takes none while a request is being received, and ends the
// connection.
void refuse_raw(int socket, const ApiError& error, const char* reason) {
  const std::string body = error.body();
  const std::string text =
      fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                  error.status(), reason, kJsonType, body.size(), body);
  static_cast<void>(!::send(socket, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  ::shutdown(socket, SHUT_RDWR);
}

}  // namespace

class Server::Implementation {
 public:
  Implementation(const ServerOptions& options, std::unique_ptr<Listener> listener, ServedModels& models);
  ~Implementation();

  const std::string& shown_address() const { return shown_; }
  void tick();
  void reload(const Log& loaded, const Log& refused);
  void drain(double seconds);

 private:
  // libmicrohttpd's callbacks.
  static void on_connection(void* self, MHD_Connection* connection, void** peer, MHD_ConnectionNotificationCode code);
  static void* on_first_line(void* self, const char* uri, MHD_Connection* connection);
  static MHD_Result on_request(void* self, MHD_Connection* connection, const char* url, const char* method,
                               const char* version, const char* data, std::size_t* size, void** exchange);
  static void on_completed(void* self, MHD_Connection* connection, void** exchange, MHD_RequestTerminationCode code);

  MHD_Result handle(Exchange& x, const char* url, const char* method, const char* data, std::size_t* size);
  void check_head(Exchange& x, const char* url, const char* method);
  void check_form(Exchange& x) const;
  void check_body_head(Exchange& x);
  MHD_Result receive(Exchange& x, const char* data, std::size_t* size);
  void keep(Exchange& x, std::string_view part);
  bool hold(Exchange& x, std::int64_t bytes);
  void process(Exchange& x, const char* method);
  MHD_Result receive_lines(Exchange& x, const char* data, std::size_t* size);
  MHD_Result finish_lines(Exchange& x);
  bool pause(Exchange& x);
  void submit(Exchange& x);
  void submit(Exchange& x, Submission submission);
  void stream_to(Exchange& x, Submission& submission);
  void deliver(Exchange& x, BatchOutcome outcome);
  void set_error(Exchange& x, const ApiError& error);
  MHD_Result respond(Exchange& x, bool closes);
  void count_answer(Exchange& x);
  MHD_Response* make_response(Exchange& x);
  void add_headers(const Exchange& x, MHD_Response* response, bool closes) const;
  std::string metrics_body() const;
  void log_access(const Exchange& x, int status, double seconds);
  void enter(Exchange& x, Phase phase);
  void begin_waiting(Exchange& x);
  void end_waiting(Exchange& x);
  int sent_status(const Exchange& x, bool is_sent) const;
  std::int64_t most_body(const Exchange& x) const { return x.is_lines ? options_.max_lines : options_.max_body; }
  // What is asked for on connections.
  struct Waiting {
    std::vector<Batcher::Ticket> tickets;
    std::vector<std::shared_ptr<LineJob>> jobs;
  };
  void drop(Waiting& gone);
  void watch(Peer& peer, Waiting& gone);
  void nudge();
  void give_memory_back();
  std::pair<std::size_t, std::size_t> count_peers();
  void stop();

  const ServerOptions options_;
  const bool checks_host_;
  std::unique_ptr<Listener> listener_;
  const std::string shown_;
  ServedModels& models_;
  std::unique_ptr<AccessLog> access_log_;  // null: none
  Metrics metrics_;
  Batcher batcher_;
  std::atomic<bool> draining_{false};
  std::atomic<std::int64_t> held_{0};  // bytes of bodies and answers, written by libmicrohttpd's thread
  std::int64_t most_held_ = 0;         // since memory was given back, for the thread that calls `tick`
  mutable std::mutex mutex_;
  std::unordered_set<Peer*> peers_;
  MHD_Daemon* daemon_ = nullptr;
};

Server::Implementation::Implementation(const ServerOptions& options, std::unique_ptr<Listener> listener,
                                       ServedModels& models)
    : options_(options),
      checks_host_(listener->is_local() && !listener->is_unix() && !options.any_host),
      listener_(std::move(listener)),
      shown_(listener_->shown_address()),
      models_(models),
      access_log_(options.access_log.empty() ? nullptr : std::make_unique<AccessLog>(options.access_log)),
      batcher_({.threads = options.threads,
                .queue_tokens = options.max_queue_tokens,
                .wait = std::chrono::milliseconds(static_cast<std::int64_t>(options.wait_seconds * 1000))},
               metrics_) {
  daemon_ = microhttpd().start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, nullptr, nullptr, on_request, this,
      MHD_OPTION_LISTEN_SOCKET, listener_->descriptor(), MHD_OPTION_NOTIFY_CONNECTION, on_connection, this,
      MHD_OPTION_URI_LOG_CALLBACK, on_first_line, this, MHD_OPTION_NOTIFY_COMPLETED, on_completed, this,
      MHD_OPTION_CONNECTION_LIMIT, connection_limit(), MHD_OPTION_CONNECTION_TIMEOUT, kIdleSeconds,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemory, MHD_OPTION_END);
  if (!daemon_) fail("{}: the HTTP server does not start: {}", shown_, std::strerror(errno));
}

Server::Implementation::~Implementation() { stop(); }

void Server::Implementation::stop() {
  // Resumes every connection: libmicrohttpd cannot be stopped while one is suspended.
  batcher_.stop();
  nudge();
  if (daemon_) microhttpd().stop_daemon(daemon_);
  daemon_ = nullptr;
}

void Server::Implementation::on_connection(void* self, MHD_Connection* connection, void** peer,
                                           MHD_ConnectionNotificationCode code) {
  auto& server = *static_cast<Implementation*>(self);
  const std::lock_guard lock(server.mutex_);
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    try {
      auto made = std::make_unique<Peer>();
      made->socket = microhttpd().get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
      made->client = shown_client(connection);
      server.peers_.insert(made.get());
      *peer = made.release();
    } catch (const std::bad_alloc&) {
      *peer = nullptr;  // its requests are refused
    }
  } else {
    const std::unique_ptr<Peer> ended(static_cast<Peer*>(*peer));
    server.peers_.erase(ended.get());
    *peer = nullptr;
  }
}

void* Server::Implementation::on_first_line(void* self, const char* uri, MHD_Connection* connection) {
  auto& server = *static_cast<Implementation*>(self);
  auto* const peer = static_cast<Peer*>(
      microhttpd().get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
  std::unique_ptr<Exchange> exchange(peer ? new (std::nothrow) Exchange : nullptr);
  if (!exchange) return nullptr;
  exchange->connection = connection;
  exchange->peer = peer;
  exchange->has_nul = std::strstr(uri, "%00") != nullptr;
  server.enter(*exchange, Phase::kReceiving);
  return exchange.release();
}

void Server::Implementation::on_completed(void* self, MHD_Connection*, void** exchange,
                                          MHD_RequestTerminationCode code) {
  auto& server = *static_cast<Implementation*>(self);
  const std::unique_ptr<Exchange> x(static_cast<Exchange*>(*exchange));
  *exchange = nullptr;
  if (!x) return;
  const std::chrono::duration<double> seconds = ServeClock::now() - x->began;
  const int status = server.sent_status(*x, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
  server.metrics_.request(x->route.label.empty() ? "other" : x->route.label, status, seconds.count());
  server.log_access(*x, status, seconds.count());
  server.held_ -= x->held;
  const Batcher::Ticket ticket = x->stream ? x->stream->ticket() : nullptr;
  if (ticket) server.batcher_.cancel(ticket);
  if (x->job) {
    x->job->cancel();
    x->job->forget();
  }
  server.enter(*x, Phase::kIdle);
}

MHD_Result Server::Implementation::on_request(void* self, MHD_Connection*, const char* url, const char* method,
                                              const char* version, const char* data, std::size_t* size,
                                              void** exchange) {
  auto& server = *static_cast<Implementation*>(self);
  if (!*exchange) return MHD_NO;
  static_cast<Exchange*>(*exchange)->is_old = std::strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
  try {
    return server.handle(*static_cast<Exchange*>(*exchange), url, method, data, size);
  } catch (const std::exception&) {
    return MHD_NO;  // memory has run out: the connection ends
  }
}

void Server::Implementation::log_access(const Exchange& x, int status, double seconds) {
  if (!access_log_) return;
  access_log_->write({.client = x.peer->client,
                      .method = x.method,
                      .path = x.path,
                      .status = status,
                      .seconds = seconds,
                      .received = x.received,
                      .texts = x.job ? x.job->lines() : x.texts});
}

void Server::Implementation::enter(Exchange& x, Phase phase) {
  const std::lock_guard lock(mutex_);
  x.peer->phase = phase;
  x.peer->since = ServeClock::now();
  x.peer->exchange = phase == Phase::kIdle ? nullptr : &x;
}

// The time in which a body has to arrive stands still while its lines wait for answers.
void Server::Implementation::begin_waiting(Exchange& x) {
  const std::lock_guard lock(mutex_);
  const auto now = ServeClock::now();
  x.receiving_for = now - x.peer->since;
  x.peer->phase = Phase::kWaiting;
  x.peer->since = now;
}

void Server::Implementation::end_waiting(Exchange& x) {
  const std::lock_guard lock(mutex_);
  x.peer->phase = Phase::kReceiving;
  x.peer->since = ServeClock::now() - x.receiving_for;
}

// The status of the answer; 0 if it was not sent whole, or to a client that had gone: what is written to a connection
// that the other side has closed is answered with a reset.
int Server::Implementation::sent_status(const Exchange& x, bool is_sent) const {
  const std::lock_guard lock(mutex_);
  if (x.peer->timed_out) return MHD_HTTP_REQUEST_TIMEOUT;
  if (x.is_refused) return x.status;
  if (!is_sent || x.peer->is_gone) return 0;
  return (x.is_submitted || x.job) && is_reset(x.peer->socket) ? 0 : x.status;
}

// Called once with the head of a request, then with each part of its body, then without any, and after each resumption.
MHD_Result Server::Implementation::handle(Exchange& x, const char* url, const char* method, const char* data,
                                          std::size_t* size) {
  if (!x.has_head) {
    x.has_head = true;
    try {
      check_head(x, url, method);
    } catch (const ApiError& error) {
      x.error = error;
    }
    const char* const length = header(x.connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const auto bytes = length ? std::strtoull(length, nullptr, 10) : 0;
    if (length) x.announced = static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, most_body(x)));
    if (!x.error && bytes > static_cast<std::uint64_t>(most_body(x)))
      x.error.emplace(413, "body_too_large", fmt::format("expected at most {} bytes", most_body(x)));
    // A body of moderate size is read even so: a sender that is cut off might never see why. One that waits for leave
    // to send does not send it.
    const bool reads =
        bytes <= static_cast<std::uint64_t>(kMostDiscarded) && !header(x.connection, MHD_HTTP_HEADER_EXPECT);
    if (!x.error || (reads && !x.is_malformed)) return MHD_YES;
    set_error(x, *x.error);
    return respond(x, true);
  }
  if (*size > 0) return receive(x, data, size);
  if (x.is_submitted || x.status != 0) return respond(x, false);
  if (x.job && !x.error) return finish_lines(x);
  try {
    if (x.error) throw ApiError(*x.error);
    process(x, method);
  } catch (const ApiError& error) {
    set_error(x, error);
  }
  return x.is_submitted ? MHD_YES : respond(x, false);
}

namespace {

// Whether pages of an origin, scheme://host:port, are those that the server shows under this Host.
bool is_origin_of(std::string_view origin, const char* host) {
  const std::size_t scheme = origin.find("://");
  return host && scheme != std::string_view::npos && origin.substr(scheme + 3) == host;
}

}  // namespace

void Server::Implementation::check_head(Exchange& x, const char* url, const char* method) {
  x.route = route_of(url);
  if (access_log_) {
    x.method = std::string(method).substr(0, kMostLogged);
    x.path = std::string(url).substr(0, kMostLogged);
  }
  check_form(x);
  const auto* const head = microhttpd().get_connection_info(x.connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  if (head && head->header_size > kMostHeaderBytes)
    throw ApiError(431, "headers_too_large", fmt::format("expected at most {} bytes", kMostHeaderBytes));
  const char* const host = header(x.connection, MHD_HTTP_HEADER_HOST);
  if (checks_host_ && host && !is_loopback_host(host))
    throw ApiError(400, "wrong_host", "expected a Host that names this machine's loopback interface", "Host");
  const char* const origin = header(x.connection, "Origin");
  x.is_cross_origin = !options_.cors.empty() && origin && (options_.cors == "*" || options_.cors == origin);
  if (x.is_cross_origin && std::strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0) return;
  // A page of another site cannot read the answer, but could have its visitors' machines work for it.
  if (options_.token.empty() && !x.is_cross_origin && origin && std::strcmp(method, MHD_HTTP_METHOD_POST) == 0 &&
      !is_origin_of(origin, host))
    throw ApiError(400, "wrong_origin", "expected a page of this server, or one that --cors names", "Origin");
  // The page, which holds nothing of the models, asks its user for the token.
  const bool open = x.route.topic == Topic::kHealth || x.route.topic == Topic::kReady || x.route.topic == Topic::kPage;
  if (!open && !options_.token.empty() &&
      !is_authorized(header(x.connection, MHD_HTTP_HEADER_AUTHORIZATION), options_.token))
    throw ApiError(401, "unauthorized", "expected the server's token: Authorization: Bearer TOKEN", "Authorization");
  if (x.route.topic == Topic::kNone) throw ApiError(404, "not_found", "there is no such route");
  const bool posts = std::strcmp(method, MHD_HTTP_METHOD_POST) == 0;
  const bool gets = std::strcmp(method, MHD_HTTP_METHOD_GET) == 0 || std::strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
  if (x.route.topic == Topic::kSkill ? !posts : !gets)
    throw ApiError(405, "method_not_allowed", fmt::format("expected {}", x.route.methods));
  if (posts) check_body_head(x);
  if (!x.is_lines) return;
  const char* const name = microhttpd().lookup_connection_value(x.connection, MHD_GET_ARGUMENT_KIND, "model");
  x.type = kLinesType;
  x.job = std::make_shared<LineJob>(LineJobOptions{.route = x.route.name,
                                                   .model = name ? name : "",
                                                   .most_line = options_.max_body,
                                                   .most_waiting = static_cast<std::size_t>(options_.threads) + 1},
                                    models_.list(), batcher_);
}

// Refuses what proxies before this server may have read in another way.
void Server::Implementation::check_form(Exchange& x) const {
  struct Counts {
    int hosts = 0, lengths = 0, encodings = 0, unknown = 0;
  } counts;
  microhttpd().get_connection_values(
      x.connection, MHD_HEADER_KIND,
      [](void* to, MHD_ValueKind, const char* name, const char* value) {
        auto& all = *static_cast<Counts*>(to);
        if (::strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0) ++all.hosts;
        if (::strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) ++all.lengths;
        if (::strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
          ++all.encodings;
          if (!value || ::strcasecmp(value, "chunked") != 0) ++all.unknown;
        }
        return MHD_YES;
      },
      &counts);
  x.is_malformed = true;
  const auto refuse = [](const char* message, const char* field) {
    throw ApiError(MHD_HTTP_BAD_REQUEST, "invalid_request", message, field);
  };
  if (x.has_nul) refuse("expected a path and a query without %00", "");
  if (counts.lengths > 1) refuse("expected one Content-Length", MHD_HTTP_HEADER_CONTENT_LENGTH);
  if (counts.lengths > 0 && counts.encodings > 0)
    refuse("expected Content-Length or Transfer-Encoding, found both", MHD_HTTP_HEADER_TRANSFER_ENCODING);
  if (counts.encodings > 1 || counts.unknown > 0)
    refuse("expected no Transfer-Encoding but chunked", MHD_HTTP_HEADER_TRANSFER_ENCODING);
  if (counts.hosts > 1 || (counts.hosts == 0 && !x.is_old))
    refuse(counts.hosts > 1 ? "expected one Host" : "expected a Host", MHD_HTTP_HEADER_HOST);
  x.is_malformed = false;
}

void Server::Implementation::check_body_head(Exchange& x) {
  const std::string type = media_type(header(x.connection, MHD_HTTP_HEADER_CONTENT_TYPE));
  x.is_lines = type == "text/plain";
  // curl sends the type of forms where none is given.
  if (!x.is_lines && !type.empty() && type != kJsonType && type != "application/x-www-form-urlencoded")
    throw ApiError(415, "unsupported_media_type", "expected application/json or text/plain", "Content-Type");
}

MHD_Result Server::Implementation::receive(Exchange& x, const char* data, std::size_t* size) {
  x.received += static_cast<std::int64_t>(*size);
  if (x.received > most_body(x) && !x.error) {
    x.error.emplace(413, "body_too_large", fmt::format("expected at most {} bytes", most_body(x)));
    x.body = std::string();
    hold(x, 0);
  }
  if (x.error && x.received > kMostDiscarded) {
    x.status = x.error->status();
    x.is_refused = true;
    refuse_raw(x.peer->socket, *x.error, "Refused");
    return MHD_NO;
  }
  if (x.job && !x.error) return receive_lines(x, data, size);
  if (!x.error) keep(x, {data, *size});
  *size = 0;
  return MHD_YES;
}

// Adds a part to a body of JSON, if there is room for it.
void Server::Implementation::keep(Exchange& x, std::string_view part) {
  // No more is reserved than is going to come.
  const auto most = static_cast<std::size_t>(x.announced < 0 ? options_.max_body : x.announced);
  const std::size_t size = x.body.size() + part.size(), room = x.body.capacity();
  const std::size_t wanted = size <= room ? room : std::max(size, std::min(2 * room, most));
  if (!hold(x, static_cast<std::int64_t>(wanted))) {
    x.error = crowded();
    x.body = std::string();
    return;
  }
  x.body.reserve(wanted);
  x.body += part;
}

// Has the request count with so many bytes, unless the sum of all would exceed the limit; then it counts with none. One
// request alone is never too much.
bool Server::Implementation::hold(Exchange& x, std::int64_t bytes) {
  const std::int64_t others = held_ - x.held;
  const bool fits = others == 0 || bytes <= x.held || others + bytes <= options_.max_held;
  x.held = fits ? bytes : 0;
  held_ = others + x.held;
  if (!fits) metrics_.rejected("held");
  return fits;
}

// Lines are answered as they come; a body that comes faster than it can be answered has to wait. Its time begins again
// with each part of kTimedPart bytes.
MHD_Result Server::Implementation::receive_lines(Exchange& x, const char* data, std::size_t* size) {
  if (x.received - x.timed_from >= kTimedPart) {
    x.timed_from = x.received;
    enter(x, Phase::kReceiving);
  }
  try {
    while (*size > 0) {
      const std::size_t taken = x.job->add({data, *size});
      data += taken;
      *size -= taken;
      if (*size > 0 && pause(x)) break;
    }
    x.received -= static_cast<std::int64_t>(*size);
    if (!hold(x, x.job->held())) throw crowded();
  } catch (const ApiError& error) {
    x.job->cancel();
    x.job->forget();
    hold(x, 0);
    x.error = error;
    *size = 0;
  }
  return MHD_YES;
}

MHD_Result Server::Implementation::finish_lines(Exchange& x) {
  enter(x, Phase::kReceiving);  // all has arrived: its time is over
  try {
    do {
      x.job->finish();
      if (pause(x)) return MHD_YES;
    } while (!x.job->is_done());
    x.job->answers().finish();
    x.status = MHD_HTTP_OK;
  } catch (const ApiError& error) {
    x.job->cancel();
    set_error(x, error);
  } catch (const std::exception& error) {
    set_error(x, ApiError(MHD_HTTP_SERVICE_UNAVAILABLE, "failed", error.what()));
  }
  return respond(x, false);
}

// Suspends the connection if its lines have to wait for answers.
bool Server::Implementation::pause(Exchange& x) {
  return x.job->wait(
      [&] {
        begin_waiting(x);
        microhttpd().suspend_connection(x.connection);
      },
      [this, &x] {
        end_waiting(x);
        microhttpd().resume_connection(x.connection);
      });
}

void Server::Implementation::process(Exchange& x, const char* method) {
  x.status = MHD_HTTP_OK;
  if (x.is_cross_origin && std::strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0) {
    x.status = MHD_HTTP_NO_CONTENT;
    return;
  }
  switch (x.route.topic) {
    case Topic::kHealth:
      x.answer = "{\"status\":\"ok\"}\n";
      return;
    case Topic::kReady:
      if (draining_) throw ApiError(503, "stopping", "the server is shutting down");
      x.answer = "{\"status\":\"ready\"}\n";
      return;
    case Topic::kMetrics:
      x.type = "text/plain; version=0.0.4; charset=utf-8";
      x.answer = metrics_body();
      return;
    case Topic::kModels:
      x.answer = models_body(*models_.list());
      return;
    case Topic::kDescription:
      x.answer =
          openapi_body(*models_.list(), {options_.max_texts, options_.max_queue_tokens}, !options_.token.empty());
      return;
    case Topic::kPage:
      x.type = "text/html; charset=utf-8";
      x.answer = served_page().text;
      return;
    default:
      x.status = 0;
      submit(x);
  }
}

// The body counts until it is answered: its texts are in the queue.
void Server::Implementation::submit(Exchange& x) {
  const char* const name = microhttpd().lookup_connection_value(x.connection, MHD_GET_ARGUMENT_KIND, "model");
  const ApiLimits limits{options_.max_texts, options_.max_queue_tokens};
  ApiRequest request = read_json_request(x.body, x.route.name, name ? name : "", *models_.list(), limits);
  x.body = std::string();
  x.form = request.form;
  x.skill = request.submission.skill;
  x.texts = std::ssize(request.submission.records);
  if (request.submission.records.empty()) {
    x.status = MHD_HTTP_OK;
    x.answer = answer_body(x.form, *x.skill, {});
    return;
  }
  if (request.stream)
    stream_to(x, request.submission);
  else
    request.submission.done = [this, &x](BatchOutcome outcome) { deliver(x, std::move(outcome)); };
  submit(x, std::move(request.submission));
}

void Server::Implementation::submit(Exchange& x, Submission submission) {
  // The answer may come before `submit` returns, and a streamed one may have ended by then.
  x.is_submitted = true;
  const std::shared_ptr<EventStream> stream = x.stream;
  enter(x, Phase::kWaiting);
  microhttpd().suspend_connection(x.connection);
  const Batcher::Ticket ticket = batcher_.submit(std::move(submission));
  if (ticket && stream) return stream->set_ticket(ticket);
  if (!ticket) {
    {
      const std::lock_guard lock(mutex_);
      x.stream = nullptr;
    }
    set_error(x, overloaded());
    enter(x, Phase::kAnswering);
    microhttpd().resume_connection(x.connection);
    return;
  }
  const std::lock_guard lock(mutex_);
  if (x.peer->phase == Phase::kWaiting) x.ticket = ticket;
}

// Has the answer written as events. An error before the first of them is answered as any other.
void Server::Implementation::stream_to(Exchange& x, Submission& submission) {
  x.stream = std::make_shared<EventStream>(x.connection);
  submission.piece = [stream = x.stream](const std::string& piece) { return stream->add(piece_event(piece)); };
  submission.done = [this, &x, stream = x.stream, skill = submission.skill,
                     model = submission.model](BatchOutcome outcome) {
    if (outcome.end == BatchOutcome::End::kAnswered) return stream->end(done_event(*skill, outcome.answers.front()));
    if (!stream->give_up_if_new()) return stream->end(error_event(api_error(outcome)));
    {
      const std::lock_guard lock(mutex_);
      x.stream = nullptr;
    }
    deliver(x, std::move(outcome));
  };
}

// On the thread that answered.
void Server::Implementation::deliver(Exchange& x, BatchOutcome outcome) {
  try {
    if (outcome.end == BatchOutcome::End::kAnswered) {
      x.answer = answer_body(x.form, *x.skill, std::move(outcome.answers));
      x.status = MHD_HTTP_OK;
    } else {
      set_error(x, api_error(outcome, x.form));
    }
  } catch (const std::exception&) {
    x.answer.clear();
    x.status = MHD_HTTP_SERVICE_UNAVAILABLE;
  }
  enter(x, Phase::kAnswering);
  microhttpd().resume_connection(x.connection);
}

void Server::Implementation::set_error(Exchange& x, const ApiError& error) {
  x.status = error.status();
  x.type = kJsonType;
  x.answer = error.body();
}

MHD_Result Server::Implementation::respond(Exchange& x, bool closes) {
  if (x.stream) {
    x.status = MHD_HTTP_OK;
    x.type = kEventsType;
  }
  enter(x, x.stream ? Phase::kStreaming : Phase::kAnswering);
  x.body = std::string();
  count_answer(x);
  MHD_Response* const response = make_response(x);
  if (!response) return MHD_NO;
  add_headers(x, response, closes);
  const MHD_Result queued = microhttpd().queue_response(x.connection, static_cast<unsigned>(x.status), response);
  microhttpd().destroy_response(response);
  return queued;
}

// What a slow reader has not taken yet is held like a body, but for streams, which wait for their readers.
void Server::Implementation::count_answer(Exchange& x) {
  const std::int64_t answer = x.job && x.status == MHD_HTTP_OK ? x.job->held() : std::ssize(x.answer);
  held_ += answer - x.held;
  x.held = answer;
}

// With a body of one of three kinds. Null if memory has run out.
MHD_Response* Server::Implementation::make_response(Exchange& x) {
  if (x.stream) {
    struct Source {
      std::shared_ptr<EventStream> stream;
      Batcher& batcher;
    };
    constexpr std::size_t kBlock = 4096;
    auto source = std::make_unique<Source>(Source{x.stream, batcher_});
    MHD_Response* const response = microhttpd().create_response_from_callback(
        MHD_SIZE_UNKNOWN, kBlock,
        [](void* self, std::uint64_t, char* to, std::size_t most) {
          const auto& from = *static_cast<Source*>(self);
          return from.stream->read(to, most, from.batcher);
        },
        source.get(), [](void* self) { delete static_cast<Source*>(self); });
    if (response) static_cast<void>(source.release());
    return response;
  }
  Spool* const answers = x.status == MHD_HTTP_OK && x.job ? &x.job->answers() : nullptr;
  if (answers && answers->is_file()) {
    const int file = answers->take_file();
    MHD_Response* const response = microhttpd().create_response_from_fd64(answers->size(), file);
    if (!response) ::close(file);
    return response;
  }
  auto held = std::make_unique<std::string>(answers ? answers->take_text() : std::move(x.answer));
  MHD_Response* const response = microhttpd().create_response_from_buffer_with_free_callback_cls(
      held->size(), held->data(), [](void* text) { delete static_cast<std::string*>(text); }, held.get());
  if (response) static_cast<void>(held.release());
  return response;
}

void Server::Implementation::add_headers(const Exchange& x, MHD_Response* response, bool closes) const {
  const auto add = [&](const char* name, const char* value) {
    microhttpd().add_response_header(response, name, value);
  };
  if (x.status != MHD_HTTP_NO_CONTENT) add(MHD_HTTP_HEADER_CONTENT_TYPE, x.type);
  if (x.stream) {
    add(MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    add("X-Accel-Buffering", "no");  // a proxy is not to wait for more
  }
  add("X-Content-Type-Options", "nosniff");
  if (x.status == MHD_HTTP_OK && x.route.topic == Topic::kPage) {
    add("Content-Security-Policy", served_page().policy.c_str());
    add("Referrer-Policy", "no-referrer");
  }
  if (x.status == MHD_HTTP_METHOD_NOT_ALLOWED) add(MHD_HTTP_HEADER_ALLOW, x.route.methods);
  if (x.status == MHD_HTTP_UNAUTHORIZED) add(MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
  if (x.status == MHD_HTTP_SERVICE_UNAVAILABLE) add(MHD_HTTP_HEADER_RETRY_AFTER, kRetryAfter);
  if (!options_.cors.empty()) add(MHD_HTTP_HEADER_VARY, "Origin");
  if (x.is_cross_origin) {
    add("Access-Control-Allow-Origin", options_.cors.c_str());
    if (x.status == MHD_HTTP_NO_CONTENT) {
      add("Access-Control-Allow-Methods", "GET, POST");
      add("Access-Control-Allow-Headers", "Authorization, Content-Type");
      add("Access-Control-Max-Age", "600");
    }
  }
  if (closes || draining_) add(MHD_HTTP_HEADER_CONNECTION, "close");
}

std::string Server::Implementation::metrics_body() const {
  Metrics::Gauges gauges;
  gauges.held_bytes = held_;
  gauges.queued_tokens = batcher_.queued_tokens();
  gauges.queued_requests = batcher_.queued_requests();
  gauges.streams = batcher_.streams();
  if (access_log_) gauges.dropped_lines = access_log_->dropped();
  for (const ServedModel& one : *models_.list()) gauges.models.push_back({one.name, one.model->task(), one.sha256});
  {
    const std::lock_guard lock(mutex_);
    gauges.connections = std::ssize(peers_);
  }
  return metrics_.text(gauges);
}

void Server::Implementation::tick() {
  batcher_.expire();
  Waiting gone;
  drop(gone);
  for (const Batcher::Ticket& ticket : gone.tickets) batcher_.cancel(ticket);
  for (const auto& job : gone.jobs) job->cancel();
  nudge();
  give_memory_back();
}

// What lies between blocks that are still used goes back to the system, too, once much has been freed.
void Server::Implementation::give_memory_back() {
  constexpr std::int64_t kMuch = 8 << 20;
  const std::int64_t held = held_;
  most_held_ = std::max(most_held_, held);
  if (most_held_ - held < kMuch) return;
  most_held_ = held;
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

void Server::Implementation::nudge() {
  std::vector<std::shared_ptr<LineJob>> jobs;
  {
    const std::lock_guard lock(mutex_);
    for (const Peer* const peer : peers_)
      if (peer->phase == Phase::kWaiting && peer->exchange->job) jobs.push_back(peer->exchange->job);
  }
  for (const auto& job : jobs) job->nudge();
}

// Refuses requests that take too long to arrive, and collects those whose clients are gone. A client that will send
// nothing more may still read: it gets an interim response, which a socket that is closed answers with a reset.
void Server::Implementation::drop(Waiting& gone) {
  const std::lock_guard lock(mutex_);
  const auto now = ServeClock::now();
  for (Peer* const peer : peers_) {
    const std::chrono::duration<double> age = now - peer->since;
    const bool receives = peer->phase == Phase::kReceiving || peer->phase == Phase::kNew;
    if (receives && age > kQuiet && has_ended(peer->socket)) ::shutdown(peer->socket, SHUT_RDWR);
    if (peer->phase == Phase::kNew && age.count() > options_.receive_seconds) ::shutdown(peer->socket, SHUT_RDWR);
    if (peer->phase == Phase::kReceiving && age.count() > options_.receive_seconds) {
      peer->timed_out = true;
      refuse_raw(peer->socket, ApiError(408, "timeout", "the request took too long to arrive"), "Request Timeout");
      peer->phase = Phase::kIdle;
    }
    if (peer->phase == Phase::kIdle && age.count() > kIdleSeconds) ::shutdown(peer->socket, SHUT_RDWR);
    if (peer->phase == Phase::kWaiting || peer->phase == Phase::kStreaming) watch(*peer, gone);
  }
}

void Server::Implementation::watch(Peer& peer, Waiting& gone) {
  Exchange& x = *peer.exchange;
  if (peer.phase == Phase::kStreaming) x.stream->keep_alive(kSilence, kPing);
  pollfd state{peer.socket, POLLRDHUP, 0};
  if (::poll(&state, 1, 0) <= 0) return;
  if ((state.revents & (POLLERR | POLLHUP)) != 0) {
    peer.is_gone = true;
    const Batcher::Ticket ticket = x.stream ? x.stream->ticket() : x.ticket;
    if (ticket) gone.tickets.push_back(ticket);
    if (x.job) gone.jobs.push_back(x.job);
  } else if (peer.phase == Phase::kWaiting && !x.probed && !x.is_old) {
    constexpr std::string_view kInterim = "HTTP/1.1 100 Continue\r\n\r\n";
    x.probed = true;
    static_cast<void>(!::send(peer.socket, kInterim.data(), kInterim.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  }
}

void Server::Implementation::reload(const Log& loaded, const Log& refused) {
  try {
    if (access_log_) access_log_->reopen();
  } catch (const Error& error) {
    refused(error.what());
  }
  const std::size_t all = models_.list()->size(), done = models_.reload(loaded, refused);
  for (std::size_t i = 0; i < all; ++i) metrics_.reloaded(i < done);
#ifdef __GLIBC__
  ::malloc_trim(0);  // what the old ones took
#endif
}

// Connections, and those of them with a request.
std::pair<std::size_t, std::size_t> Server::Implementation::count_peers() {
  const std::lock_guard lock(mutex_);
  const auto busy = std::ranges::count_if(
      peers_, [](const Peer* peer) { return peer->phase != Phase::kIdle && peer->phase != Phase::kNew; });
  return {peers_.size(), static_cast<std::size_t>(busy)};
}

void Server::Implementation::drain(double seconds) {
  draining_ = true;
  // Whoever has connected by now is served: those that wait to be accepted, too.
  const int listening = microhttpd().quiesce_daemon(daemon_);
  sockaddr_storage address{};
  for (socklen_t length = sizeof address; listening >= 0; length = sizeof address) {
    const int socket =
        ::accept4(listening, reinterpret_cast<sockaddr*>(&address), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) break;
    microhttpd().add_connection(daemon_, socket, reinterpret_cast<sockaddr*>(&address), length);
  }
  listener_.reset();
  const auto end = ServeClock::now() + std::chrono::duration<double>(seconds);
  auto last_busy = ServeClock::now();
  for (auto now = last_busy; now < end; now = ServeClock::now()) {
    const auto [all, busy] = count_peers();
    if (busy > 0) last_busy = now;
    if (all == 0 || now - last_busy > kQuiet) break;
    tick();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  batcher_.stop();
  // The refusals are on their way.
  for (int i = 0; i < 100 && count_peers().second > 0; ++i) {
    nudge();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  stop();
}

Server::Server(const ServerOptions& options, std::unique_ptr<Listener> listener, ServedModels& models)
    : implementation_(std::make_unique<Implementation>(options, std::move(listener), models)) {}
Server::~Server() = default;
const std::string& Server::shown_address() const { return implementation_->shown_address(); }
void Server::tick() { implementation_->tick(); }
void Server::reload(const Log& loaded, const Log& refused) { implementation_->reload(loaded, refused); }
void Server::drain(double seconds) { implementation_->drain(seconds); }

}  // namespace mnemo
