#include "text/rhyme.h"

#include <algorithm>
#include <array>

#include "text/utf8.h"

namespace mnemo {
namespace {

struct Group {
  std::string_view name, characters;
};
#include "text/rhyme_tables.inc"

struct Book {
  RhymeBook book;
  std::string_view name;
  std::span<const Group> groups;
};
constexpr std::array<Book, 3> kBooks{{{RhymeBook::kPingshui, "pingshui", kPingshui},
                                      {RhymeBook::kXinyun, "xinyun", kXinyun},
                                      {RhymeBook::kCilin, "cilin", kCilin}}};

const Book& find(RhymeBook book) {
  return *std::find_if(kBooks.begin(), kBooks.end(), [&](const Book& b) { return b.book == book; });
}

// The Pingshui book lists 30 level groups, 29 rising, 30 departing and 17 entering ones, the first three in the order
// of the same sounds but for two places: the level group 蒸 has no partner, and the departing 泰 stands alone before
// 卦, the partner of 佳.
constexpr int kLevelGroups = 30, kRising = 29, kDeparting = 30, kZheng = 24, kTai = 8;

RhymeClass pingshui_class(std::string_view name, int index) {
  RhymeClass out{std::string(name), kOblique, 0};
  const int rising = index - kLevelGroups, departing = rising - kRising, entering = departing - kDeparting;
  if (rising < 0) {
    out.tone = kLevel;
    out.sound = index;
  } else if (departing < 0) {
    out.sound = rising < kZheng ? rising : rising + 1;
  } else if (entering < 0) {
    out.sound = departing == kTai ? kLevelGroups : departing > kTai && departing <= kZheng ? departing - 1 : departing;
  } else {
    out.sound = kLevelGroups + 1 + entering;
  }
  return out;
}

// The groups of the other books are named "PART TONE"; both level tones of the new rhymes are one class.
std::string class_name(std::string_view group) {
  const std::size_t blank = group.find(' ');
  const std::string_view part = group.substr(0, blank), tone = group.substr(blank + 1);
  const bool level = tone == "阴平" || tone == "阳平" || tone == "平声";
  return std::string(part) + (level ? " 平" : tone == "入声" ? " 入" : " 仄");
}

}  // namespace

std::string_view name_of(RhymeBook book) { return find(book).name; }

std::optional<RhymeBook> rhyme_book_from_name(std::string_view name) {
  for (const Book& book : kBooks)
    if (book.name == name) return book.book;
  return std::nullopt;
}

const RhymeTable& RhymeTable::of(RhymeBook book) {
  // Each by itself: most runs need one.
  const auto pingshui = []() -> const RhymeTable& {
    static const RhymeTable table(RhymeBook::kPingshui);
    return table;
  };
  const auto xinyun = []() -> const RhymeTable& {
    static const RhymeTable table(RhymeBook::kXinyun);
    return table;
  };
  const auto cilin = []() -> const RhymeTable& {
    static const RhymeTable table(RhymeBook::kCilin);
    return table;
  };
  return book == RhymeBook::kPingshui ? pingshui() : book == RhymeBook::kXinyun ? xinyun() : cilin();
}

RhymeTable::RhymeTable(RhymeBook book) {
  std::vector<std::string> parts;
  for (const Group& group : find(book).groups) {
    if (book == RhymeBook::kPingshui) {
      classes_.push_back(pingshui_class(group.name, static_cast<int>(classes_.size())));
    } else {
      const std::string name = class_name(group.name), part = name.substr(0, name.find(' '));
      if (parts.empty() || parts.back() != part) parts.push_back(part);
      if (classes_.empty() || classes_.back().name != name)
        classes_.push_back({name, name.ends_with("平") ? kLevel : kOblique, static_cast<int>(parts.size()) - 1});
    }
    const auto index = static_cast<std::uint8_t>(classes_.size() - 1);
    for (std::size_t at = 0; at < group.characters.size();) {
      const auto [character, length] = decode_utf8(group.characters.data() + at);
      std::vector<std::uint8_t>& of = readings_[character];
      if (of.empty() || of.back() != index) of.push_back(index);
      at += length;
    }
  }
}

std::span<const std::uint8_t> RhymeTable::readings(char32_t character) const {
  const auto found = readings_.find(character);
  return found == readings_.end() ? std::span<const std::uint8_t>() : found->second;
}

Tones RhymeTable::tones(char32_t character) const {
  Tones out = 0;
  for (const std::uint8_t one : readings(character)) out = static_cast<Tones>(out | classes_[one].tone);
  return out;
}

}  // namespace mnemo
