// What libmnemo-mpi.so offers: the few functions of MPI that a run needs, without MPI's own types, so that the program
// is built and started without MPI and does not depend on which MPI the module was built with.
#pragma once

extern "C" {

struct MnemoMpiMessage {
  int peer;
  void* data;  // only read where it is sent
  long long bytes;
};

// Functions return 0, or else leave a message of at most `room` bytes in `error`.
struct MnemoMpi {
  int version;          // kMnemoMpiVersion
  const char* library;  // which MPI it was built with
  int (*start)(int* rank, int* ranks, char* error, int room);
  // As Transport::exchange. `lost`: the process with which it failed, -1 if that is not known.
  int (*exchange)(const MnemoMpiMessage* sent, int sent_count, const MnemoMpiMessage* received, int received_count,
                  int* lost, char* error, int room);
  void (*end_all)(int exit_code);
  void (*finish)();
};

// The module's only function.
const MnemoMpi* mnemo_mpi();

}  // extern "C"

inline constexpr int kMnemoMpiVersion = 1;
