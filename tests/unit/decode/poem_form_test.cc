// Forms and rhyme tables on well-known poems, which must be free of faults, and on altered ones, whose faults must be
// named with line and place.
#include "decode/poem_form.h"

#include <algorithm>

#include "base/error.h"
#include "tests/catch.h"
#include "text/vocabulary.h"

using namespace mnemo;
using Catch::Matchers::Contains;

namespace {

// The faults as "LINE: MESSAGE", lines from 1.
std::vector<std::string> faults(const std::string& form, ToneRule tones, const std::string& poem,
                                RhymeBook book = RhymeBook::kPingshui, bool allow_repeats = true) {
  std::vector<std::string> out;
  const PoemForm rules = form_from_name(form, tones).value();
  for (const PoemFault& fault :
       check_poem(rules, lines_of(rules, poem), RhymeTable::of(book, Script::kMixed), allow_repeats).faults)
    out.push_back(std::to_string(fault.line + 1) + ": " + fault.message);
  return out;
}

}  // namespace

TEST_CASE("tones and rhymes of characters are those of the books") {
  const RhymeTable& pingshui = RhymeTable::of(RhymeBook::kPingshui, Script::kMixed);
  CHECK(pingshui.classes().size() == 106);
  CHECK(pingshui.tones(U'山') == kLevel);
  CHECK(pingshui.tones(U'月') == kOblique);
  CHECK(pingshui.tones(U'間') == kAnyTone);
  CHECK(pingshui.tones(U'间') == kAnyTone);
  CHECK(pingshui.tones(U'a') == 0);
  CHECK(pingshui.classes()[pingshui.readings(U'山')[0]].name == "上平聲十五刪");
  // 爲 and 牀 are variants that the book itself lacks.
  CHECK(std::ranges::equal(pingshui.readings(U'爲'), pingshui.readings(U'為')));
  CHECK(pingshui.tones(U'牀') == kLevel);
  // 東 董 送 have one sound, and so have 尤 有 宥, which come after the gaps of the lists.
  const auto sound = [&](char32_t c) { return pingshui.classes()[pingshui.readings(c).back()].sound; };
  CHECK(sound(U'東') == sound(U'董'));
  CHECK(sound(U'東') == sound(U'送'));
  CHECK(sound(U'優') == sound(U'酒'));
  CHECK(sound(U'優') == sound(U'舊'));
  CHECK(sound(U'鞋') == sound(U'懈'));
  CHECK(sound(U'東') != sound(U'冬'));
  const RhymeTable& xinyun = RhymeTable::of(RhymeBook::kXinyun, Script::kMixed);
  CHECK(xinyun.classes().size() == 28);
  // Entering tones are level or oblique according to their modern sound.
  CHECK(xinyun.tones(U'国') == kLevel);
  CHECK(pingshui.tones(U'国') == kOblique);
  CHECK(xinyun.readings(U'山').size() == 1);
  CHECK(xinyun.readings(U'山')[0] == xinyun.readings(U'船')[0]);
  CHECK(RhymeTable::of(RhymeBook::kCilin, Script::kMixed).classes().size() == 33);
}

TEST_CASE("poems of Li Bai and Du Fu keep their forms") {
  // Zao fa Baidicheng, in simplified and in traditional characters.
  const std::string simplified = "朝辞白帝彩云间，千里江陵一日还。\n两岸猿声啼不住，轻舟已过万重山。";
  CHECK(faults("七绝", ToneRule::kLoose, simplified).empty());
  CHECK(faults("七绝", ToneRule::kStrict, simplified) ==
        std::vector<std::string>{"2: place 1: 千 is level, expected oblique", "3: place 5: the tone of 啼 is unknown"});
  CHECK(faults("七絕", ToneRule::kOff, "朝辭白帝彩雲間，千里江陵一日還。兩岸猿聲啼不住，輕舟已過萬重山。").empty());
  // Chun wang.
  const std::string du_fu =
      "國破山河在，城春草木深。感時花濺淚，恨別鳥驚心。烽火連三月，家書抵萬金。白頭搔更短，渾欲不勝簪。";
  CHECK(faults("五律", ToneRule::kLoose, du_fu).empty());
  CHECK(check_poem(*form_from_name("五律", ToneRule::kLoose), verse_lines(du_fu),
                   RhymeTable::of(RhymeBook::kPingshui, Script::kTraditional), false)
            .rhyme == "下平聲十二侵");
  CHECK_THAT(faults("五律", ToneRule::kStrict, du_fu).front(), Contains("place 1"));
}

