// A word's characters lie in a linked list; a heap holds the merges that are possible in it, in their order. A merge
// adds two candidates, those with its neighbours, and makes up to two others void, which is noticed when they are
// taken out: the pieces at their place are others by then.
#include "text/subwords.h"

#include <algorithm>

#include "text/packed_bytes.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace mnemo {
namespace {

constexpr std::string_view kSubwordsMagic = "mnemo-subwords-1\n";
constexpr std::int32_t kFirstMade = 0x110000;
constexpr std::uint32_t kNoPlace = ~std::uint32_t{0};

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
}

// Fibonacci hashing (Knuth, volume 3, section 6.4); the table uses the high bits.
std::size_t slot_hash(std::uint64_t pair, std::size_t slots) {
  return static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15u) >> 32) & (slots - 1);
}

}  // namespace

std::string byte_unit(unsigned char byte) { return fmt::format("<0x{:02X}>", byte); }

std::optional<unsigned char> byte_of_unit(std::string_view unit) {
  if (unit.size() != 6 || !unit.starts_with("<0x") || unit[5] != '>') return std::nullopt;
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  const int high = digit(unit[3]), low = digit(unit[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<unsigned char>(16 * high + low);
}

Subwords::Subwords(const std::vector<Merge>& merges) {
  reserve(merges.size());
  const auto symbol_of = [&](const std::string& piece) -> Symbol {
    if (const std::int32_t made = made_.find(piece); made >= 0) return kFirstMade + made;
    if (piece.empty() || utf8_length(piece[0]) != piece.size())
      fail("merges: \"{}\" is not made before it is merged", piece);
    return static_cast<Symbol>(decode_utf8(piece.data()).value);
  };
  for (const Merge& merge : merges) add(symbol_of(merge.left), symbol_of(merge.right));
}

void Subwords::reserve(std::size_t merges) {
  std::size_t slots = 64;
  while (slots < 2 * merges) slots *= 2;
  slots_.assign(slots, {});
  merges_.reserve(merges);
}

// A pair that was merged before keeps its first place in the order.
void Subwords::add(Symbol left, Symbol right) {
  const auto rank = static_cast<std::int32_t>(merges_.size());
  merges_.emplace_back(left, right);
  const std::int32_t made = made_.insert(text_of(left) + text_of(right));
  if (made == std::ssize(halves_)) halves_.emplace_back(left, right);
  auto& slot = const_cast<Slot&>(find(left, right));
  if (slot.rank < 0) slot = {pair_key(left, right), rank, kFirstMade + made};
}

const Subwords::Slot& Subwords::find(Symbol left, Symbol right) const {
  const std::uint64_t pair = pair_key(left, right);
  std::size_t at = slot_hash(pair, slots_.size());
  while (slots_[at].rank >= 0 && slots_[at].pair != pair) at = (at + 1) & (slots_.size() - 1);
  return slots_[at];
}

std::string Subwords::text_of(Symbol symbol) const {
  return symbol < kFirstMade ? to_utf8(static_cast<char32_t>(symbol)) : std::string(made_.text(symbol - kFirstMade));
}

void Subwords::limit_to(const Vocabulary& vocabulary) {
  limited_ = true;
  unit_.assign(halves_.size(), false);
  character_unit_.assign(kFirstMade, false);
  for (std::int32_t id = 1; id < vocabulary.size(); ++id) {
    const std::string_view text = vocabulary.text(id);
    if (const std::int32_t made = made_.find(text); made >= 0)
      unit_[static_cast<std::size_t>(made)] = true;
    else if (!text.empty() && utf8_length(text[0]) == text.size())
      character_unit_[decode_utf8(text.data()).value] = true;
  }
}

void Subwords::cut(std::string_view word, std::vector<Piece>& pieces, SubwordMemory& memory,
                   const MergeDropout& dropout) const {
  using Candidate = SubwordMemory::Candidate;
  auto& nodes = memory.nodes_;
  auto& queue = memory.queue_;
  auto& dropped = memory.dropped_;
  nodes.clear();
  queue.clear();
  dropped.clear();
  for (std::size_t at = 0; at < word.size();) {
    const CodePoint c = decode_utf8(word.data() + at);
    const auto number = static_cast<std::uint32_t>(nodes.size());
    nodes.push_back({static_cast<Symbol>(c.value), static_cast<std::uint32_t>(at), number + 1, number - 1});
    at += c.length;
  }
  if (nodes.empty()) return;
  nodes.back().next = kNoPlace;
  const auto consider = [&](std::uint32_t place) {
    const std::uint32_t next = nodes[place].next;
    if (next == kNoPlace) return;
    const Slot& slot = find(nodes[place].symbol, nodes[next].symbol);
    if (slot.rank < 0) return;
    queue.push_back({slot.rank, place, nodes[place].symbol, nodes[next].symbol});
    std::push_heap(queue.begin(), queue.end());
  };
  for (std::uint32_t i = 0; i + 1 < nodes.size(); ++i) consider(i);
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end());
    const Candidate first = queue.back();
    queue.pop_back();
    SubwordMemory::Node& node = nodes[first.place];
    if (node.symbol != first.left || node.next == kNoPlace || nodes[node.next].symbol != first.right) continue;
    if (dropout.rate > 0 && dropout.random->uniform() < dropout.rate) {
      dropped.push_back(first);
      continue;
    }
    SubwordMemory::Node& second = nodes[node.next];
    node.symbol = find(first.left, first.right).made;
    second.symbol = -1;
    node.next = second.next;
    if (second.next != kNoPlace) nodes[second.next].last = first.place;
    consider(first.place);
    if (first.place > 0) consider(node.last);
    for (const Candidate& candidate : dropped) {
      queue.push_back(candidate);
      std::push_heap(queue.begin(), queue.end());
    }
    dropped.clear();
  }
  for (std::uint32_t place = 0; place != kNoPlace; place = nodes[place].next)
    emit(nodes[place].symbol, nodes[place].begin, word, pieces);
}

