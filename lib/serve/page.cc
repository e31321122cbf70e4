#include "serve/page.h"

#include <fmt/format.h>

#include <string_view>

#include "text/html_page.h"

namespace mnemo {
namespace {

constexpr std::string_view kServedStyle = R"css(
:root { --ground: #f3f5f8; --edge: #868d98; --shade: 0 1px 2px rgb(16 24 40 / .05), 0 10px 30px rgb(16 24 40 / .07); }
@media (prefers-color-scheme: dark) { :root { --ground: #0e1013; --edge: #767c85; --shade: none; } }
body { background: var(--ground); max-width: 50rem; padding-top: 2rem; }
[hidden] { display: none !important; }
header { display: flex; flex-wrap: wrap; gap: 0 .75rem; align-items: center; margin: 0 .25rem 1.25rem; }
header h1 { margin: 0 auto 0 0; font-size: 1.9rem; letter-spacing: -.03em; color: var(--good); }
header p { order: 1; width: 100%; margin: 0; color: var(--soft); }
.card, #answer:not(:empty) { background: var(--paper); border: 1px solid var(--line); border-radius: 1rem;
  padding: 1.25rem; margin-bottom: 1.25rem; box-shadow: var(--shade); }
label, .label { display: block; font-size: .85rem; color: var(--soft); margin-bottom: .3rem; }
input, select, textarea, button { font: inherit; color: var(--ink); background: var(--paper);
  border: 1px solid var(--edge); border-radius: .5rem; padding: .45rem .65rem; max-width: 100%; }
select, textarea, .fields input, #token { width: 100%; }
textarea { display: block; resize: vertical; font-size: 1.05rem; }
::placeholder { color: var(--soft); opacity: .8; }
.part { margin-bottom: 1rem; }
button { cursor: pointer; padding: .4rem .9rem; }
button:hover { border-color: var(--good); color: var(--good); }
button.main { background: var(--good); color: var(--paper); border-color: var(--good); padding: .55rem 1.75rem;
  font-weight: 600; }
button.main:hover { filter: brightness(1.12); }
button[aria-disabled=true] { opacity: .5; cursor: default; }
:disabled { opacity: .5; }
:focus-visible { outline: 3px solid var(--good); outline-offset: 2px; }
#examples { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; margin: -.4rem 0 1.1rem; }
#examples .label { margin: 0 .2rem 0 0; }
#examples button { border: 0; border-radius: 1rem; padding: .2rem .75rem; font-size: .88rem; color: var(--good);
  background: var(--good-back); overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
#examples button:hover { filter: brightness(.95); }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .75rem; align-items: end; }
.fields label { margin: 0; }
.fields label span { display: block; margin-bottom: .2rem; }
.fields label span::first-letter { text-transform: uppercase; }
.fields input:not([type=checkbox]), .fields select { height: 2.5rem; }
.fields input[type=checkbox] { width: auto; }
#first:not(:empty) { margin-bottom: 1rem; }
details { margin-bottom: 1rem; }
summary { cursor: pointer; font-size: .9rem; color: var(--soft); margin-bottom: .6rem; }
.actions { display: flex; flex-wrap: wrap; gap: .6rem .75rem; align-items: center; }
.error { color: var(--bad); background: var(--bad-back); border-radius: .5rem; padding: .45rem .75rem; margin: 0;
  flex: 1 1 16rem; color: var(--ink); border-left: 4px solid var(--bad); }
#login .error { margin-top: .75rem; }
#login div { display: flex; gap: .6rem; }
#answer { overflow-wrap: anywhere; }
#answer .text { font-size: 1.15rem; line-height: 2; max-width: none; }
#answer h3 { margin-top: 1.25rem; }
#answer > :first-child { margin-top: 0; }
#answer > :last-child { margin-bottom: 0; }
.poem { white-space: pre-wrap; font-size: 1.2rem; line-height: 1.9; max-width: none; }
.verse { text-align: center; font: 1.6rem/2 "Noto Serif CJK SC", "Source Han Serif SC", "Songti SC", STSong, SimSun, serif;
  letter-spacing: .12em; }
h3.verse { font-size: 1.15rem; }
.bar { display: grid; grid-template-columns: minmax(4rem, 10rem) 1fr 4rem; gap: .75rem; align-items: center;
  margin: .45rem 0; }
.track { background: var(--line); border-radius: 1rem; height: .8rem; overflow: hidden; }
.track div { background: var(--good); height: 100%; border-radius: 1rem; opacity: .55; transform-origin: left; }
.bar:first-child { font-weight: 600; }
.bar:first-child .track div { opacity: 1; }
.bar .number { text-align: right; font-variant-numeric: tabular-nums; }
@media (prefers-reduced-motion: no-preference) { .track div { animation: grow .35s ease-out; } }
@keyframes grow { from { transform: scaleX(0); } }
mark { color: inherit; border-radius: .4rem; padding: .15rem .35rem; }
mark small { font-size: .68rem; margin-left: .4rem; font-weight: 700; letter-spacing: .04em; opacity: .8; }
.unit { border-radius: .25rem; padding: .1rem 0; }
.swatch { display: inline-block; width: .9em; height: .9em; border-radius: .25em; margin: 0 .35em 0 .9em;
  vertical-align: -.1em; }
.swatch:first-child { margin-left: 0; }
#how h2 { border: 0; margin: 0 0 .6rem; padding: 0; font-size: 1rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--ground); padding: .75rem; border-radius: .5rem;
  font-size: .85rem; margin: 0 0 .75rem; }
.weights { border-collapse: collapse; font-size: .8rem; width: auto; }
.weights th { font-weight: 400; padding: .1rem .3rem; text-align: right; white-space: pre; border: 0; min-width: 0; }
.weights thead th { writing-mode: vertical-rl; text-align: left; }
.weights td { width: 1.6em; min-width: 1.6em; height: 1.6em; padding: 0; border: 1px solid var(--line); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.cursor::after { content: "\25AE"; opacity: .5; }
@media (hover: none) { .keys { display: none; } }
@media (max-width: 34rem) { body { padding-top: 1rem; } .card, #answer:not(:empty) { padding: 1rem; }
  .verse { font-size: 1.35rem; } .bar { grid-template-columns: 5.5rem 1fr 3.5rem; } }
)css";

constexpr std::string_view kServedBody = R"html(<header><h1>mnemo</h1><p data-word="about"></p>
<button type="button" id="language"></button></header>
<form id="login" class="card" hidden><label for="token" data-word="token"></label>
<div><input id="token" type="password" autocomplete="off" required><button class="main" data-word="enter"></button></div>
</form>
<form id="form" class="card" hidden>
<div class="part"><label for="choice" data-word="model"></label><select id="choice"></select></div>
<div class="part"><label for="text" id="text-label"></label>
<textarea id="text" rows="3" spellcheck="false"></textarea></div>
<div class="part" id="second" hidden><label for="translation" data-word="translation"></label>
<textarea id="translation" rows="2" spellcheck="false"></textarea></div>
<div id="examples" role="group" aria-labelledby="examples-label"></div>
<div class="fields" id="first"></div>
<details id="more"><summary data-word="more"></summary><div class="fields" id="others"></div></details>
<div class="actions" id="actions"><button class="main" id="run" data-word="run"></button>
<button type="button" id="stop" data-word="stop" hidden></button>
<span class="note keys" data-word="keys"></span></div>
</form>
<p id="problem" class="error" role="alert" hidden></p>
<section id="answer" aria-live="polite" aria-busy="false"></section>
<section id="how" class="card" hidden><h2 data-word="how"></h2><pre id="curl" tabindex="0"></pre>
<button type="button" id="copy" data-word="copy"></button></section>
)html";

// The page's texts come from the server as text nodes alone, never as HTML.
constexpr std::string_view kServedScript = R"js('use strict';
const quantity = (n, one) => n + ' ' + one + (n === 1 ? '' : 's');
// Texts of more code points are not coloured: the weights of all units cost the square of their number.
const MOST_COLOURED = 300;
const WORDS = {
  en: { about: 'Try the models of this server', model: 'Model', token: 'Token of this server', enter: 'Enter',
    more: 'More options', run: 'Run', stop: 'Stop', keys: 'Ctrl + Enter runs', how: 'The same from a shell',
    copy: 'Copy', copied: 'Copied', answer: 'Answer', try: 'Try', translation: 'Its translation',
    classify: 'classify', tag: 'tag', score: 'score', generate: 'generate', translate: 'translate',
    for: 'in favour', against: 'against', attention: 'Where the translation looked', type: 'Type', text: 'Text',
    probability: 'Probability', none: 'Nothing was found', empty: '—', lost: 'The server does not answer',
    wrong: 'The token is wrong', unexpected: 'The stronger the colour, the less expected.',
    long: `Texts of over ${MOST_COLOURED} characters are not coloured.`,
    weighed: (label) => `What weighed for “${label}”`,
    scored: (units, perplexity, logProb) =>
      `${quantity(units, 'unit')}, perplexity ${perplexity}, log-probability ${logProb}.`,
    written: (units, logProb) => `${quantity(units, 'unit')}, log-probability ${logProb}.`,
    most: (list) => `Most weight: ${list.join(', ')}.`, least: (list) => `Least expected: ${list.join(', ')}.`,
    names: {}, hints: { 'A line, a tab, and its translation': 'A line' }, helps: {}, values: {} },
  zh: { about: '在这里试用本服务器的模型', model: '模型', token: '服务器令牌', enter: '进入',
    more: '更多选项', run: '运行', stop: '停止', keys: 'Ctrl + Enter 运行', how: '在命令行中做同样的事',
    copy: '复制', copied: '已复制', answer: '结果', try: '试试', translation: '译文',
    classify: '分类', tag: '标注', score: '评分', generate: '生成', translate: '翻译',
    for: '支持', against: '反对', attention: '译文所注意的位置', type: '类型', text: '文本',
    probability: '概率', none: '没有找到', empty: '—', lost: '服务器没有回应',
    wrong: '令牌不对', unexpected: '颜色越浓，越出人意料。',
    long: `超过 ${MOST_COLOURED} 字的文本不着色。`,
    weighed: (label) => `“${label}”的依据`,
    scored: (units, perplexity, logProb) => `共 ${units} 个单位，困惑度 ${perplexity}，对数概率 ${logProb}。`,
    written: (units, logProb) => `共 ${units} 个单位，对数概率 ${logProb}。`,
    most: (list) => `影响最大：${list.join('、')}。`, least: (list) => `最出人意料：${list.join('、')}。`,
    names: { length: '长度', seed: '随机种子', temperature: '温度', top_k: '前 K 个', top_p: '核采样概率',
      min_p: '最低相对概率', repetition_penalty: '重复惩罚', no_repeat: '不重复的长度', beam: '束宽',
      candidates: '候选数', form: '体裁', tones: '平仄', rhyme: '韵书', title: '题目', author: '作者',
      acrostic: '藏头' },
    hints: { 'A text': '文本', 'A line': '一行文本', 'A text, cut into words': '文本（自动切分成词）',
      'A line, a tab, and its translation': '一行原文',
      'The beginning of the text, which may be empty': '文本的开头（可为空）' },
    helps: { length: '最多生成多少个单位：字或词，视模型而定', seed: '抽样的随机种子',
      temperature: '小于 1 偏向常见的单位，大于 1 偏向少见的；0：总取最可能的', top_k: '只在概率最高的 K 个单位中选；0：全部',
      top_p: '只在合计达到此概率的最少几个单位中选', min_p: '只选概率不低于最高者这一比例的单位',
      repetition_penalty: '大于 1：出现过的单位概率降低', no_repeat: '任何 N 个单位的序列不出现两次；0：不限',
      beam: '不抽样，而用宽为 B 的束搜索寻找概率最高的文本；0：抽样',
      candidates: '写 N 篇，取平均对数概率最高的；八句的格律诗还看对仗', form: '按此体裁写',
      tones: '选定体裁后可用。严格：合乎谱式；宽松：只看偶数位，并避孤平与三平尾；不限：不论平仄',
      rhyme: '选定体裁后可用：所依的韵书', title: '诗的题目', author: '仿效其风格的作者',
      acrostic: '选定体裁后可用：各句的首字；字数减半则用于隔句' },
    values: { strict: '严格', loose: '宽松', off: '不限', pingshui: '平水韵', xinyun: '中华新韵', cilin: '词林正韵' } },
};
// Texts to try, of each task. A list is a line and its translation; an object, the values of fields.
const EXAMPLES = {
  classify: { en: ['A warm, funny film that I would gladly see again.', 'Dull, and far too long.'],
    zh: ['房间干净，服务热情，下次还会来。', '设施陈旧，隔音很差，不会再住了。'] },
  tag: { en: ['Angela Merkel met Barack Obama in Berlin.', 'Toyota will build a plant near Warsaw.'],
    zh: ['李白出生于碎叶城。', '清华大学位于北京市海淀区。'] },
  score: { en: ['To be, or not to be, that is the question.', 'Be to or not, is question that the to be.'],
    zh: ['床前明月光，疑是地上霜。', '光月明前床，霜上地是疑。'] },
  pair: { en: [['I am hungry.', 'Ich habe Hunger.'], ['I am hungry.', 'Ich bin müde.']],
    zh: [['我饿了。', 'I am hungry.'], ['我饿了。', 'I am tired.']] },
  generate: { en: ['Once upon a time', 'The king '], zh: ['春眠不觉晓，', '明月'] },
  poem: { zh: [{ form: '五绝', title: '春夜' }, { form: '七绝', acrostic: '春花秋月' }, '明月'] },
  translate: { en: ['I am hungry.', 'Where is the station?'], zh: ['我饿了。', '车站在哪里？'] },
};
// What is shown at once, of models that write forms and of others.
const FIRST = { poem: ['form', 'title', 'author', 'acrostic'], text: ['length', 'temperature', 'seed'] };
const OURS = ['text', 'model', 'stream', 'top', 'threshold', 'explain', 'weights'];
const OF_FORM = ['tones', 'rhyme', 'acrostic'];  // which need one
const $ = (id) => document.getElementById(id);
let language = (navigator.language || '').startsWith('zh') ? 'zh' : 'en', token = '', loads = 0;
let api = null, running = null, shown = null;  // shown: the answer that is, with what it answers
const word = (key) => WORDS[language][key] || key;

function made(name, text, parent, kind) {
  const out = document.createElement(name);
  if (text !== undefined && text !== null) out.textContent = text;
  if (kind) out.className = kind;
  if (parent) parent.append(out);
  return out;
}

function translatePage() {
  const words = WORDS[language];
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll('[data-word]')) one.textContent = word(one.dataset.word);
  $('answer').setAttribute('aria-label', word('answer'));
  $('language').textContent = language === 'en' ? '中文' : 'English';
  $('language').lang = language === 'en' ? 'zh' : 'en';
  for (const one of document.querySelectorAll('[data-name]'))
    one.textContent = words.names[one.dataset.name] || one.dataset.name.replaceAll('_', ' ');
  for (const one of document.querySelectorAll('[data-help]')) one.title = words.helps[one.name] || one.dataset.help;
  for (const one of document.querySelectorAll('[data-value]'))
    one.textContent = words.values[one.dataset.value] || one.dataset.value;
  for (const one of $('choice').options) one.textContent = one.dataset.model + ' · ' + word(one.dataset.skill);
  if (!api) return;
  $('text-label').textContent = words.hints[able().text] || able().text;
  offerExamples();
  if (shown) show();
}

// What is wrong, beside the button that it came of: a key of WORDS or, from the server, a text.
function complain(key, text) {
  const problem = $('problem');
  if (key) problem.dataset.word = key;
  else delete problem.dataset.word;
  problem.lang = text ? 'en' : language;
  problem.textContent = text || (key ? word(key) : '');
  problem.hidden = !problem.textContent;
  if (!$('form').hidden) $('actions').append(problem);
  else if (!$('login').hidden) $('login').append(problem);
}

const lost = () => complain('lost');

function headers(more) {
  return token ? { ...more, Authorization: 'Bearer ' + token } : more;
}

function askToken() {
  $('login').hidden = false;
  complain(token ? 'wrong' : '');
  $('token').setAttribute('aria-invalid', token !== '');
  $('token').focus();
  $('token').select();
}

async function load() {
  const attempt = ++loads;
  if (token && !/^[\x21-\x7e]+$/.test(token)) return askToken();  // no other characters are in any
  const [models, description] = await Promise.all(['v1/models', 'openapi.json'].map((path) =>
    fetch(path, { headers: headers({}) })));
  if (attempt !== loads) return;
  if (models.status === 401) return askToken();
  if (!models.ok || !description.ok) return lost();
  const [list, described] = await Promise.all([models.json(), description.json()]);
  if (attempt !== loads) return;
  api = described;
  begin(list.models);
}

function begin(models) {
  [$('login').hidden, $('form').hidden] = [true, false];
  complain('');
  $('choice').replaceChildren();
  for (const model of models)
    for (const route of model.routes) {
      const option = made('option', '', $('choice'));
      option.dataset.model = model.name;
      option.dataset.skill = route.slice(4);
    }
  // A model is seen at its best where it writes.
  const best = [...$('choice').options].findIndex((one) => one.dataset.skill !== 'score');
  $('choice').selectedIndex = Math.max(best, 0);
  choose();
  $('text').focus();
}

const chosen = () => $('choice').selectedOptions[0].dataset;
const route = () => api.paths['/v1/' + chosen().skill].post;
const properties = () => route().requestBody.content['application/json'].schema.oneOf[0].properties;
// Of the chosen model: what a text is, and the keys that it can do.
const able = () => route()['x-models'][chosen().model];
const isPair = () => able().text === 'A line, a tab, and its translation';

function field(name, schema) {
  const label = made('label', ''), caption = made('span', '', label);
  caption.dataset.name = name;
  let input;
  if (schema.enum) {
    input = made('select', null, label);
    made('option', word('empty'), input).value = '';
    for (const value of schema.enum) {
      const option = made('option', value, input);
      [option.value, option.dataset.value] = [value, value];
    }
  } else {
    input = made('input', null, label);
    input.type = { boolean: 'checkbox', string: 'text' }[schema.type] || 'number';
    if (input.type === 'number') {
      [input.min, input.max] = [schema.minimum, schema.maximum];
      input.step = schema.type === 'integer' ? '1' : 'any';
      input.placeholder = schema.default;
    }
  }
  input.name = name;
  input.dataset.help = schema.description || '';
  return label;
}

const fields = () => [...$('form').querySelectorAll('[name]')];

// What needs a form waits for one.
function allowForm() {
  const form = fields().find((one) => one.name === 'form');
  for (const one of fields()) if (OF_FORM.includes(one.name)) one.disabled = !form || !form.value;
}

function choose() {
  const all = properties(), keys = able().keys;
  for (const place of ['first', 'others', 'answer']) $(place).replaceChildren();
  const first = FIRST[keys.includes('form') ? 'poem' : 'text'];
  for (const name of [...first, ...keys.filter((one) => !first.includes(one))])
    if (keys.includes(name) && !OURS.includes(name))
      $(first.includes(name) ? 'first' : 'others').append(field(name, all[name]));
  allowForm();
  $('more').hidden = !$('others').children.length;
  $('second').hidden = !isPair();
  $('how').hidden = true;
  shown = null;
  complain('');
  translatePage();
}

// Of a language model the language is known, roughly; of others both are offered, that of the page first.
function examples() {
  const written = api.paths['/v1/generate'], model = written && written.post['x-models'][chosen().model];
  const poems = model && model.keys.includes('form');
  const of = EXAMPLES[isPair() ? 'pair' : poems && chosen().skill === 'generate' ? 'poem' : chosen().skill];
  if (model) return [[poems ? 'zh' : 'en', of[poems ? 'zh' : 'en']]];
  const other = language === 'en' ? 'zh' : 'en';
  return [[language, of[language]], [other, of[other].slice(0, 1)]];
}

function offerExamples() {
  const place = $('examples'), had = [...place.children].indexOf(document.activeElement);
  place.replaceChildren();
  made('span', word('try'), place, 'label').id = 'examples-label';
  for (const [lang, texts] of examples())
    for (const one of texts) {
      const values = typeof one === 'string' ? { text: one } : Array.isArray(one) ? { text: one.join('\t') } : one;
      if (Object.keys(values).some((key) => key !== 'text' && !able().keys.includes(key))) continue;
      const button = made('button', Object.values(values).join(' · ').replace('\t', ' → '), place);
      [button.type, button.lang] = ['button', lang];
      button.addEventListener('click', () => tryOut(values));
    }
  if (had > 0 && place.children[had]) place.children[had].focus();
}

function tryOut(values) {
  if (running) return;
  [$('text').value, $('translation').value] = [...(values.text || '').split('\t'), ''];
  for (const one of fields())
    if (['form', 'title', 'author', 'acrostic', 'tones', 'rhyme'].includes(one.name)) one.value = values[one.name] || '';
  allowForm();
  $('form').requestSubmit();
}

function request() {
  const keys = able().keys, body = { text: $('text').value };
  if (isPair() && ($('translation').value || !body.text.includes('\t'))) body.text += '\t' + $('translation').value;
  if ($('choice').options.length > 1) body.model = chosen().model;
  for (const input of fields()) {
    if (input.disabled) continue;
    if (input.type === 'checkbox') {
      if (input.checked) body[input.name] = true;
    } else if (input.value !== '') {
      body[input.name] = input.type === 'number' ? Number(input.value) : input.value;
    }
  }
  if (keys.includes('top')) body.top = 20;
  if (keys.includes('weights') && Array.from(body.text).length <= MOST_COLOURED) body.weights = true;
  if ('stream' in properties() && !(body.candidates > 1) && !(body.beam > 16)) body.stream = true;
  return body;
}

function showCurl(path, body) {
  const quoted = "'" + JSON.stringify(body).replaceAll("'", "'\\''") + "'";
  $('curl').textContent = 'curl ' + (body.stream ? '-N ' : '') + path + ' \\\n  ' +
    (token ? '-H "Authorization: Bearer $TOKEN" ' : '') + "-H 'Content-Type: application/json' \\\n  -d " + quoted;
  $('how').hidden = false;
  $('copy').textContent = word('copy');
}

// The events of a stream, as they come.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    for (let end; (end = rest.indexOf('\n\n')) >= 0; rest = rest.slice(end + 2)) {
      const event = { name: 'message', data: '' };
      for (const line of rest.slice(0, end).split('\n')) {
        if (line.startsWith('event: ')) event.name = line.slice(7);
        if (line.startsWith('data: ')) event.data = line.slice(6);
      }
      if (event.data) yield { name: event.name, data: JSON.parse(event.data) };
    }
  }
}

