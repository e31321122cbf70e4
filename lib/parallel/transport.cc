#include "parallel/transport.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <optional>

#include "base/json.h"

namespace mnemo {
namespace {

constexpr const char *kFacts = "facts", *kFailure = "failure", *kCode = "code";

// The first process that has failed, and whether the others have failed alike.
std::optional<SharedError> first_failure(const std::vector<Json>& told) {
  const auto failed = std::ranges::find_if(told, [](const Json& one) { return one.contains(kFailure); });
  if (failed == told.end()) return std::nullopt;
  const auto message = failed->at(kFailure).get<std::string>();
  const bool alike = std::ranges::all_of(told, [&](const Json& one) { return one == *failed; });
  return SharedError(
      alike || failed == told.begin() ? message : fmt::format("process {}: {}", failed - told.begin(), message),
      failed->at(kCode).get<int>());
}

void check_facts(const std::vector<Json>& told) {
  const Json& first = told.front().at(kFacts);
  for (std::size_t rank = 1; rank < told.size(); ++rank) {
    const Json& other = told[rank].at(kFacts);
    for (std::size_t i = 0; i < std::max(first.size(), other.size()); ++i) {
      if (i < first.size() && i < other.size() && first[i] == other[i]) continue;
      const auto shown = [&](const Json& facts) {
        return i < facts.size() ? fmt::format("{} {}", facts[i][0].get<std::string>(), facts[i][1].get<std::string>())
                                : std::string("nothing more");
      };
      throw SharedError(
          fmt::format("process {} has {}, process 0 has {}; all processes of a run need the same program, "
                      "kind of processor, configuration and data",
                      rank, shown(other), shown(first)),
          2);
    }
  }
}

void settle(Transport& transport, const Json& own) {
  std::vector<Json> told;
  for (const std::string& text : all_gather(transport, own.dump(-1, ' ', false, Json::error_handler_t::replace)))
    told.push_back(parse_json(text));
  if (const auto failure = first_failure(told)) throw SharedError(*failure);
  check_facts(told);
}

}  // namespace

void Transport::exchange(std::span<const Outgoing> sent, std::span<const Incoming> received) {
  const auto start = std::chrono::steady_clock::now();
  do_exchange(sent, received);
  for (const Outgoing& one : sent) bytes_sent_ += static_cast<std::uint64_t>(one.bytes);
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<std::string> all_gather(Transport& transport, const std::string& own) {
  const int ranks = transport.ranks(), rank = transport.rank();
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(ranks));
  const std::int64_t size = std::ssize(own);
  std::vector<std::string> out(static_cast<std::size_t>(ranks));
  std::vector<Outgoing> sent;
  std::vector<Incoming> received;
  const auto exchange_all = [&](const void* data, std::int64_t bytes, const auto& place) {
    sent.clear();
    received.clear();
    for (int other = 0; other < ranks; ++other) {
      if (other == rank) continue;
      sent.push_back({other, data, bytes});
      received.push_back(place(static_cast<std::size_t>(other)));
    }
    transport.exchange(sent, received);
  };
  exchange_all(&size, sizeof size, [&](std::size_t r) {
    return Incoming{static_cast<int>(r), &sizes[r], sizeof sizes[r]};
  });
  exchange_all(own.data(), size, [&](std::size_t r) {
    out[r].resize(static_cast<std::size_t>(sizes[r]));
    return Incoming{static_cast<int>(r), out[r].data(), sizes[r]};
  });
  out[static_cast<std::size_t>(rank)] = own;
  return out;
}

void broadcast(Transport& transport, void* data, std::int64_t bytes) {
  std::vector<Outgoing> sent;
  std::vector<Incoming> received;
  if (transport.rank() > 0)
    received.push_back({0, data, bytes});
  else
    for (int other = 1; other < transport.ranks(); ++other) sent.push_back({other, data, bytes});
  transport.exchange(sent, received);
}

LinkSpeed measure_links(Transport& transport) {
  constexpr std::int64_t kBytes = std::int64_t{4} << 20;
  constexpr std::size_t kTimes = 9;
  std::vector<char> own(kBytes), theirs(kBytes);
  const int next = (transport.rank() + 1) % transport.ranks(),
            previous = (transport.rank() + transport.ranks() - 1) % transport.ranks();
  const auto median = [&](const auto& exchange) {
    std::array<double, kTimes> out{};
    for (double& seconds : out) {
      const double before = transport.seconds();
      exchange();
      seconds = transport.seconds() - before;
    }
    std::ranges::sort(out);
    return out[kTimes / 2];
  };
  LinkSpeed out;
  out.latency = median([&] { static_cast<void>(all_gather(transport, "")); }) / 2;  // it is two exchanges
  out.bytes_per_s = static_cast<double>(kBytes) / median([&] {
                      const std::array sent{Outgoing{next, own.data(), kBytes}};
                      const std::array received{Incoming{previous, theirs.data(), kBytes}};
                      transport.exchange(sent, received);
                    });
  for (const std::string& text : all_gather(transport, Json{out.bytes_per_s, out.latency}.dump())) {
    const Json other = parse_json(text);
    out.bytes_per_s = std::min(out.bytes_per_s, other[0].get<double>());
    out.latency = std::max(out.latency, other[1].get<double>());
  }
  return out;
}

void agree(Transport& transport, const std::vector<Fact>& facts) {
  Json own = Json::array();
  for (const Fact& fact : facts) own.push_back({fact.name, fact.value});
  settle(transport, {{kFacts, own}});
}

void give_up(Transport& transport, const std::string& message, int exit_code) {
  settle(transport, {{kFailure, message}, {kCode, exit_code}});
  throw SharedError(message, exit_code);  // not reached: a failure was told
}

}  // namespace mnemo
