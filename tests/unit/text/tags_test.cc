#include "text/tags.h"

#include "tests/catch.h"

using namespace mnemo;
using Tags = std::vector<std::string>;

TEST_CASE("tags: a tag is taken apart as its scheme spells it") {
  CHECK(split_tag("B-cell-line", TagScheme::kBio)->type == "cell-line");
  CHECK(split_tag("M", TagScheme::kBmes)->letter == 'M');
  for (const char* wrong : {"", "E-PER", "PER", "B-", "B_PER", "o", "O-PER", "X-PER"})
    CHECK_FALSE(split_tag(wrong, TagScheme::kBio));
  for (const auto scheme : {TagScheme::kNone, TagScheme::kIob1, TagScheme::kBio, TagScheme::kBioes, TagScheme::kBmes})
    CHECK(scheme_from_name(name_of(scheme)) == scheme);
  CHECK_FALSE(scheme_from_name("iob3"));
}

TEST_CASE("tags: spans are spelled in each scheme, and read again") {
  const Tags words(9, "O");
  const std::vector<TagSpan> spans{{"PER", 0, 2}, {"PER", 2, 3}, {"LOC", 3, 6}, {"PER", 7, 8}};
  const auto spelled = [&](TagScheme scheme) { return spell_spans(spans, 9, scheme); };
  CHECK(spelled(TagScheme::kIob1) == Tags{"I-PER", "I-PER", "B-PER", "I-LOC", "I-LOC", "I-LOC", "O", "I-PER", "O"});
  CHECK(spelled(TagScheme::kBio) == Tags{"B-PER", "I-PER", "B-PER", "B-LOC", "I-LOC", "I-LOC", "O", "B-PER", "O"});
  CHECK(spelled(TagScheme::kBioes) == Tags{"B-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "O", "S-PER", "O"});
  CHECK(spelled(TagScheme::kBmes) == Tags{"B-PER", "E-PER", "S-PER", "B-LOC", "M-LOC", "E-LOC", "O", "S-PER", "O"});
  for (const auto scheme : {TagScheme::kIob1, TagScheme::kBio, TagScheme::kBioes, TagScheme::kBmes}) {
    const Tags tags = spelled(scheme);
    CHECK(conlleval_spans(tags) == spans);
    if (scheme != TagScheme::kIob1) CHECK(strict_spans(tags, scheme) == spans);
    CHECK(may_begin(tags.front(), scheme));
    CHECK(may_end(tags.back(), scheme));
    for (std::size_t i = 1; i < tags.size(); ++i) CHECK(may_follow(tags[i - 1], tags[i], scheme));
    SchemeGuess guess;
    guess.add(tags);
    CHECK(guess.scheme() == scheme);
  }
}

TEST_CASE("tags: words without types, as segmentation has them") {
  const Tags tags{"B", "E", "S", "B", "M", "E"};
  CHECK(conlleval_spans(tags) == std::vector<TagSpan>{{"", 0, 2}, {"", 2, 3}, {"", 3, 6}});
  CHECK(spell_spans(conlleval_spans(tags), 6, TagScheme::kBmes) == tags);
  SchemeGuess guess;
  guess.add(tags);
  CHECK(guess.scheme() == TagScheme::kBmes);
}

TEST_CASE("tags: wrong sequences are read by conlleval's rule, and not by the strict one") {
  const Tags tags{"I-PER", "I-LOC", "O", "I-PER", "B-PER", "E-PER", "I-PER"};
  CHECK(conlleval_spans(tags) ==
        std::vector<TagSpan>{{"PER", 0, 1}, {"LOC", 1, 2}, {"PER", 3, 4}, {"PER", 4, 6}, {"PER", 6, 7}});
  CHECK(strict_spans(tags, TagScheme::kBioes) == std::vector<TagSpan>{{"PER", 4, 6}});
  CHECK_FALSE(may_begin("I-PER", TagScheme::kBio));
  CHECK_FALSE(may_follow("B-PER", "I-LOC", TagScheme::kBio));
  CHECK_FALSE(may_follow("B-PER", "O", TagScheme::kBioes));
  CHECK_FALSE(may_follow("O", "E-PER", TagScheme::kBioes));
  CHECK_FALSE(may_follow("E-PER", "I-PER", TagScheme::kBioes));
  CHECK_FALSE(may_end("B-PER", TagScheme::kBmes));
  CHECK_FALSE(may_begin("B-PER", TagScheme::kIob1));
  CHECK(may_follow("NOUN", "VERB", TagScheme::kNone));
}

TEST_CASE("tags: the scheme of parts of speech is none, that of a few wrong sequences still bio") {
  const auto guessed = [](const std::vector<Tags>& sentences) {
    SchemeGuess guess;
    for (const Tags& tags : sentences) guess.add(tags);
    return guess.scheme();
  };
  CHECK(guessed({{"NOUN", "VERB"}}) == TagScheme::kNone);
  CHECK(guessed({{"O", "O"}}) == TagScheme::kNone);
  CHECK(guessed({{"S", "O"}, {"S"}}) == TagScheme::kNone);
  CHECK(guessed({{"S", "O"}, {"B", "E"}}) == TagScheme::kBioes);
  CHECK(guessed({{"S-PER", "O"}}) == TagScheme::kBioes);
  CHECK(guessed({{"B-A", "I-A"}, {"I-A"}, {"B-A"}}) == TagScheme::kBio);
  CHECK(guessed({{"I-A", "I-A"}, {"I-A", "B-A"}, {"O", "I-A"}}) == TagScheme::kIob1);
  CHECK(guessed({{"B-A", "E-A"}}) == TagScheme::kBioes);
}