TEST_CASE("a poem's faults are reported with their line and place") {
  // Rhyme: 山 for 多. Length. Joining: the second couplet begins with the opposite of the second line's tones.
  const auto rhyme = faults("五绝", ToneRule::kLoose, "白日依山盡，黃河入海流。欲窮千里目，更上一層山。");
  REQUIRE(rhyme.size() == 1);
  CHECK_THAT(rhyme[0], Contains("4: ") && Contains("does not rhyme"));
  CHECK(faults("五绝", ToneRule::kLoose, "白日依山盡，黃河入海流。欲窮千里目，更上一層樓。").empty());
  CHECK(faults("五绝", ToneRule::kLoose, "白日依山盡，黃河入海流。欲窮千里，更上一層樓。") ==
        std::vector<std::string>{"3: 4 characters, expected 5"});
  CHECK(faults("五绝", ToneRule::kLoose, "白日依山盡，黃河入海流。") ==
        std::vector<std::string>{"0: 2 lines, expected 4"});
  CHECK_FALSE(faults("五绝", ToneRule::kLoose, "白日依山盡，黃河入海流。更上一層目，欲窮千里樓。").empty());
  CHECK(faults("五绝", ToneRule::kLoose, "白日依山盡，黃河入海流。欲窮千里日，更上一層樓。", RhymeBook::kPingshui,
               false) == std::vector<std::string>{"3: 日 already occurs in line 1"});
}

TEST_CASE("a simplified character that is also an old one rhymes as both") {
  // Wen Tingyun's Lizhou nandu ends in 機, which in simplified characters is 机, an old name of a tree.
  const std::string of_wen =
      "澹然空水对斜晖，曲岛苍茫接翠微。波上马嘶看棹去，柳边人歇待船归。"
      "数丛沙草群鸥散，万顷江田一鹭飞。谁解乘舟寻范蠡，五湖烟水独忘机。";
  CHECK(faults("七律", ToneRule::kLoose, of_wen) == std::vector<std::string>{});
  const RhymeTable& table = RhymeTable::of(RhymeBook::kPingshui, Script::kMixed);
  CHECK(table.tones(U'种') == kAnyTone);
  CHECK((table.tones(U'坏') & kOblique) != 0);
  CHECK((table.tones(U'宁') & kLevel) != 0);
  CHECK(table.tones(U'種') == kOblique);
  // 花 is not a simplification of any character.
  CHECK(table.tones(U'花') == kLevel);
}

TEST_CASE("in a traditional text a character has its own tones, whatever simplified ones it stands for") {
  const RhymeTable& own = RhymeTable::of(RhymeBook::kPingshui, Script::kTraditional);
  for (const char32_t c : U"征种离蒙干坏吁么划") CHECK((c == 0 || own.tones(c) == kLevel));
  for (const char32_t c : U"累几宁") CHECK((c == 0 || own.tones(c) == kOblique));
  // The characters they stand for elsewhere keep their own too.
  for (const char32_t c : U"徵纍幾看思過") CHECK((c == 0 || own.tones(c) == kAnyTone));
  CHECK(own.sure_tones(U'征') == kLevel);
  CHECK(std::ranges::equal(own.readings(U'征'), own.sure_readings(U'征')));
  // Books with only simplified characters give 乾 and 捲 the tones of 幹 and 卷, and 髮 those of 發.
  const RhymeTable& cilin = RhymeTable::of(RhymeBook::kCilin, Script::kTraditional);
  CHECK(cilin.tones(U'乾') == kLevel);
  CHECK(cilin.tones(U'捲') == kOblique);
  // The book of the ci lists 關 among the oblique ones too; the Pingshui book, which it follows, does not.
  CHECK(cilin.tones(U'關') == kAnyTone);
  CHECK(cilin.sure_tones(U'關') == kLevel);
  const RhymeTable& xinyun = RhymeTable::of(RhymeBook::kXinyun, Script::kTraditional);
  CHECK(xinyun.tones(U'發') == kLevel);
  CHECK(xinyun.tones(U'髮') == kOblique);
}