// The button that is pressed keeps the focus, or gives it to one that stays.
function setRunning(controller) {
  running = controller;
  $('answer').setAttribute('aria-busy', controller !== null);
  $('run').setAttribute('aria-disabled', controller !== null);
  if (!controller && document.activeElement === $('stop')) $('run').focus();
  $('stop').hidden = controller === null;
}

async function run(event) {
  event.preventDefault();
  if (running) return;
  const skill = chosen().skill, path = new URL('v1/' + skill, location.href).href, body = request();
  setRunning(new AbortController());
  complain('');
  showCurl(path, body);
  shown = null;
  $('answer').replaceChildren();
  try {
    const response = await fetch(path, { method: 'POST', body: JSON.stringify(body), signal: running.signal,
      headers: headers({ 'Content-Type': 'application/json' }) });
    if (!response.ok) throw new Error((await response.json()).error.message);
    const answer = body.stream ? await grow(response, skill, body) : await response.json();
    shown = { skill, answer, body };
    show();
  } catch (error) {
    if (error.name !== 'AbortError') error instanceof TypeError ? lost() : complain('', error.message);
  }
  for (const one of $('answer').querySelectorAll('.cursor')) one.classList.remove('cursor');
  setRunning(null);
}

// Shows the pieces of a stream as they come; returns the answer at its end.
async function grow(response, skill, body) {
  const kind = skill === 'generate' ? poemKind(body) : 'text';
  const text = made('p', skill === 'generate' ? body.text : '', $('answer'), kind + ' cursor');
  for await (const event of events(response)) {
    if (event.name === 'error') throw new Error(event.data.error.message);
    if (event.name === 'done') return event.data;
    text.append(event.data.piece);
  }
  throw new TypeError();  // as fetch does where a connection breaks
}

