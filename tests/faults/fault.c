// To be loaded before the C library (LD_PRELOAD): makes one call of a kind fail, or be cut short.
//
// MNEMO_FAULT=CALL:K:ERROR        the K-th call of CALL from the start of the process fails with ERROR
// MNEMO_FAULT=CALL:K:SHORT        the K-th read or write takes one byte, or half of them
// MNEMO_FAULT=CALL:0:ERROR        no call fails
// MNEMO_FAULT_COUNT=FILE          the number of calls is kept in FILE, 8 bytes in the machine's byte order
//
// CALL is one of the names given to hit() below, ERROR one of those in kErrors.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kShort = -1 };

static const struct {
  const char* name;
  int code;
} kErrors[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EINTR", EINTR},   {"EMFILE", EMFILE},
               {"EACCES", EACCES}, {"ENOMEM", ENOMEM}, {"EAGAIN", EAGAIN}, {"SHORT", kShort}};

static char call_name[16];
static int64_t chosen, own_count;
static int64_t* count = &own_count;
static int error_code;

__attribute__((constructor(101))) static void read_environment(void) {
  const char* fault = getenv("MNEMO_FAULT");
  const char* file = getenv("MNEMO_FAULT_COUNT");
  char error[16];
  long long k = 0;
  if (!fault || sscanf(fault, "%15[a-z]:%lld:%15[A-Z]", call_name, &k, error) != 3) return;
  for (size_t i = 0; i < sizeof kErrors / sizeof kErrors[0]; ++i)
    if (strcmp(kErrors[i].name, error) == 0) error_code = kErrors[i].code;
  if (file) {
    const int descriptor = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (descriptor >= 0 && syscall(SYS_ftruncate, descriptor, sizeof *count) == 0) {
      void* shared = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
      if (shared != MAP_FAILED) count = shared;
    }
    if (descriptor >= 0) syscall(SYS_close, descriptor);
  }
  chosen = k;
}

// Whether this call is the one to fail; sets errno.
static int hit(const char* call) {
  if (error_code == 0 || strcmp(call, call_name) != 0) return 0;
  if (__atomic_add_fetch(count, 1, __ATOMIC_RELAXED) != chosen) return 0;
  if (error_code != kShort) errno = error_code;
  return 1;
}

#define REAL(name)               \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void* data, size_t bytes) {
  REAL(write);
  if (!hit("write")) return real(fd, data, bytes);
  return error_code == kShort ? real(fd, data, bytes > 1 ? bytes / 2 : bytes) : -1;
}

ssize_t read(int fd, void* data, size_t bytes) {
  REAL(read);
  if (!hit("read")) return real(fd, data, bytes);
  return error_code == kShort ? real(fd, data, bytes > 1 ? 1 : bytes) : -1;
}

int fsync(int fd) {
  REAL(fsync);
  return hit("fsync") ? -1 : real(fd);
}

// A descriptor that fails to close is closed all the same, as on Linux.
int close(int fd) {
  REAL(close);
  if (!hit("close")) return real(fd);
  const int code = errno;
  real(fd);
  errno = code;
  return -1;
}

static mode_t mode_of(int flags, va_list rest) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return hit("open") ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return hit("open") ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

FILE* fopen(const char* path, const char* mode) {
  REAL(fopen);
  return hit("open") ? NULL : real(path, mode);
}

int rename(const char* from, const char* to) {
  REAL(rename);
  return hit("rename") ? -1 : real(from, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned int flags) {
  REAL(renameat2);
  return hit("rename") ? -1 : real(from_folder, from, to_folder, to, flags);
}

int stat(const char* restrict path, struct stat* restrict status) {
  REAL(stat);
  return hit("stat") ? -1 : real(path, status);
}

int fstat(int fd, struct stat* status) {
  REAL(fstat);
  return hit("fstat") ? -1 : real(fd, status);
}

int fchmod(int fd, mode_t mode) {
  REAL(fchmod);
  return hit("fchmod") ? -1 : real(fd, mode);
}

int flock(int fd, int operation) {
  REAL(flock);
  return hit("flock") ? -1 : real(fd, operation);
}

int mkdir(const char* path, mode_t mode) {
  REAL(mkdir);
  return hit("mkdir") ? -1 : real(path, mode);
}

size_t fwrite(const void* data, size_t size, size_t n, FILE* file) {
  REAL(fwrite);
  return hit("fwrite") ? 0 : real(data, size, n, file);
}

int fflush(FILE* file) {
  REAL(fflush);
  return hit("fflush") ? EOF : real(file);
}

// The C library's own names of these, as dlsym needs memory itself.
extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

void* malloc(size_t bytes) { return hit("malloc") ? NULL : __libc_malloc(bytes); }
void* calloc(size_t n, size_t bytes) { return hit("malloc") ? NULL : __libc_calloc(n, bytes); }
void* realloc(void* old, size_t bytes) { return hit("malloc") ? NULL : __libc_realloc(old, bytes); }
void* aligned_alloc(size_t alignment, size_t bytes) { return hit("malloc") ? NULL : __libc_memalign(alignment, bytes); }

int posix_memalign(void** out, size_t alignment, size_t bytes) {
  if (hit("malloc")) return ENOMEM;
  *out = __libc_memalign(alignment, bytes);
  return *out ? 0 : ENOMEM;
}
