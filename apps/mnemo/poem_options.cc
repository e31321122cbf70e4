#include "apps/mnemo/poem_options.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "base/file.h"
#include "base/shown.h"
#include "text/utf8.h"

namespace mnemo {

CommandOption& add_poem_form(Command& command, PoemFormOptions& options, const std::string& help,
                             const std::string& tones) {
  options.tones = tones;
  command.group("Form");
  CommandOption& form =
      command.option("--form", "FORM", &options.form,
                     fmt::format("{}: {}, or a file with a tune's pattern", help, fmt::join(form_names(), ", ")));
  command.option("--rhyme", "BOOK", &options.rhyme, "With --form: the rhyme book")
      .one_of({"pingshui", "xinyun", "cilin"})
      .needs("--form")
      .by_default("cilin for tunes, else pingshui");
  command
      .option("--tones", "", &options.tones,
              "With --form: strict as the pattern, loose with only even places and no lone level tone nor three level "
              "tones at the end, or off")
      .one_of({"strict", "loose", "off"})
      .needs("--form");
  return form;
}

std::optional<PoemForm> read_form(const PoemFormOptions& options) {
  if (options.form.empty()) return std::nullopt;
  if (find_invalid_utf8(options.form)) throw UsageError("--form: is not valid UTF-8");
  const ToneRule tones = *tone_rule_from_name(options.tones);
  if (auto form = form_from_name(options.form, tones)) return form;
  if (!file_exists(options.form))
    throw UsageError(fmt::format("--form {}: is neither a form nor a file; forms are {}", shown(options.form),
                                 fmt::join(form_names(), ", ")));
  const std::string text = read_file(options.form);
  if (find_invalid_utf8(text)) fail("{}: is not valid UTF-8", options.form);
  return parse_tune(text, options.form, tones);
}

RhymeBook rhyme_book(const PoemFormOptions& options, const PoemForm& form) {
  if (!options.rhyme.empty()) return *rhyme_book_from_name(options.rhyme);
  return form.is_tune() ? RhymeBook::kCilin : RhymeBook::kPingshui;
}

}  // namespace mnemo
