// The server in this process, where its times can be short.
#include "serve/server.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/catch.h"
#include "tests/serve/served.h"

using namespace mnemo;

namespace {

// A server of the topics' model, with a thread that looks after it.
class Serving {
 public:
  explicit Serving(const ServerOptions& options = {})
      : models_({"topics=" + topics_file()}),
        server_(options, std::make_unique<Listener>("127.0.0.1:0"), models_),
        ticking_([this] {
          while (!stop_) {
            server_.tick();
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
          }
        }) {}
  ~Serving() {
    stop_ = true;
    ticking_.join();
    server_.drain(5);
  }

  void reload() {
    const Log ignore = [](const std::string&) {};
    server_.reload(ignore, ignore);
  }
  std::string port() const { return server_.shown_address().substr(server_.shown_address().rfind(':') + 1); }

 private:
  ServedModels models_;
  Server server_;
  std::atomic<bool> stop_{false};
  std::thread ticking_;
};

class Client {
 public:
  explicit Client(const Serving& serving) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo("127.0.0.1", serving.port().c_str(), &hints, &found) != 0) throw std::runtime_error("address");
    socket_ = socket(found->ai_family, SOCK_STREAM, 0);
    if (connect(socket_, found->ai_addr, found->ai_addrlen) != 0) throw std::runtime_error("connect");
    freeaddrinfo(found);
  }
  ~Client() { close(socket_); }

  void send(const std::string& text) const {
    static_cast<void>(!::send(socket_, text.data(), text.size(), MSG_NOSIGNAL));
  }
  // All that comes until the server ends the connection.
  std::string rest() const {
    std::string out;
    char buffer[4096];
    for (ssize_t n = 0; (n = recv(socket_, buffer, sizeof buffer, 0)) > 0;)
      out.append(buffer, static_cast<std::size_t>(n));
    return out;
  }

 private:
  int socket_ = -1;
};

const std::string kHead =
    "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nConnection: close\r\n";

}  // namespace

TEST_CASE("a request that takes too long to arrive is answered with 408") {
  const Serving serving({.receive_seconds = 0.2});
  const Client silent(serving), line(serving), head(serving), body(serving);
  head.send("GET /healthz HTTP/1.1\r\nHost: local");
  body.send(kHead + "Content-Length: 10\r\n\r\nabc");
  line.send("GET /heal");
  for (const Client* client : {&head, &body}) {
    const std::string answer = client->rest();
    CHECK_THAT(answer, contains_text("HTTP/1.1 408 Request Timeout\r\n"));
    CHECK_THAT(answer, contains_text("\"code\":\"timeout\""));
  }
  // Nothing has been asked: nothing is answered.
  CHECK(silent.rest().empty());
  CHECK(line.rest().empty());
}

TEST_CASE("a body of lines may take long, but not be slow") {
  // So long that a busy machine does not stop the steady one for that time.
  const Serving serving({.receive_seconds = 2.0});
  const Client slow(serving), steady(serving);
  const auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(200)); };
  const std::string lines(20000, '\n');
  steady.send(kHead + "Content-Length: 320000\r\n\r\n");
  slow.send(kHead + "Content-Length: 320000\r\n\r\n");
  for (int i = 0; i < 16; ++i, pause()) {
    steady.send(lines);
    slow.send("a\n");
  }
  CHECK_THAT(steady.rest(), contains_text("HTTP/1.1 200 OK\r\n"));
  CHECK_THAT(slow.rest(), contains_text("HTTP/1.1 408 Request Timeout\r\n"));
}

TEST_CASE("a request that arrives in time is answered") {
  const Serving serving({.receive_seconds = 5});
  const Client client(serving);
  for (const std::string& part :
       {kHead, std::string("Content-Length: 8\r\n\r\n"), std::string("the "), std::string("team")}) {
    client.send(part);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const std::string answer = client.rest();
  CHECK_THAT(answer, contains_text("HTTP/1.1 200 OK\r\n"));
  CHECK_THAT(answer, contains_text("{\"labels\":[{\"label\":\""));
}

TEST_CASE("clients at once, and models loaded meanwhile: every request is answered") {
  std::atomic<int> answered{0}, refused{0}, other{0};
  std::vector<std::thread> clients;
  {
    Serving serving({.threads = 2});
    for (int c = 0; c < 8; ++c)
      clients.emplace_back([&, c] {
        for (int i = 0; i < 30; ++i) {
          const Client client(serving);
          const bool bad = (c + i) % 5 == 0;
          client.send(kHead + "Content-Length: 8\r\n\r\n" + (bad ? "the \xff\xff\xff!" : "the team"));
          const std::string answer = client.rest();
          ++(answer.starts_with("HTTP/1.1 200") && !bad  ? answered
             : answer.starts_with("HTTP/1.1 422") && bad ? refused
                                                         : other);
        }
      });
    for (int i = 0; i < 5; ++i) serving.reload();
    for (std::thread& client : clients) client.join();
  }
  CHECK(answered == 192);
  CHECK(refused == 48);
  CHECK(other == 0);
}