TEST_CASE("in a simplified text the sure tones are those shared by all characters that one may stand for") {
  for (const Script script : {Script::kSimplified, Script::kMixed}) {
    const RhymeTable& table = RhymeTable::of(RhymeBook::kPingshui, script);
    // 征 is level and 徵 either: level, but no rhyme. 累 is oblique and 纍 either, of one rising group.
    CHECK(table.tones(U'征') == kAnyTone);
    CHECK(table.sure_tones(U'征') == kLevel);
    CHECK(table.sure_readings(U'征').empty());
    CHECK(table.tones(U'累') == kAnyTone);
    CHECK(table.sure_tones(U'累') == kOblique);
    // 种 is level, 種 oblique.
    CHECK(table.tones(U'种') == kAnyTone);
    CHECK(table.sure_tones(U'种') == 0);
    // One character with two readings of its own: poets use either.
    CHECK(table.sure_tones(U'看') == kAnyTone);
    CHECK(table.sure_tones(U'徵') == kAnyTone);
    CHECK(table.sure_tones(U'龘') == table.tones(U'龘'));
  }
  CHECK(RhymeTable::of(RhymeBook::kXinyun, Script::kSimplified).sure_tones(U'发') == 0);
}

TEST_CASE("a text's script is recognised by the characters that only one has") {
  const auto shown = [](std::u32string_view text) {
    ScriptEvidence evidence;
    for (const char32_t c : text) evidence.add(c);
    return evidence.script();
  };
  CHECK(shown(U"長征人未還") == Script::kTraditional);
  CHECK(shown(U"长征人未还") == Script::kSimplified);
  CHECK(shown(U"長征人东還") == Script::kMixed);
  CHECK(shown(U"白日依山") == std::nullopt);
  VocabularyBuilder builder;
  builder.add("長", 500);
  builder.add("东", 5);
  builder.add("\n五绝", 500);
  CHECK(script_of(builder.build(1, 0)) == Script::kTraditional);
  builder.add("东", 5);
  CHECK(script_of(builder.build(1, 0)) == Script::kMixed);
  CHECK(script_of(Vocabulary()) == Script::kMixed);
}

TEST_CASE("a poem's faults are those of its script") {
  const PoemForm form = parse_tune("试\n仄中平A，平中平A。\n", "f", ToneRule::kStrict);
  const auto faults_in = [&](Script script) {
    std::vector<std::string> out;
    const RhymeTable& table = RhymeTable::of(RhymeBook::kPingshui, script);
    for (const PoemFault& fault : check_poem(form, lines_of(form, "征人山，累月间。"), table, true).faults)
      out.push_back(fault.message);
    return out;
  };
  CHECK(faults_in(Script::kTraditional) ==
        std::vector<std::string>{"place 1: 征 is level, expected oblique", "place 1: 累 is oblique, expected level"});
  CHECK(faults_in(Script::kSimplified).empty());
  CHECK(faults_in(Script::kMixed).empty());
}

