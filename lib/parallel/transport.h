// Messages between the processes of a run that share its work.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"

namespace mnemo {

struct Outgoing {
  int to;
  const void* data;
  std::int64_t bytes;
};
struct Incoming {
  int from;
  void* data;
  std::int64_t bytes;
};

/// An error that all processes throw alike: process 0 reports it for all of them.
class SharedError : public Error {
 public:
  SharedError(const std::string& message, int exit_code) : Error(message), code(exit_code) {}

  const int code;
};

/// One process's end of the connections between `ranks()` processes, numbered from 0. One thread at a time may use it.
class Transport {
 public:
  virtual ~Transport() = default;

  virtual int rank() const = 0;
  virtual int ranks() const = 0;

  /// Sends and receives, and returns when all of it is done. What one process sends to another arrives in the order in
  /// which it is sent, and its sizes must be those that the receiver expects. Throws Error, naming the process, if one
  /// is lost.
  void exchange(std::span<const Outgoing> sent, std::span<const Incoming> received);

  /// Ends all processes of the run, this one included where they are processes of the system. For an error that the
  /// others do not know of and would wait for ever because of.
  virtual void end_all(int exit_code) = 0;

  /// Set while the others are or will be in an `exchange` with this process, so that they do not learn in `agree` that
  /// it cannot go on: an error must end them by `end_all`.
  bool awaited = false;

  std::uint64_t bytes_sent() const { return bytes_sent_; }
  double seconds() const { return seconds_; }  ///< spent in `exchange`, waiting included

 private:
  virtual void do_exchange(std::span<const Outgoing> sent, std::span<const Incoming> received) = 0;

  std::uint64_t bytes_sent_ = 0;
  double seconds_ = 0;
};

/// The texts that the processes call it with, by rank.
std::vector<std::string> all_gather(Transport& transport, const std::string& own);

/// Gives every process the bytes that process 0 has. Their number must be the same in all.
void broadcast(Transport& transport, void* data, std::int64_t bytes);

/// How fast messages are.
struct LinkSpeed {
  double bytes_per_s = 0;  ///< sent by each process while all send
  double latency = 0;      ///< seconds that an exchange of a few bytes among all takes
};
/// Medians of messages around the ring of processes, all of which must call it; every process gets the speed of the
/// slowest.
LinkSpeed measure_links(Transport& transport);

/// What must be the same in all processes: a name, as it reads in a message, and a value.
struct Fact {
  std::string name, value;
};

/// Returns when every process has called it with the same facts. Else, or if one has called `give_up` instead, throws
/// SharedError in all of them, which names the first process that differs and the fact.
void agree(Transport& transport, const std::vector<Fact>& facts);

/// Tells the others, which are or will be in `agree`, that this process cannot go on, and throws SharedError as they
/// do.
[[noreturn]] void give_up(Transport& transport, const std::string& message, int exit_code);

}  // namespace mnemo
