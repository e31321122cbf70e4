// Where a server listens.
#pragma once

#include <string>
#include <string_view>

namespace mnemo {

/// A socket that accepts connections. Its file, if it has one, is removed with it.
class Listener {
 public:
  /// `address`: "127.0.0.1:8080", "[::1]:8080", "localhost:0" (any free port), "unix:PATH". Throws UsageError for
  /// anything else, Error if it cannot listen there.
  explicit Listener(const std::string& address);
  /// A socket that is bound, as a service manager passes it on. Throws Error if none can connect to it.
  explicit Listener(int descriptor);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int descriptor() const { return descriptor_; }
  /// "http://127.0.0.1:8080", "unix:PATH".
  const std::string& shown_address() const { return shown_; }
  bool is_unix() const { return is_unix_; }
  /// Whether only this machine can connect.
  bool is_local() const { return is_local_; }

 private:
  void open_unix(const std::string& path);
  void open_internet(const std::string& address);
  void describe();

  int descriptor_ = -1;
  std::string path_, shown_;
  bool is_unix_ = false, is_local_ = false;
};

/// The descriptor of the socket that a service manager passed to this process (LISTEN_PID, LISTEN_FDS), or -1.
int inherited_socket();

/// Whether a Host header names this machine's loopback interface: localhost, 127.0.0.0/8 or [::1], with or without a
/// port.
bool is_loopback_host(std::string_view host);

}  // namespace mnemo
