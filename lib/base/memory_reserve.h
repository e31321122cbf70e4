// Memory held back for the moment when there is none left.
#pragma once

namespace mnemo {

/// Holds back some address space (no memory: it is never touched), so that where memory is limited, destructors that
/// need some themselves, as those of JSON values, get it: one half for the first allocation that fails, which is tried
/// again, the other one while an exception is on its way. Where even the reserve is too much, less of it is held. Meant
/// to be called once, by a program at its start: it replaces the handler of `new`.
void hold_memory_reserve();

}  // namespace mnemo