const SHOWN = { classify: showLabels, tag: showTags, score: showScore, generate: showText, translate: showTranslation };

function show() {
  $('answer').replaceChildren();
  SHOWN[shown.skill](shown.answer, shown.body, $('answer'));
}

function note(text, place) {
  return made('p', text, place, 'note');
}

function bar(name, share, place) {
  const row = made('div', null, place, 'bar');
  made('span', name, row);
  const inside = made('div', null, made('div', null, row, 'track'));
  inside.style.width = 100 * share + '%';
  made('span', (100 * share).toFixed(1) + '%', row, 'number');
}

// Blue speaks for the label, orange against it.
function colour(share) {
  return `rgba(${share > 0 ? '46, 125, 205' : '221, 107, 32'}, ${Math.min(0.75, 0.75 * Math.abs(share)).toFixed(3)})`;
}

// What colours show is said in words, too: those of the greatest values, with them.
function sayGreatest(say, units, digits, place) {
  const greatest = units.filter(([text, , size]) => size > 0 && text.trim()).sort((a, b) => b[2] - a[2]).slice(0, 5);
  if (greatest.length) note(say(greatest.map(([text, value]) => `“${text}”\u00a0${value.toFixed(digits)}`)), place);
}

function showLabels(answer, body, place) {
  if (!answer.labels.length) note(word('none'), place);
  for (const one of answer.labels) bar(one.label, one.probability, place);
  if (!body.weights) note(word('long'), place);
  const units = answer.weights || [], most = Math.max(...units.map((one) => Math.abs(one.weight)), 1e-9);
  if (!units.length || !answer.labels.length) return;
  made('h3', word('weighed')(answer.labels[0].label), place);
  const points = Array.from(body.text), text = made('p', null, place, 'text');
  let at = 0;
  for (const unit of units) {
    text.append(points.slice(at, unit.start).join(''));
    const span = made('span', points.slice(unit.start, unit.end).join(''), text, 'unit');
    span.style.background = colour(unit.weight / most);
    span.title = unit.weight.toFixed(3) + ' ' + word(unit.weight > 0 ? 'for' : 'against');
    at = unit.end;
  }
  text.append(points.slice(at).join(''));
  const legend = note(null, place);
  for (const [sign, key] of [[1, 'for'], [-1, 'against']]) {
    made('span', null, legend, 'swatch').style.background = colour(sign);
    legend.append(word(key) + ' ');
  }
  sayGreatest(word('most'), units.map((one) =>
    [points.slice(one.start, one.end).join(''), one.weight, Math.abs(one.weight)]), 3, place);
}

