#include "serve/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/shown.h"

namespace mnemo {
namespace {

constexpr int kBacklog = 4096;  // the system may have a lower limit
constexpr std::string_view kUnixScheme = "unix:";
constexpr int kFirstInherited = 3;

std::string system_reason() { return std::strerror(errno); }

int number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  return text ? std::atoi(text) : 0;
}

// Whether a file is a socket that nobody listens at any longer.
bool is_dead_socket(const std::string& path, const sockaddr_un& address) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool dead =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return dead;
}

}  // namespace

Listener::Listener(const std::string& address) {
  try {
    if (address.starts_with(kUnixScheme))
      open_unix(address.substr(kUnixScheme.size()));
    else
      open_internet(address);
    if (::listen(descriptor_, kBacklog) != 0) fail("{}: cannot listen: {}", shown(address), system_reason());
    describe();
  } catch (...) {
    if (descriptor_ >= 0) ::close(descriptor_);
    throw;
  }
}

Listener::Listener(int descriptor) : descriptor_(descriptor) {
  const auto option = [&](int name) {
    int value = 0;
    socklen_t length = sizeof value;
    if (::getsockopt(descriptor_, SOL_SOCKET, name, &value, &length) != 0)
      fail("descriptor {} of the service manager: expected a socket: {}", descriptor_, system_reason());
    return value;
  };
  if (option(SO_TYPE) != SOCK_STREAM)
    fail("descriptor {} of the service manager: expected a stream socket (ListenStream=)", descriptor_);
  if (option(SO_ACCEPTCONN) == 0 && ::listen(descriptor_, kBacklog) != 0)
    fail("descriptor {} of the service manager: cannot listen: {}", descriptor_, system_reason());
  ::fcntl(descriptor_, F_SETFL, ::fcntl(descriptor_, F_GETFL) | O_NONBLOCK);
  ::fcntl(descriptor_, F_SETFD, FD_CLOEXEC);
  describe();
}

Listener::~Listener() {
  ::close(descriptor_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

void Listener::open_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    throw UsageError(fmt::format("--listen: expected unix:PATH with a path of 1 to {} bytes, found {}",
                                 sizeof address.sun_path - 1, path.size()));
  std::memcpy(address.sun_path, path.c_str(), path.size());
  if (is_dead_socket(path, address)) ::unlink(path.c_str());
  descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor_ < 0 || ::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail("unix:{}: cannot listen: {}", shown(path), system_reason());
  path_ = path;
}

void Listener::open_internet(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon == std::string::npos ? 0 : colon);
  const std::string port = colon == std::string::npos ? "" : address.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  int number = -1;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (host.empty() || error != std::errc() || end != port.data() + port.size() || number < 0 || number > 65535)
    throw UsageError(
        fmt::format("--listen: expected ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH, found \"{}\"", shown(address)));
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); code != 0)
    fail("--listen {}: {}", shown(address), ::gai_strerror(code));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  descriptor_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int yes = 1;
  if (descriptor_ >= 0) ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (descriptor_ < 0 || ::bind(descriptor_, found->ai_addr, found->ai_addrlen) != 0)
    fail("{}: cannot listen: {}", shown(address), system_reason());
}

void Listener::describe() {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
    fail("the socket to listen at: {}", system_reason());
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_UNIX) {
    is_unix_ = is_local_ = true;
    shown_ = "unix:" + std::string(reinterpret_cast<const sockaddr_un*>(&address)->sun_path);
  } else if (address.ss_family == AF_INET) {
    const auto* const four = reinterpret_cast<const sockaddr_in*>(&address);
    ::inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
    is_local_ = ntohl(four->sin_addr.s_addr) >> 24 == 127;
    shown_ = fmt::format("http://{}:{}", text, ntohs(four->sin_port));
  } else if (address.ss_family == AF_INET6) {
    const auto* const six = reinterpret_cast<const sockaddr_in6*>(&address);
    ::inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
    is_local_ = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
    shown_ = fmt::format("http://[{}]:{}", text, ntohs(six->sin6_port));
  } else {
    fail("the socket to listen at is neither of the internet nor of a path");
  }
}

int inherited_socket() {
  return number_in("LISTEN_PID") == ::getpid() && number_in("LISTEN_FDS") >= 1 ? kFirstInherited : -1;
}

bool is_loopback_host(std::string_view host) {
  std::string name(host.substr(0, host.starts_with('[') ? std::min(host.find(']'), host.size() - 1) + 1
                                                        : std::min(host.find(':'), host.size())));
  const std::string_view rest = host.substr(name.size());
  const auto is_digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  if (!rest.empty() && (rest[0] != ':' || !std::ranges::all_of(rest.substr(1), is_digit))) return false;
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name == "localhost" || name == "[::1]") return true;
  in_addr four{};
  return ::inet_pton(AF_INET, name.c_str(), &four) == 1 && ntohl(four.s_addr) >> 24 == 127;
}

}  // namespace mnemo
