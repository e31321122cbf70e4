// Constraints on how a text may continue while it is generated.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace mnemo {

/// A rule over units, kept by never choosing one that breaks it. Each generated text has its own.
class Constraint {
 public:
  virtual ~Constraint() = default;
  virtual std::unique_ptr<Constraint> clone() const = 0;

  /// Sets `blocked` [V] to 1 for the units that may not come next, and leaves the others as they are.
  virtual void block(std::span<std::uint8_t> blocked) const = 0;
  /// Reports the next unit, which must be allowed.
  virtual void note(std::int32_t unit) = 0;
  /// Whether nothing more may come.
  virtual bool ended() const = 0;
  /// Whether the text may stop here.
  virtual bool complete() const { return ended(); }

  /// Whether text that it requires goes on with `unit`, which may then repeat a sequence although repetitions are
  /// blocked.
  virtual bool demands(std::int32_t /*unit*/) const { return false; }

  /// A constraint that wants units at any place, which a search has to try for (Post & Vilar 2018, "Fast Lexically
  /// Constrained Decoding with Dynamic Beam Allocation").
  virtual bool has_terms() const { return false; }
  /// The units that would bring it forward.
  virtual std::vector<std::int32_t> wanted() const { return {}; }
  /// How many of the units of its terms the text has once `unit` follows.
  virtual std::int64_t progress_with(std::int32_t /*unit*/) const { return 0; }

 protected:
  Constraint() = default;
  Constraint(const Constraint&) = default;
  Constraint& operator=(const Constraint&) = default;
};

}  // namespace mnemo
