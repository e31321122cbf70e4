#include "apps/mnemo/answering.h"

#include <utility>

#include "apps/mnemo/terminal.h"
#include "base/error.h"
#include "base/json.h"
#include "base/shown.h"
#include "text/json_line.h"

namespace mnemo {

std::optional<Part> AnsweringOptions::part() const {
  if (!part_given) return std::nullopt;
  return parse_part(part_text, "--part");
}

void AnsweringOptions::refuse_with(const std::string& option, const std::string& why) const {
  for (const auto& [given, name] : {std::pair{part_given, "--part"}, {ids, "--id"}})
    if (given) throw UsageError(fmt::format("{}: not with {}, {}", name, option, why));
}

void add_part(Command& command, AnsweringOptions& options, const std::string& id_help) {
  command
      .option("--part", "I/N", &options.part_text,
              "Read only part I of N of FILE, cut by bytes at ends of records: the outputs for 1/N to N/N, one after "
              "another, are the output for the whole")
      .sets_if_given(options.part_given)
      .by_default("the whole input");
  command.flag("--id", &options.ids,
               "Every record has an id: what precedes the first tab of a line, or the key id of "
               "jsonl. " +
                   id_help);
}

void add_output(Command& command, AnsweringOptions& options) {
  command
      .option("-o,--output", "FILE", &options.output,
              "Write the answers here; FILE appears when they are complete, and not at all if anything fails")
      .sets_if_given(options.output_given)
      .by_default("standard output");
  command.flag("--summary", &options.summary,
               "End with a line on standard error: records, tokens, replaced bytes and seconds, as with --part or -o");
}

void check_is_no_input(const std::string& option, const std::string& path, const std::vector<std::string>& inputs) {
  const auto check = [&](const std::string& input) {
    if (same_file(path, input == "-" ? "/dev/stdin" : input))
      throw UsageError(fmt::format("{} {}: is an input of this command; name another file", option, path));
  };
  for (const std::string& input : inputs) {
    check(input);
    // Parallel text: SOURCE,TARGET.
    const std::size_t comma = input.find(',');
    if (comma == std::string::npos || file_exists(input)) continue;
    check(input.substr(0, comma));
    check(input.substr(comma + 1));
  }
}

Answers::Answers(const AnsweringOptions& options, const std::vector<std::string>& others,
                 const std::vector<std::string>& files)
    : options_(options) {
  if (options.part() && files.size() > 1)
    throw UsageError(
        fmt::format("--part: takes one FILE, found {}; join them, or give each to runs of its own", files.size()));
  if (!options.output_given) return;
  if (options.output.empty()) throw UsageError("-o: expected a file, found an empty name");
  // A file that standard output goes to is not to be replaced, but to be written on.
  if (options.output == "-" || options.output == "/dev/stdout") return;
  check_is_no_input("-o", options.output, others);
  check_is_no_input("-o", options.output, or_standard_input(files));
  file_ = std::make_unique<AtomicFile>(options.output);
  file_->remove_on_signal();
}

void Answers::put(const std::string& text, std::span<const Highlight> highlights) {
  if (file_)
    file_->write(text);
  else
    mnemo::put(text, highlights);
}

bool Answers::in_colour() const { return !file_ && answers_in_colour(); }

void Answers::count(std::int64_t records, std::int64_t tokens) {
  records_ += records;
  tokens_ += tokens;
}

void Answers::finish() {
  if (file_) file_->commit();
  const auto part = options_.part();
  if (!part && !file_ && !options_.summary) return;
  const double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
  say(fmt::format("{}{}, {}, {}, {:.2f} seconds", part ? fmt::format("part {}/{}: ", part->index, part->count) : "",
                  counted(records_, "record"), counted(tokens_, "token"),
                  counted(static_cast<std::int64_t>(replaced_), "replaced byte"), seconds));
}

std::vector<std::string> or_standard_input(const std::vector<std::string>& files) {
  return files.empty() ? std::vector<std::string>{"-"} : files;
}

std::string id_column(const std::optional<RecordId>& id) { return id ? id->text + "\t" : ""; }

Json with_id(const std::optional<RecordId>& id, Json answer) {
  if (!id) return answer;
  Json out{{"id", json_of(*id)}};
  out.update(answer);
  return out;
}

}  // namespace mnemo
