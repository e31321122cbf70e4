// Penn trees with a label on every phrase, as in the Stanford Sentiment Treebank. The parser keeps its own stack of
// open nodes, so that deep nesting cannot overflow the call stack; a node is its label and its range of the sentence.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/shown.h"
#include "text/normalize.h"
#include "text/record_readers.h"
#include "text/string_table.h"

namespace mnemo {
namespace {

// A node of a tree: its label, and the range of the sentence that it spans.
struct Node {
  std::string_view label;
  std::size_t begin = 0, end = 0;  // bytes of the sentence; begin is npos until the first word
};

constexpr std::size_t kNoWord = std::string_view::npos;

struct Escape {
  std::string_view escaped, plain;
};

constexpr std::array<Escape, 6> kBrackets{
    {{"-LRB-", "("}, {"-RRB-", ")"}, {"-LSB-", "["}, {"-RSB-", "]"}, {"-LCB-", "{"}, {"-RCB-", "}"}}};

void append_unescaped(std::string_view word, std::string& to) {
  for (const Escape& bracket : kBrackets) {
    if (word != bracket.escaped) continue;
    to += bracket.plain;
    return;
  }
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '\\' && i + 1 < word.size() && (word[i + 1] == '/' || word[i + 1] == '*')) ++i;
    to += word[i];
  }
}

class TreeReader : public RecordReader {
 public:
  TreeReader(LineReader lines, const RecordOptions& options) : RecordReader(std::move(lines), options) {}

  bool next_is_ready() override { return next_node_ < nodes_.size() || RecordReader::next_is_ready(); }

 protected:
  bool read(Record& record) override { return options_.phrases ? read_phrase(record) : read_sentence(record); }

 private:
  bool read_sentence(Record& record) {
    if (!next_line(line_)) return false;
    if (line_.empty()) return true;
    parse();
    add_label(nodes_[0].label, record);
    record.text = sentence_;
    nodes_.clear();
    return true;
  }

  bool read_phrase(Record& record) {
    for (;;) {
      while (next_node_ < nodes_.size())
        if (take_phrase(nodes_[next_node_++], record)) return true;
      nodes_.clear();
      next_node_ = 0;
      if (!next_line(line_)) return false;
      if (line_.empty()) continue;
      parse();
      check_labels();
    }
  }

  bool take_phrase(const Node& node, Record& record) {
    if (node.label == "2") return false;
    const auto text = std::string_view(sentence_).substr(node.begin, node.end - node.begin);
    const std::size_t known = seen_.size();
    seen_.insert(text);
    if (seen_.size() == known) return false;
    record.labels.emplace_back(node.label < "2" ? "0" : "1");
    record.text = text;
    return true;
  }

  void check_labels() const {
    for (const Node& node : nodes_)
      if (node.label.size() != 1 || node.label[0] < '0' || node.label[0] > '4')
        fail_here("a phrase with the label \"{}\", expected 0 to 4", shown(node.label));
  }

  [[noreturn]] void fail_at_byte(std::size_t at, std::string_view message) const {
    fail("{}:{}:{}: {}", name(), lines_.line_number(), column_of(line_, at), message);
  }

  // Fills nodes_, in the order of their opening brackets, and sentence_.
  void parse() {
    nodes_.clear();
    sentence_.clear();
    open_.clear();
    bool closed = false;
    for (std::size_t at = skip_blanks(0); at < line_.size(); at = skip_blanks(at)) {
      if (closed) fail_at_byte(at, "text after the end of the tree, expected one tree per line");
      if (line_[at] == '(')
        at = open_node(at);
      else if (line_[at] == ')')
        closed = close_node(at++);
      else
        at = add_word(at);
    }
    if (!closed) fail_at_byte(line_.size(), fmt::format("the tree is not closed: {} brackets are open", open_.size()));
  }

  std::size_t skip_blanks(std::size_t at) const {
    while (at < line_.size() && is_blank(line_[at])) ++at;
    return at;
  }

  std::size_t atom_end(std::size_t at) const { return std::min(line_.find_first_of(" \t()", at), line_.size()); }

  std::size_t open_node(std::size_t at) {
    const std::size_t begin = skip_blanks(at + 1), end = atom_end(begin);
    if (begin == end) fail_at_byte(begin, "expected a label after the bracket");
    open_.push_back(nodes_.size());
    nodes_.push_back({std::string_view(line_).substr(begin, end - begin), kNoWord, 0});
    return end;
  }

  // True if it was the root.
  bool close_node(std::size_t at) {
    if (open_.empty()) fail_at_byte(at, "a closing bracket without an opening one");
    Node& node = nodes_[open_.back()];
    if (node.begin == kNoWord) fail_at_byte(at, "a phrase without a word");
    node.end = sentence_.size();
    open_.pop_back();
    if (open_.empty()) return true;
    Node& parent = nodes_[open_.back()];
    if (parent.begin == kNoWord) parent.begin = node.begin;
    return false;
  }

  std::size_t add_word(std::size_t at) {
    if (open_.empty()) fail_at_byte(at, "expected an opening bracket");
    const std::size_t end = atom_end(at);
    if (!sentence_.empty()) sentence_ += ' ';
    Node& node = nodes_[open_.back()];
    if (node.begin == kNoWord) node.begin = sentence_.size();
    word_.clear();
    append_unescaped(std::string_view(line_).substr(at, end - at), word_);
    sentence_ += options_.phrases ? to_lower(word_) : word_;
    return end;
  }

  std::string line_, word_;
  std::string sentence_;
  std::vector<Node> nodes_;
  std::vector<std::size_t> open_;  // nodes whose bracket is open, the innermost last
  std::size_t next_node_ = 0;
  StringTable seen_;
};

}  // namespace

std::unique_ptr<RecordReader> tree_reader(LineReader lines, const RecordOptions& options) {
  return std::make_unique<TreeReader>(std::move(lines), options);
}

}  // namespace mnemo
