// What a text that is being generated may go on with.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace mnemo {

/// A rule over units, kept by never giving one that breaks it. Each text that is generated has its own.
class Constraint {
 public:
  virtual ~Constraint() = default;
  virtual std::unique_ptr<Constraint> clone() const = 0;

  /// Sets 1 in `blocked` [V] at the units that may not come next, and leaves the others as they are.
  virtual void block(std::span<std::uint8_t> blocked) const = 0;
  /// The next unit is this one, which must be allowed.
  virtual void note(std::int32_t unit) = 0;
  /// Nothing more may come.
  virtual bool ended() const = 0;

 protected:
  Constraint() = default;
  Constraint(const Constraint&) = default;
  Constraint& operator=(const Constraint&) = default;
};

}  // namespace mnemo
