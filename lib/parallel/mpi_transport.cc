#include "parallel/mpi_transport.h"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <filesystem>

#include "parallel/mpi_module.h"

namespace mnemo {
namespace {

constexpr const char* kModule = "libmnemo-mpi.so";

// A number from the first of these variables that has one; `otherwise` if none has.
int number_from(std::initializer_list<const char*> names, int otherwise) {
  for (const char* name : names)
    if (const char* text = std::getenv(name)) {
      char* end = nullptr;
      const long value = std::strtol(text, &end, 10);
      if (end != text && *end == '\0' && value >= 0 && value <= INT_MAX) return static_cast<int>(value);
    }
  return otherwise;
}

// Open MPI's components look for MPI's symbols among the global ones.
void* open_module() {
  std::string reason;
  std::error_code ignored;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  const std::filesystem::path folder = program.parent_path();
  for (const auto& path :
       {folder / kModule, folder.parent_path() / "lib" / "mnemo" / kModule, std::filesystem::path(kModule)}) {
    if (path.has_parent_path() && !std::filesystem::exists(path, ignored)) continue;
    if (void* const module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL)) return module;
    if (reason.empty()) reason = ::dlerror();
  }
  fail(
      "{} cannot be loaded ({}): training over processes needs it; install mpi-default-dev (Debian, Ubuntu) and build "
      "mnemo again, or start it without mpirun",
      kModule, reason);
}

const MnemoMpi& module_functions() {
  void* const module = open_module();
  const auto get = reinterpret_cast<decltype(&mnemo_mpi)>(::dlsym(module, "mnemo_mpi"));
  const MnemoMpi* const out = get ? get() : nullptr;
  if (!out || out->version != kMnemoMpiVersion) fail("{}: is of another version of mnemo", kModule);
  return *out;
}

class MpiTransport : public Transport {
 public:
  explicit MpiTransport(const MnemoMpi& mpi) : mpi_(mpi) {
    if (mpi_.start(&rank_, &ranks_, error_.data(), std::ssize(error_)))
      fail("MPI cannot be started: {}", error_.data());
  }
  ~MpiTransport() override { mpi_.finish(); }

  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }
  void end_all(int exit_code) override { mpi_.end_all(exit_code); }

 private:
  void do_exchange(std::span<const Outgoing> sent, std::span<const Incoming> received) override {
    out_.clear();
    in_.clear();
    for (const Outgoing& one : sent) out_.push_back({one.to, const_cast<void*>(one.data), one.bytes});
    for (const Incoming& one : received) in_.push_back({one.from, one.data, one.bytes});
    int lost = -1;
    if (mpi_.exchange(out_.data(), static_cast<int>(out_.size()), in_.data(), static_cast<int>(in_.size()), &lost,
                      error_.data(), std::ssize(error_)) == 0)
      return;
    if (lost < 0) fail("an exchange between the processes has failed: {}", error_.data());
    fail("process {} is lost: {}", lost, error_.data());
  }

  const MnemoMpi& mpi_;
  int rank_ = 0, ranks_ = 1;
  std::array<char, 512> error_{};
  std::vector<MnemoMpiMessage> out_, in_;
};

}  // namespace

Launched launched() {
  Launched out;
  out.rank = number_from({"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"}, 0);
  // Slurm's number of tasks alone says nothing: a batch script that starts one process has it too.
  const int unknown = std::getenv("PMIX_RANK") ? number_from({"SLURM_NTASKS"}, 0) : 1;
  out.ranks = number_from({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}, unknown);
  return out;
}

std::unique_ptr<Transport> join_launched(const Launched& by) {
  if (by.ranks == 1) return nullptr;
  const MnemoMpi& mpi = module_functions();
  auto out = std::make_unique<MpiTransport>(mpi);
  if (by.ranks > 1 && out->ranks() != by.ranks)
    fail("mpirun has started {} processes, of which {} finds {}: it was built with {}, and mpirun is of another MPI",
         by.ranks, kModule, out->ranks(), mpi.library);
  if (out->ranks() == 1) return nullptr;
  return out;
}

}  // namespace mnemo
