// libmnemo-mpi.so: MPI behind the few functions of lib/parallel/mpi_module.h.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>

#include "parallel/mpi_module.h"

namespace {

// MPI counts in int.
constexpr long long kLargest = 1LL << 30;
constexpr int kTag = 1;

int fail_with(int code, char* error, int room) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  std::snprintf(error, static_cast<std::size_t>(room), "%s", text);
  return 1;
}

int start(int* rank, int* ranks, char* error, int room) {
  int provided = 0;
  if (const int code = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided); code != MPI_SUCCESS)
    return fail_with(code, error, room);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, rank);
  MPI_Comm_size(MPI_COMM_WORLD, ranks);
  return 0;
}

// MPI itself waits by asking without pause, which would take a core from the threads of another process on the same
// machine. Here others may run between two questions, and who has waited long, as while dev is evaluated, asks less
// often.
class Pause {
 public:
  void wait() {
    if (std::chrono::steady_clock::now() - start_ < std::chrono::milliseconds(20)) {
      sched_yield();
      return;
    }
    const timespec rest{0, 200'000};
    nanosleep(&rest, nullptr);
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

int finish_all(std::vector<MPI_Request>& requests, const std::vector<int>& peers, int* lost, char* error, int room) {
  std::vector<MPI_Status> statuses(requests.size());
  Pause pause;
  for (int done = 0; !done; pause.wait()) {
    const int code = MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, statuses.data());
    if (code == MPI_SUCCESS) {
      if (done) return 0;
      continue;
    }
    if (code == MPI_ERR_IN_STATUS)
      for (std::size_t i = 0; i < statuses.size(); ++i)
        if (statuses[i].MPI_ERROR != MPI_SUCCESS && statuses[i].MPI_ERROR != MPI_ERR_PENDING) {
          *lost = peers[i];
          return fail_with(statuses[i].MPI_ERROR, error, room);
        }
    return fail_with(code, error, room);
  }
  return 0;
}

int exchange(const MnemoMpiMessage* sent, int sent_count, const MnemoMpiMessage* received, int received_count,
             int* lost, char* error, int room) {
  *lost = -1;
  std::vector<MPI_Request> requests;
  std::vector<int> peers;
  const auto post = [&](const MnemoMpiMessage& message, bool send) {
    char* data = static_cast<char*>(message.data);
    for (long long left = message.bytes; left > 0;) {
      const int count = static_cast<int>(std::min(left, kLargest));
      requests.push_back(MPI_REQUEST_NULL);
      peers.push_back(message.peer);
      const int code = send ? MPI_Isend(data, count, MPI_BYTE, message.peer, kTag, MPI_COMM_WORLD, &requests.back())
                            : MPI_Irecv(data, count, MPI_BYTE, message.peer, kTag, MPI_COMM_WORLD, &requests.back());
      if (code != MPI_SUCCESS) {
        *lost = message.peer;
        return fail_with(code, error, room);
      }
      data += count;
      left -= count;
    }
    return 0;
  };
  for (int i = 0; i < received_count; ++i)
    if (const int failed = post(received[i], false)) return failed;
  for (int i = 0; i < sent_count; ++i)
    if (const int failed = post(sent[i], true)) return failed;
  return requests.empty() ? 0 : finish_all(requests, peers, lost, error, room);
}

void end_all(int exit_code) { MPI_Abort(MPI_COMM_WORLD, exit_code); }

void finish() {
  int finished = 0;
  MPI_Finalized(&finished);
  if (!finished) MPI_Finalize();
}

const char* library() {
  static char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  text[std::strcspn(text, ",\n")] = '\0';
  return text;
}

}  // namespace

extern "C" const MnemoMpi* mnemo_mpi() {
  static const MnemoMpi module{kMnemoMpiVersion, library(), start, exchange, end_all, finish};
  return &module;
}
