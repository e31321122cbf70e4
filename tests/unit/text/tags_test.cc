#include "text/tags.h"

#include "tests/catch.h"

using namespace mnemo;
using Tags = std::vector<std::string>;

TEST_CASE("tags: a tag is split as its scheme spells it") {
  CHECK(split_tag("B-cell-line", TagScheme::kBio)->type == "cell-line");
  CHECK(split_tag("M", TagScheme::kBmes)->letter == 'M');
  for (const char* wrong : {"", "E-PER", "PER", "B-", "B_PER", "o", "O-PER", "X-PER"})
    CHECK_FALSE(split_tag(wrong, TagScheme::kBio));
  for (const auto scheme : {TagScheme::kNone, TagScheme::kIob1, TagScheme::kBio, TagScheme::kIoe2, TagScheme::kBioes,
                            TagScheme::kBmes, TagScheme::kBilou})
    CHECK(scheme_from_name(name_of(scheme)) == scheme);
  CHECK_FALSE(scheme_from_name("iob3"));
}

TEST_CASE("tags: spans are spelled in each scheme, and read back") {
  const Tags words(9, "O");
  const std::vector<TagSpan> spans{{"PER", 0, 2}, {"PER", 2, 3}, {"LOC", 3, 6}, {"PER", 7, 8}};
  const auto spelled = [&](TagScheme scheme) { return spell_spans(spans, 9, scheme); };
  CHECK(spelled(TagScheme::kIob1) == Tags{"I-PER", "I-PER", "B-PER", "I-LOC", "I-LOC", "I-LOC", "O", "I-PER", "O"});
  CHECK(spelled(TagScheme::kBio) == Tags{"B-PER", "I-PER", "B-PER", "B-LOC", "I-LOC", "I-LOC", "O", "B-PER", "O"});
  CHECK(spelled(TagScheme::kBioes) == Tags{"B-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "O", "S-PER", "O"});
  CHECK(spelled(TagScheme::kBmes) == Tags{"B-PER", "E-PER", "S-PER", "B-LOC", "M-LOC", "E-LOC", "O", "S-PER", "O"});
  CHECK(spelled(TagScheme::kBilou) == Tags{"B-PER", "L-PER", "U-PER", "B-LOC", "I-LOC", "L-LOC", "O", "U-PER", "O"});
  CHECK(spelled(TagScheme::kIoe2) == Tags{"I-PER", "E-PER", "E-PER", "I-LOC", "I-LOC", "E-LOC", "O", "E-PER", "O"});
  for (const auto scheme :
       {TagScheme::kIob1, TagScheme::kBio, TagScheme::kIoe2, TagScheme::kBioes, TagScheme::kBmes, TagScheme::kBilou}) {
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

TEST_CASE("tags: words without types, as in segmentation") {
  const Tags tags{"B", "E", "S", "B", "M", "E"};
  CHECK(conlleval_spans(tags) == std::vector<TagSpan>{{"", 0, 2}, {"", 2, 3}, {"", 3, 6}});
  CHECK(spell_spans(conlleval_spans(tags), 6, TagScheme::kBmes) == tags);
  SchemeGuess guess;
  guess.add(tags);
  CHECK(guess.scheme() == TagScheme::kBmes);
}

TEST_CASE("tags: invalid sequences are read by conlleval's rule, and not by the strict one") {
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

TEST_CASE("tags: the scheme of parts of speech is none, and a few invalid sequences leave it bio") {
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

TEST_CASE("tags: ioe2 and bilou allow what they spell and no more, and count strictly") {
  CHECK(may_follow("O", "E-X", TagScheme::kIoe2));
  CHECK(may_follow("I-X", "E-X", TagScheme::kIoe2));
  CHECK_FALSE(may_follow("I-X", "O", TagScheme::kIoe2));
  CHECK_FALSE(may_follow("I-X", "E-Y", TagScheme::kIoe2));
  CHECK_FALSE(may_end("I-X", TagScheme::kIoe2));
  CHECK(may_follow("L-X", "U-X", TagScheme::kBilou));
  CHECK_FALSE(may_follow("B-X", "U-X", TagScheme::kBilou));
  CHECK_FALSE(may_follow("O", "L-X", TagScheme::kBilou));
  CHECK_FALSE(may_end("B-X", TagScheme::kBilou));
  CHECK(strict_spans(Tags{"I-X", "O", "I-X", "I-Y", "E-Y", "E-X"}, TagScheme::kIoe2) ==
        std::vector<TagSpan>{{"Y", 3, 5}, {"X", 5, 6}});
  CHECK(strict_spans(Tags{"B-X", "O", "I-X", "L-X", "B-Y", "L-Y"}, TagScheme::kBilou) ==
        std::vector<TagSpan>{{"Y", 4, 6}});
}

TEST_CASE("tags: letters of several schemes give none, and so do parts of speech that are letters") {
  const auto guessed = [](const Tags& tags) {
    SchemeGuess guess;
    guess.add(tags);
    return guess.scheme();
  };
  CHECK(guessed({"B-X", "L-X", "S-X"}) == TagScheme::kNone);
  CHECK(guessed({"B-X", "M-X", "L-X"}) == TagScheme::kNone);
  CHECK(guessed({"U", "L", "S", "O"}) == TagScheme::kNone);
  CHECK(guessed({"U-X", "O"}) == TagScheme::kBilou);
  CHECK(guessed({"S-X", "O"}) == TagScheme::kBioes);
}

TEST_CASE("tags: the meaning of a misspelled tag") {
  for (const auto& [tag, meant] : {std::pair{"0", "O"},
                                   {"o", "O"},
                                   {"B_PER", "B-PER"},
                                   {"b-PER", "B-PER"},
                                   {"PER-B", "B-PER"},
                                   {"PER_I", "I-PER"},
                                   {"l_ORG", "L-ORG"}}) {
    INFO(tag);
    CHECK(meant_tag(tag) == std::string(meant));
  }
  for (const char* tag : {"O", "B-PER", "NN", "_", "", "X-PER", "O-PER", "PER-O", "B"}) {
    INFO(tag);
    CHECK_FALSE(meant_tag(tag));
  }
}
