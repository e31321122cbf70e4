#include "tasks/cut_anew.h"

#include "base/random.h"

namespace mnemo {

Corpus cut_anew(std::int64_t records, double rate, std::uint64_t seed, std::int64_t epoch, const EncodeRecord& encode) {
  Corpus out;
  EncodedText encoded;
  for (std::int64_t record = 0; record < records; ++record) {
    RandomStream random(seed, Purpose::kSubword, static_cast<std::uint64_t>(epoch), static_cast<std::uint32_t>(record));
    encode(record, encoded, {rate, &random});
    out.add(encoded);
  }
  return out;
}

}  // namespace mnemo
