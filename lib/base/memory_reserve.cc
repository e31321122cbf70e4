#include "base/memory_reserve.h"

#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <exception>
#include <new>

namespace mnemo {
namespace {

// Enough for the JSON library to free a document of kMaxJsonValues values, 16 bytes each, and some more.
constexpr std::size_t kHalf = std::size_t{40} << 20;
constexpr std::size_t kLeast = std::size_t{1} << 20;

struct Reserve {
  void hold() {
    for (bytes = kHalf; bytes >= kLeast; bytes /= 2) {
      void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (mapped != MAP_FAILED) {
        at = mapped;
        return;
      }
    }
  }

  // False if it was given back before.
  bool give_back() {
    void* mapped = at.exchange(nullptr);
    return mapped != nullptr && ::munmap(mapped, bytes) == 0;
  }

  std::atomic<void*> at = nullptr;
  std::size_t bytes = 0;
};

Reserve to_go_on, to_unwind;

void out_of_memory() {
  if (to_go_on.give_back()) return;
  if (std::uncaught_exceptions() > 0 && to_unwind.give_back()) return;
  throw std::bad_alloc();
}

}  // namespace

void hold_memory_reserve() {
  to_unwind.hold();
  to_go_on.hold();
  std::set_new_handler(out_of_memory);
}

}  // namespace mnemo
