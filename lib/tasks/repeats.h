// Records whose text occurred before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "tasks/dataset.h"

namespace mnemo {

/// A record of set 0, train, or of one of the others, from 1, that has the text of a record of train; `first` is the
/// first such record of train, which comes before if the record is of train, too.
using UseRepeat = std::function<void(std::size_t set, std::int64_t record, std::int64_t first)>;

/// Finds all of them, in no particular order. Takes 8 bytes of the storage a record, and some 256 MB
/// at most beside it. `use` is called by one thread at a time.
void find_repeats(const RecordSet& train, const std::vector<const RecordSet*>& others, const UseRepeat& use);

}  // namespace mnemo
