#include "apps/mnemo/sampling_options.h"

#include "pipeline/generation_record.h"

namespace mnemo {

void add_sampling(Command& command, SamplingOptions& sampling, std::uint64_t& seed, const std::string& needed) {
  const auto add = [&](const char* flags, const char* placeholder, auto* to, const char* name) {
    const SkillKey& key = generation_key(name);
    CommandOption& option = command.option(flags, placeholder, to, key.help).range(key.low, key.high);
    if (!needed.empty()) option.needs(needed);
  };
  add("-s,--seed", "S", &seed, "seed");
  add("-t,--temperature", "T", &sampling.temperature, "temperature");
  add("-k,--top-k", "K", &sampling.top_k, "top_k");
  add("--top-p", "P", &sampling.top_p, "top_p");
  add("--min-p", "P", &sampling.min_p, "min_p");
}

}  // namespace mnemo