function hue(type) {
  let sum = 0;
  for (const one of type) sum = (31 * sum + one.codePointAt(0)) % 360;
  return `hsl(${sum} 70% 50% / 0.3)`;
}

function showTags(answer, body, place) {
  const points = Array.from(answer.text), text = made('p', null, place, 'text');
  const whole = (answer.spans || []).length ? answer.spans : (answer.tokens || []).filter((one) => one.tag !== 'O');
  let at = 0;
  for (const one of whole) {
    if (one.start < at) continue;
    text.append(points.slice(at, one.start).join(''));
    const mark = made('mark', points.slice(one.start, one.end).join(''), text), type = one.type || one.tag;
    mark.style.background = hue(type);
    made('small', type, mark);
    if (one.probability !== undefined) mark.title = (100 * one.probability).toFixed(1) + '%';
    at = one.end;
  }
  text.append(points.slice(at).join(''));
  if (!whole.length) note(word('none'), place);
  else table([word('text'), word('type'), word('probability')], whole.map((one) =>
    [points.slice(one.start, one.end).join(''), one.type || one.tag,
      one.probability === undefined ? '' : one.probability.toFixed(3)]), place);
}

function table(head, rows, place) {
  const out = made('table', null, made('div', null, place, 'scroll')), first = made('tr', null, made('thead', null, out));
  for (const cell of head) made('th', cell, first).scope = 'col';
  const body = made('tbody', null, out);
  for (const row of rows) {
    const line = made('tr', null, body);
    row.forEach((cell, i) => made(i ? 'td' : 'th', cell, line).scope = i ? '' : 'row');
  }
}

