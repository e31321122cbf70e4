// A memory reserve for when memory runs out.
#pragma once

namespace mnemo {

/// Reserves some address space (not memory: it is never touched), so that where memory is limited, destructors that
/// allocate, such as those of JSON values, still can: half of it goes to the first allocation that fails, which is then
/// retried, the other half is for while an exception is propagating. If even the reserve is too much, a smaller one is
/// taken. To be called once, at the start of a program: it replaces the new-handler.
void hold_memory_reserve();

}  // namespace mnemo
