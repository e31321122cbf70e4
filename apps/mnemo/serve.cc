// mnemo serve: answers over HTTP. The server has threads of its own; this one waits for signals, which a handler writes
// to a pipe, and lets the server look after itself a few times a second.
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/mnemo/commands.h"
#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/file.h"
#include "base/shown.h"
#include "serve/listener.h"
#include "serve/served_models.h"
#include "serve/server.h"

namespace mnemo {
namespace {

constexpr int kTickMilliseconds = 200;

struct ServeOptions {
  std::vector<std::string> models;
  std::string listen = "127.0.0.1:8080", token_file;
  bool listen_given = false, insecure = false;
  ServerOptions server;
  double drain_seconds = 10;
  int threads = 1;
};

// Signals of the process, in the order in which they came. SIGHUP is noted from construction on, those that end the
// process only after `catch_ends`.
class ServeSignals {
 public:
  ServeSignals() {
    if (::pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK) != 0) fail("a pipe for signals: {}", std::strerror(errno));
    std::signal(SIGHUP, note);
  }

  static void catch_ends() {
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, note);
  }

  // The next one, or nothing after some time.
  static std::optional<int> next() {
    pollfd state{ends_[0], POLLIN, 0};
    ::poll(&state, 1, kTickMilliseconds);
    char signal = 0;
    if (::read(ends_[0], &signal, 1) != 1) return std::nullopt;
    return signal;
  }

 private:
  static void note(int signal) {
    const int error = errno;
    const char byte = static_cast<char>(signal);
    static_cast<void>(!::write(ends_[1], &byte, 1));
    errno = error;
  }

  static inline std::array<int, 2> ends_{-1, -1};
};

std::string read_token(const std::string& path) {
  std::string out = read_file(path);
  while (!out.empty() && (out.back() == '\n' || out.back() == '\r')) out.pop_back();
  const bool plain = std::ranges::all_of(out, [](char c) { return c > ' ' && c < '\x7f'; });
  if (out.empty() || !plain) fail("{}: expected a token, a line of ASCII characters without blanks", path);
  return out;
}

// Whether a browser sends it as the Origin of a page: scheme://host or scheme://host:port, in lower case.
bool is_origin(std::string_view text) {
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return false;
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto named = [&](std::string_view part, std::string_view marks) {
    return !part.empty() && std::ranges::all_of(part, [&](char c) {
      return is_letter(c) || is_digit(c) || marks.find(c) != std::string_view::npos;
    });
  };
  std::string_view host = text.substr(scheme + 3);
  if (const std::size_t colon = host.rfind(':'); colon != std::string_view::npos && !host.ends_with(']')) {
    const std::string_view port = host.substr(colon + 1);
    if (port.empty() || port.size() > 5 || !std::ranges::all_of(port, is_digit)) return false;
    host = host.substr(0, colon);
  }
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  return is_letter(text[0]) && named(text.substr(0, scheme), "+-.") &&
         (bracketed ? named(host.substr(1, host.size() - 2), ":.") : named(host, "-._"));
}

void check_cors(const std::string& origin) {
  if (origin.empty() || origin == "*" || is_origin(origin)) return;
  throw UsageError(
      fmt::format("--cors: expected an origin, SCHEME://HOST or SCHEME://HOST:PORT in lower case and "
                  "without a path, or *, found \"{}\"",
                  shown(origin)));
}

std::unique_ptr<Listener> open_listener(const ServeOptions& o) {
  const int inherited = o.listen_given ? -1 : inherited_socket();
  auto out = inherited >= 0 ? std::make_unique<Listener>(inherited) : std::make_unique<Listener>(o.listen);
  if (!out->is_local() && o.token_file.empty() && !o.insecure)
    throw UsageError(
        fmt::format("--listen {}: other machines can connect there; expected --token-file FILE, or --insecure",
                    out->shown_address()));
  return out;
}

// Whether a message would be taken at once: a server is not to wait for the reader of its messages.
bool has_room_for_messages() {
  pollfd state{STDERR_FILENO, POLLOUT, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & POLLOUT) != 0;
}

// Large blocks go back to the system as soon as they are freed, whatever was freed before them. (Otherwise the C
// library raises its bound with the largest block so far, and keeps them.)
void give_memory_back() {
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 128 << 10);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 20);
#endif
}