TEST_CASE("editors' marks are not characters, and a tune's pauses may be marked in any way") {
  CHECK(faults("五绝", ToneRule::kLoose, "《登鸛雀樓》“白日依山盡，黃河入海流……欲窮千里目——更上一層樓。”").size() > 0);
  CHECK(faults("五绝", ToneRule::kLoose, "“白日依山盡，黃河入海流。欲窮千里目，更上一層樓……”").empty());
  CHECK(faults("五绝", ToneRule::kLoose, "〝白日依山盡，――黃河入海流⋯⋯。欲窮千里目﹐更上一層樓。〞").empty());
  const std::string liu =
      "伫倚危楼风细细，望极春愁，黯黯生天际。草色烟光残照里，无言谁会凭阑意。"
      "拟把疏狂图一醉，对酒当歌，强乐还无味。衣带渐宽终不悔，为伊消得人憔悴。";
  CHECK(faults("蝶戀花", ToneRule::kStrict, liu, RhymeBook::kCilin) == std::vector<std::string>{});
  // A line that is too short stays a fault of its own.
  CHECK(faults("蝶恋花", ToneRule::kStrict, liu.substr(0, liu.find("里，")) + "，" + liu.substr(liu.find("无言")),
               RhymeBook::kCilin)
            .size() > 1);
}

TEST_CASE("loose tones forbid a lone level tone and three level ones at the end") {
  // Lines of the second couplet: "level level oblique oblique level" with an oblique first place, then compensated.
  const std::string before = "白日依山盡，";
  CHECK(faults("五绝", ToneRule::kLoose, before + "黃河入海流。欲窮千里目，更上一層樓。").empty());
  CHECK_FALSE(faults("五绝", ToneRule::kLoose, before + "入河入海流。欲窮千里目，更上一層樓。").empty());
  CHECK(faults("五绝", ToneRule::kLoose, before + "入河流海流。欲窮千里目，更上一層樓。").empty());
  // 一 is oblique at the third place; a level one makes three.
  CHECK_FALSE(faults("五绝", ToneRule::kLoose, before + "黃河入海流。欲窮千里目，更上高層樓。").empty());
}

TEST_CASE("well-known ci poems keep the tunes' patterns") {
  const std::vector<std::pair<std::string, std::string>> poems{
      {"浣溪沙", "山下兰芽短浸溪，松间沙路净无泥。萧萧暮雨子规啼。谁道人生无再少？门前流水尚能西。休将白发唱黄鸡。"},
      {"水调歌头",
       "明月几时有，把酒问青天。不知天上宫阙，今夕是何年。我欲乘风归去，又恐琼楼玉宇，高处不胜寒。起舞弄清影，"
       "何似在人间。转朱阁，低绮户，照无眠。不应有恨，何事长向别时圆。人有悲欢离合，月有阴晴圆缺，此事古难全。"
       "但愿人长久，千里共婵娟。"},
      {"鹧鸪天",
       "彩袖殷勤捧玉钟，当年拚却醉颜红。舞低杨柳楼心月，歌尽桃花扇底风。从别后，忆相逢，几回魂梦与君同。"
       "今宵剩把银釭照，犹恐相逢是梦中。"},
      {"菩萨蛮",
       "平林漠漠烟如织，寒山一带伤心碧。暝色入高楼，有人楼上愁。玉阶空伫立，宿鸟归飞急。何处是归程，长亭更短亭。"},
      {"满江红",
       "怒发冲冠，凭栏处、潇潇雨歇。抬望眼、仰天长啸，壮怀激烈。三十功名尘与土，八千里路云和月。莫等闲、白了少年头，"
       "空悲切。靖康耻，犹未雪。臣子恨，何时灭。驾长车、踏破贺兰山缺。壮志饥餐胡虏肉，笑谈渴饮匈奴血。"
       "待从头、收拾旧山河，朝天阙。"},
      {"念奴娇",
       "凭高眺远，见长空万里，云无留迹。桂魄飞来光射处，冷浸一天秋碧。玉宇琼楼，乘鸾来去，人在清凉国。江山如画，"
       "望中烟树历历。我醉拍手狂歌，举杯邀月，对影成三客。起舞徘徊风露下，今夕不知何夕。便欲乘风，翻然归去，"
       "何用骑鹏翼。水晶宫里，一声吹断横笛。"},
      {"西江月",
       "明月别枝惊鹊，清风半夜鸣蝉。稻花香里说丰年，听取蛙声一片。七八个星天外，两三点雨山前。旧时茅店社林边，"
       "路转溪桥忽见。"},
      {"临江仙",
       "夜饮东坡醒复醉，归来仿佛三更。家童鼻息已雷鸣。敲门都不应，倚杖听江声。长恨此身非我有，何时忘却营营。"
       "夜阑风静縠纹平。小舟从此逝，江海寄余生。"},
      {"蝶恋花",
       "花褪残红青杏小，燕子飞时、绿水人家绕。枝上柳绵吹又少，天涯何处无芳草。墙里秋千墙外道，墙外行人、墙里佳人笑。"
       "笑渐不闻声渐悄，多情却被无情恼。"},
      {"沁园春",
       "孤馆灯青，野店鸡号，旅枕梦残。渐月华收练，晨霜耿耿，云山摛锦，朝露漙漙。世路无穷，劳生有限，似此区区长鲜欢。"
       "微吟罢，凭征鞍无语，往事千端。当时共客长安。似二陆初来俱少年。有笔头千字，胸中万卷，致君尧舜，此事何难。"
       "用舍由时，行藏在我，袖手何妨闲处看。身长健，但优游卒岁，且斗尊前。"},
      {"减字木兰花",
       "楼台向晓，淡月低云天气好。翠幕风微，宛转梁州入破时。香生舞袂，楚女腰肢天与细。汗粉重匀，酒后轻寒不着人。"}};
  for (const auto& [tune, poem] : poems) {
    INFO(tune);
    CHECK(faults(tune, ToneRule::kStrict, poem, RhymeBook::kCilin) == std::vector<std::string>{});
  }
}

