#include "tasks/generate/stream_parts.h"

#include <algorithm>
#include <utility>

namespace mnemo {
namespace {

// Reads on at the beginning of a text of `units` units where its end is reached.
ReadUnits cyclic(const ReadUnits& read, std::int64_t units) {
  return [&read, units](std::int64_t first, std::span<std::int32_t> out) {
    while (!out.empty()) {
      const std::int64_t at = first % units, count = std::min<std::int64_t>(std::ssize(out), units - at);
      read(at, out.first(static_cast<std::size_t>(count)));
      out = out.subspan(static_cast<std::size_t>(count));
      first += count;
    }
  };
}

}  // namespace

StreamParts::StreamParts(std::int64_t units, std::int64_t parts, std::int64_t steps)
    : units_(units), parts_(std::min(parts, units)), steps_(steps), longest_((units + parts_ - 1) / parts_) {}

std::int64_t StreamParts::first(std::int64_t part) const {
  return part * (units_ / parts_) + std::min(part, units_ % parts_);
}

StreamParts::Rows StreamParts::rows(std::int64_t batch, ShardRange parts, const ReadUnits& read,
                                    std::int32_t text_end) const {
  const std::int64_t done = batch * steps_;
  std::vector<std::int32_t> lengths;
  for (std::int64_t p = parts.first; p < parts.end; ++p)
    lengths.push_back(static_cast<std::int32_t>(std::clamp<std::int64_t>(first(p + 1) - first(p) - done, 0, steps_)));
  Rows out{Packing(lengths), {}, {}};
  out.ids.resize(static_cast<std::size_t>(out.packing.tokens()));
  out.targets.resize(out.ids.size());
  const ReadUnits from = cyclic(read, units_);
  // place_units takes a sequence by its place in the packing, whose order is that of the parts: the longer ones are
  // first.
  for (std::int64_t p = parts.first; p < parts.end; ++p)
    place_units(from, offset_ + first(p) + done, lengths[static_cast<std::size_t>(p - parts.first)], text_end,
                out.packing, p - parts.first, out.ids, out.targets);
  return out;
}

}  // namespace mnemo