void Subwords::for_each_unit(std::string_view word, SubwordMemory& memory,
                             const std::function<void(std::string_view unit)>& use) const {
  memory.pieces_.clear();
  cut(word, memory.pieces_, memory);
  std::size_t begin = 0;
  for (const Piece& piece : memory.pieces_) {
    if (piece.byte)
      use(byte_unit(static_cast<unsigned char>(word[begin])));
    else
      use(word.substr(begin, piece.end - begin));
    begin = piece.end;
  }
}

std::uint32_t Subwords::length_of(Symbol symbol) const {
  return symbol < kFirstMade ? utf8_length(to_utf8(static_cast<char32_t>(symbol))[0])
                             : static_cast<std::uint32_t>(made_.text(symbol - kFirstMade).size());
}

void Subwords::emit(Symbol symbol, std::uint32_t begin, std::string_view word, std::vector<Piece>& pieces) const {
  const std::uint32_t end = begin + length_of(symbol);
  if (symbol >= kFirstMade) {
    const auto made = static_cast<std::size_t>(symbol - kFirstMade);
    if (!limited_ || unit_[made]) return pieces.push_back({end, false});
    // Merges nest as deeply as a piece has characters at most, and each half is shorter.
    emit(halves_[made].first, begin, word, pieces);
    return emit(halves_[made].second, begin + length_of(halves_[made].first), word, pieces);
  }
  if (!limited_ || character_unit_[static_cast<std::size_t>(symbol)]) return pieces.push_back({end, false});
  for (std::uint32_t at = begin; at < end; ++at) pieces.push_back({at + 1, true});
}

std::string Subwords::serialize() const {
  std::string bytes(kSubwordsMagic);
  append_number(bytes, merges_.size());
  for (const auto& [left, right] : merges_) {
    append_number(bytes, static_cast<std::uint64_t>(left));
    append_number(bytes, static_cast<std::uint64_t>(right));
  }
  return bytes;
}

Subwords Subwords::parse(std::string_view bytes) {
  PackedReader reader(bytes, kSubwordsMagic, "the table of subwords");
  const std::uint64_t count = reader.number();
  if (count > reader.left()) reader.damaged("cut off");
  Subwords out;
  out.reserve(static_cast<std::size_t>(count));
  const auto symbol = [&]() -> Symbol {
    const std::uint64_t number = reader.number();
    if (number >= static_cast<std::uint64_t>(kFirstMade) + out.halves_.size() || (number >= 0xD800 && number < 0xE000))
      reader.damaged("a piece that is not made before it is merged");
    return static_cast<Symbol>(number);
  };
  for (std::uint64_t i = 0; i < count; ++i) {
    const Symbol left = symbol(), right = symbol();
    if (out.length_of(left) + out.length_of(right) > kLongestPiece) reader.damaged("a piece that is too long");
    out.add(left, right);
  }
  reader.end();
  return out;
}

std::string PieceJoiner::add(std::string_view unit) {
  if (const auto byte = byte_of_unit(unit)) {
    bytes_ += static_cast<char>(*byte);
    return without_mark(take_characters(true));
  }
  const std::string before = take_characters(false);
  return without_mark(before + std::string(unit));
}

std::string PieceJoiner::end() {
  std::string out = without_mark(take_characters(false));
  begins_ = true;
  return out;
}

// Removes characters from the beginning of the bytes; with `wait` not one that further bytes may complete.
std::string PieceJoiner::take_characters(bool wait) {
  std::string out;
  while (const auto invalid = find_invalid_utf8(bytes_)) {
    out += bytes_.substr(0, invalid->offset);
    bytes_.erase(0, invalid->offset);
    const auto lead = static_cast<unsigned char>(bytes_[0]);
    if (wait && bytes_.size() == invalid->length && lead >= 0xC2 && lead <= 0xF4) return out;
    out += "\xEF\xBF\xBD";
    bytes_.erase(0, invalid->length);
  }
  out += bytes_;
  bytes_.clear();
  return out;
}

std::string PieceJoiner::without_mark(std::string text) {
  if (text.empty()) return text;
  if (std::exchange(begins_, false) && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

}  // namespace mnemo