function showScore(answer, body, place) {
  const text = made('p', null, place, 'text'), words = answer.words || answer.unit_log_probs;
  for (const [unit, logProb] of words) {
    const span = made('span', unit === '\n' || unit === '' ? '⏎' : unit, text, 'unit');
    span.style.background = colour(logProb / 8);
    span.title = logProb.toFixed(2);
    if (answer.words) text.append(' ');
  }
  note(word('unexpected'), place);
  sayGreatest(word('least'), words.map(([unit, logProb]) => [unit, logProb, -logProb]), 2, place);
  note(word('scored')(answer.units, answer.perplexity.toFixed(2), answer.log_prob.toFixed(2)), place);
}

const poemKind = (of) => of.form ? 'poem verse' : 'poem';

function showText(answer, body, place) {
  const kind = poemKind(answer);
  if (answer.title) made('h3', answer.title + (answer.author ? ' · ' + answer.author : ''), place, kind);
  made('p', answer.text, place, kind);
  note(word('written')(answer.units, answer.log_prob.toFixed(2)), place);
}

function showTranslation(answer, body, place) {
  made('p', answer.text || word('empty'), place, 'text');
  if (!answer.attention || !answer.attention.length || answer.attention.length > 80 ||
      answer.source_tokens.length > 80) return;
  made('h3', word('attention'), place);
  const out = made('table', null, made('div', null, place, 'scroll'), 'weights');
  const head = made('tr', null, made('thead', null, out));
  made('th', '', head);
  for (const unit of answer.source_tokens) made('th', unit, head).scope = 'col';
  const rows = made('tbody', null, out);
  answer.attention.forEach((shares, i) => {
    const row = made('tr', null, rows);
    made('th', answer.tokens[i], row).scope = 'row';
    shares.forEach((share, j) => {
      const cell = made('td', null, row);
      cell.style.background = colour(share / 0.75);
      cell.title = `${answer.tokens[i]} ← ${answer.source_tokens[j]}: ${share}`;
      made('span', share.toFixed(2), cell, 'unseen');
    });
  });
}

