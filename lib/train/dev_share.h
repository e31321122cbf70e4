// The part of dev that a process evaluates, where several train together.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "parallel/transport.h"
#include "train/shard.h"

namespace mnemo {

/// Each process finds what belongs to its part; then all have all of it, and compute the metrics from it alike.
class DevShare {
 public:
  /// Null: one process, which has it all.
  explicit DevShare(Transport* transport) : transport_(transport) {}

  /// This process's number among them.
  Shard part() const { return transport_ ? Shard{transport_->rank(), transport_->ranks()} : Shard(); }

  /// Puts together values of which each process has computed some and left the others 0.
  template <class Value>
  void unite(std::vector<Value>& values) const {
    static_assert(std::is_trivially_copyable_v<Value>);
    unite_bytes(values.data(), values.size() * sizeof(Value));
  }
  /// The values of all processes, those of process 0 first.
  std::vector<double> joined(const std::vector<double>& own) const;
  std::vector<std::string> joined(const std::vector<std::string>& own) const;

 private:
  void unite_bytes(void* data, std::size_t bytes) const;

  Transport* transport_;
};

}  // namespace mnemo