TEST_CASE("a tune's pattern is read, and errors in it are reported with their line") {
  const PoemForm form =
      parse_tune("# a made-up tune\n试\n\n平仄A，中、平仄A。 # two lines\n平平B。\n", "f.txt", ToneRule::kStrict);
  CHECK(form.name == "试");
  REQUIRE(form.lines.size() == 3);
  CHECK(form.lines[1].length == 3);
  CHECK(form.lines[1].marks[0] == "、");
  CHECK(form.lines[1].marks[2] == "。\n");
  CHECK(form.lines[2].marks[1] == "。");
  CHECK(form.rhymes == 2);
  CHECK(form.alternatives[0][1].rhyme == 0);
  CHECK(form.alternatives[0][1].patterns[0].at(0) == kAnyTone);
  const auto message = [](const std::string& text) {
    try {
      parse_tune(text, "f.txt", ToneRule::kStrict);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(message("试\n平x\n"), Contains("f.txt:2: expected 平, 仄, 中") && Contains("found x"));
  CHECK_THAT(message("试\n中A\n"), Contains("f.txt:2: a rhyme needs a place"));
  CHECK_THAT(message("试\nA平\n"), Contains("f.txt:2: a rhyme before"));
  CHECK_THAT(message("试\n，平\n"), Contains("f.txt:2: punctuation before"));
  CHECK_THAT(message("试\n平AB\n"), Contains("f.txt:2: a place with two rhymes"));
  CHECK_THAT(message("\n平仄，\n平\n"), Contains("f.txt:2: expected the tune's name"));
  CHECK(parse_tune("\ufeff试\n平　仄A。", "f.txt", ToneRule::kStrict).name == "试");
  CHECK(parse_tune("\ufeff试\n平　仄A。", "f.txt", ToneRule::kStrict).characters() == 2);
  const PoemForm wide = parse_tune("　\n试　\n　\n平仄A，\n　# a stanza\n　平平A。\n　\n", "f.txt", ToneRule::kStrict);
  CHECK(wide.name == "试");
  REQUIRE(wide.lines.size() == 2);
  CHECK(wide.lines[0].marks[1] == "，\n");
  CHECK(wide.lines[1].marks[1] == "。");
  CHECK_THAT(message("试\n"), Contains("without a place"));
  CHECK_THAT(message(""), Contains("without a place"));
  std::string many = "试\n";
  for (int i = 0; i < 32; ++i) many += "中";
  CHECK_THAT(message(many), Contains("more than 31"));
}