$('form').addEventListener('submit', run);
$('form').addEventListener('change', allowForm);
$('form').addEventListener('invalid', (event) => {  // it could not be shown in what is closed
  if ($('others').contains(event.target)) $('more').open = true;
}, true);
$('stop').addEventListener('click', () => running && running.abort());
$('choice').addEventListener('change', () => {
  if (running) running.abort();
  choose();
});
for (const id of ['text', 'translation'])
  $(id).addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) $('form').requestSubmit();
  });
$('language').addEventListener('click', () => {
  language = language === 'en' ? 'zh' : 'en';
  translatePage();
});
$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  token = $('token').value;
  load().catch(lost);
});
$('copy').addEventListener('click', async () => {
  await navigator.clipboard.writeText($('curl').textContent);
  $('copy').textContent = word('copied');
});
$('copy').hidden = !navigator.clipboard;  // which pages without TLS have on this machine alone
translatePage();
load().catch(lost);
)js";

ServedPage make_page() {
  const std::string script = content_hash(kServedScript);
  const PageHead head{.title = "mnemo", .style = kServedStyle, .script_hash = script, .asks_server = true};
  return {.text = page_head(head) + std::string(kServedBody) + "<script>" + std::string(kServedScript) + "</script>" +
                  std::string(kPageEnd),
          .policy = fmt::format("default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; "
                                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                                script, content_hash(page_style(kServedStyle)))};
}

}  // namespace

const ServedPage& served_page() {
  static const ServedPage page = make_page();
  return page;
}

}  // namespace mnemo
