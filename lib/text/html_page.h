// The frame that all pages share: one file that asks for nothing else, readable on a phone and in the dark.
#pragma once

#include <string>
#include <string_view>

namespace mnemo {

struct PageHead {
  std::string language = "en", title;
  std::string_view style = {};  ///< rules of this kind of page, after those of all
  /// The page's one script, which the page's policy names by its hash, so that nothing else is run: base64 of the
  /// script's SHA-256, in the form of Content Security Policy, "sha256-...". Empty: nothing is run.
  std::string_view script_hash = {};
  bool asks_server = false;  ///< whether its script may ask the server that the page came from
};

/// A script's or a style's hash in the form of PageHead::script_hash.
std::string content_hash(std::string_view content);

/// The style of a page with these rules of its own.
std::string page_style(std::string_view style);

/// From the doctype to the beginning of <main>. The policy forbids requests, but those that are
/// named, and scripts but the one that is named.
/// The colours are variables: --paper, --ink, --soft (less important text), --line, --good, --bad, and --good-back,
/// --bad-back behind text; of them `currentColor` is --ink.
std::string page_head(const PageHead& head);

/// The end of <main> and of the page.
inline constexpr std::string_view kPageEnd = "\n</main></body></html>\n";

}  // namespace mnemo