int run_serve(const ServeOptions& o) {
  give_memory_back();
  check_cors(o.server.cors);
  ServerOptions options = o.server;
  options.threads = o.threads;
  options.any_host = o.insecure;
  if (!o.token_file.empty()) options.token = read_token(o.token_file);
  ServeSignals signals;
  ServedModels models(o.models);
  signals.catch_ends();
  Server server(options, open_listener(o), models);
  for (const ServedModel& one : *models.list()) say(fmt::format("{}: {}, sha256 {}", one.name, one.path, one.sha256));
  say(fmt::format("listening on {}", server.shown_address()));
  const Log tell = [](const std::string& line) {
    if (has_room_for_messages()) say(line);
  };
  // Errors are printed whether or not the others are.
  const Log complain = [](const std::string& line) {
    if (has_room_for_messages()) std::fprintf(stderr, "mnemo: %s\n", escaped(line).c_str());
  };
  while (true) {
    const auto signal = signals.next();
    server.tick();
    if (!signal) continue;
    if (*signal == SIGHUP) {
      server.reload(tell, complain);
      continue;
    }
    // A second one ends the process at once.
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    tell("answering what has been asked, then stopping");
    server.drain(o.drain_seconds);
    return 0;
  }
}

}  // namespace

void add_serve(Command& program) {
  Command& command = program.add("serve", "answer over HTTP");
  command.examples = {"mnemo serve run/model.safetensors",
                      "mnemo serve reviews=a.safetensors names=b.safetensors --listen 127.0.0.1:0",
                      "mnemo serve run/model.safetensors --listen 0.0.0.0:8080 --token-file token"};
  command.notes =
      "GET / is a page to try them. POST /v1/classify, /v1/tag, /v1/score, /v1/generate or /v1/translate takes an "
      "object with \"text\" or "
      "\"texts\", "
      "or plain text line by line, and answers with the objects of --format jsonl. GET /v1/models, /healthz, /readyz, "
      "/metrics, /openapi.json.\n"
      "SIGHUP loads the models again and, if they are valid, swaps them in; SIGTERM and Ctrl-C answer what has been "
      "asked, and stop.";
  auto o = std::make_shared<ServeOptions>();
  command.argument("MODEL", &o->models, "Model files, as FILE or NAME=FILE").required();
  command.group("Connections");
  command
      .option(
          "--listen", "ADDRESS", &o->listen,
          "ADDRESS:PORT or unix:PATH; port 0: any free one. Without it, the socket of a service manager if there is "
          "one")
      .sets_if_given(o->listen_given);
  command.option("--token-file", "FILE", &o->token_file,
                 "Answer only requests with this token: Authorization: Bearer TOKEN");
  command.flag("--insecure", &o->insecure,
               "Listen where other machines can connect without a token, and accept any Host");
  command.option("--cors", "ORIGIN", &o->server.cors, "Let pages of this origin read answers; *: any");
  command.option("--access-log", "FILE", &o->server.access_log,
                 "Append a line of JSON for each request; - is standard error");
  command.group("Limits");
  command.option("--max-body", "BYTES", &o->server.max_body, "Largest body of JSON, and largest line of plain text")
      .range(1, 1 << 30);
  command.option("--max-lines", "BYTES", &o->server.max_lines, "Largest body of plain text").range(1, 1e15);
  command
      .option("--max-held", "BYTES", &o->server.max_held,
              "Most bytes of bodies and answers of all requests at a time; one request alone may have more")
      .range(1, 1e15);
  command.option("--max-texts", "N", &o->server.max_texts, "Most texts of a request").range(1, 1000000);
  command.option("--max-queue-tokens", "N", &o->server.max_queue_tokens, "Most tokens that may wait for a thread")
      .range(1, 1e12);
  command.option("--wait", "S", &o->server.wait_seconds, "Longest wait of a request for a thread, in seconds")
      .range(0.001, 3600);
  command
      .option("--drain", "S", &o->drain_seconds,
              "Longest time to answer what has been asked before stopping, in seconds")
      .range(0, 3600);
  add_running(command, o->threads);
  command.run = [o] { return run_serve(*o); };
}

}  // namespace mnemo
