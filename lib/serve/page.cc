#include "serve/page.h"

#include <fmt/format.h>

#include <string_view>

#include "text/html_page.h"

namespace mnemo {
namespace {

constexpr std::string_view kServedStyle = R"css(
header { display: flex; flex-wrap: wrap; gap: .75rem; align-items: baseline; }
header h1 { margin: 0 auto 0 0; }
label { display: block; font-size: .9rem; color: var(--soft); margin-bottom: .5rem; }
input, select, textarea, button { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--soft);
  border-radius: .35rem; padding: .35rem .55rem; max-width: 100%; }
textarea { width: 100%; min-height: 7rem; resize: vertical; }
button { cursor: pointer; }
button.main { background: var(--good); color: var(--paper); border-color: var(--good); padding: .45rem 1.4rem; }
button:disabled { opacity: .5; cursor: default; }
:focus-visible { outline: 3px solid var(--good); outline-offset: 2px; }
.fields label { margin: 0; }
.fields { display: flex; flex-wrap: wrap; gap: .75rem; margin: .75rem 0; }
.fields input { width: 9rem; }
.fields input[type=checkbox] { width: auto; }
.actions { display: flex; gap: .75rem; margin: .75rem 0; align-items: center; }
#answer { margin-top: 1.5rem; min-height: 4rem; }
#answer .text { font-size: 1.15rem; line-height: 2; }
.poem { white-space: pre-wrap; font-size: 1.25rem; line-height: 2; }
.bar { display: grid; grid-template-columns: minmax(5rem, 12rem) 1fr 4.5rem; gap: .75rem; align-items: center;
  margin: .3rem 0; }
.bar span { overflow-wrap: anywhere; }
.track { background: var(--line); border-radius: .3rem; height: 1.1rem; overflow: hidden; }
.track div { background: var(--good); height: 100%; }
.bar .number { text-align: right; font-variant-numeric: tabular-nums; }
mark { color: inherit; border-radius: .3rem; padding: .1rem .25rem; background: var(--good-back); }
mark small { font-size: .7rem; margin-left: .3rem; font-weight: 600; color: var(--soft); }
.unit { border-radius: .2rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--line); padding: .75rem; border-radius: .35rem;
  font-size: .85rem; }
.weights { border-collapse: collapse; font-size: .8rem; width: auto; }
.weights th { font-weight: 400; padding: .1rem .3rem; text-align: right; white-space: pre; border: 0; }
.weights thead th { writing-mode: vertical-rl; text-align: left; }
.weights td { width: 1.5em; min-width: 1.5em; height: 1.5em; padding: 0; border: 1px solid var(--line); }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.error { color: var(--bad); }
.cursor::after { content: "\25AE"; opacity: .5; }
@media (max-width: 34rem) { .fields label, .fields input, .fields select { width: 100%; } }
)css";

constexpr std::string_view kServedBody = R"html(<header><h1>mnemo</h1>
<label><span data-word="model"></span> <select id="choice"></select></label>
<button type="button" id="language" lang="zh">中文</button></header>
<p id="problem" class="error" role="alert" hidden></p>
<form id="login" hidden><label><span data-word="token"></span>
<input id="token" type="password" autocomplete="off" required></label> <button data-word="enter"></button></form>
<form id="form" hidden>
<label for="text" id="text-label"></label>
<textarea id="text" spellcheck="false" autofocus></textarea>
<div class="fields" id="first"></div>
<details id="more"><summary data-word="more"></summary><div class="fields" id="others"></div></details>
<div class="actions"><button class="main" id="run" data-word="run"></button>
<button type="button" id="stop" data-word="stop" hidden></button>
<span class="note" data-word="keys"></span></div>
</form>
<section id="answer" aria-live="polite" aria-busy="false" data-label="answer"></section>
<section id="how" hidden><h2 data-word="how"></h2><pre id="curl" tabindex="0"></pre>
<button type="button" id="copy" data-word="copy"></button></section>
)html";

// The page's texts come from the server as text nodes alone, never as HTML.
constexpr std::string_view kServedScript = R"js('use strict';
const WORDS = {
  en: { model: 'Model', token: 'Token of this server', enter: 'Enter', more: 'More options', run: 'Run', stop: 'Stop',
    keys: 'Ctrl + Enter runs', how: 'The same from a shell', copy: 'Copy', copied: 'Copied', answer: 'Answer',
    classify: 'classify', tag: 'tag', score: 'score', generate: 'generate', translate: 'translate',
    weighed: 'What weighed for', for: 'in favour', against: 'against', perplexity: 'perplexity', logProb: 'log-probability',
    units: 'units', attention: 'Where the translation looked', lost: 'The server does not answer', type: 'Type',
    text: 'Text', probability: 'Probability', none: 'Nothing was found', unexpected: 'The darker, the less expected',
    empty: '—', most: 'Most weight', least: 'Least expected', names: {}, hints: {} },
  zh: { model: '模型', token: '服务器令牌', enter: '进入', more: '更多选项', run: '运行', stop: '停止',
    keys: 'Ctrl + Enter 运行', how: '在命令行中做同样的事', copy: '复制', copied: '已复制', answer: '结果',
    classify: '分类', tag: '标注', score: '评分', generate: '生成', translate: '翻译',
    weighed: '依据：', for: '支持', against: '反对', perplexity: '困惑度', logProb: '对数概率',
    units: '单位', attention: '译文所注意的位置', lost: '服务器没有回应', type: '类型',
    text: '文本', probability: '概率', none: '没有找到', unexpected: '颜色越深，越出人意料', empty: '—',
    most: '影响最大', least: '最出人意料',
    names: { length: '长度', seed: '随机种子', temperature: '温度', top_k: '前 K 个', top_p: '核采样概率',
      min_p: '最低相对概率', repetition_penalty: '重复惩罚', no_repeat: '不重复的长度', beam: '束宽',
      candidates: '候选数', form: '体裁', tones: '平仄', rhyme: '韵书', title: '题目', author: '作者',
      acrostic: '藏头' },
    hints: { 'A text': '文本', 'A line': '一行文本', 'A text, cut into words': '文本（自动切分成词）',
      'A line, a tab, and its translation': '一行原文、制表符、译文',
      'The beginning of the text, which may be empty': '文本的开头（可为空）' } },
};
const FIRST = ['form', 'title', 'author', 'acrostic', 'length', 'temperature', 'seed'];
const OURS = ['text', 'model', 'stream', 'top', 'threshold', 'explain', 'weights'];
const $ = (id) => document.getElementById(id);
let language = (navigator.language || '').startsWith('zh') ? 'zh' : 'en', token = '', api = null, running = null;
const word = (key) => WORDS[language][key] || key;

function made(name, text, parent, kind) {
  const out = document.createElement(name);
  if (text !== undefined && text !== null) out.textContent = text;
  if (kind) out.className = kind;
  if (parent) parent.append(out);
  return out;
}

function translatePage() {
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll('[data-word]')) one.textContent = word(one.dataset.word);
  $('answer').setAttribute('aria-label', word('answer'));
  $('language').textContent = language === 'en' ? '中文' : 'English';
  $('language').lang = language === 'en' ? 'zh' : 'en';
  for (const one of document.querySelectorAll('[data-name]'))
    one.textContent = (WORDS[language].names[one.dataset.name] || one.dataset.name.replaceAll('_', ' ')) + ' ';
  if (api) {
    const hint = properties().text.description;
    $('text-label').textContent = WORDS[language].hints[hint] || hint;
  }
  for (const one of $('choice').options) one.textContent = one.dataset.model + ' · ' + word(one.dataset.skill);
}

function complain(text) {
  $('problem').textContent = text || '';
  $('problem').hidden = !text;
}

function headers(more) {
  return token ? { ...more, Authorization: 'Bearer ' + token } : more;
}

async function load() {
  const [models, description] = await Promise.all(['v1/models', 'openapi.json'].map((path) =>
    fetch(path, { headers: headers({}) })));
  $('login').hidden = models.status !== 401;
  if (models.status === 401) return $('token').focus();
  if (!models.ok || !description.ok) return complain(word('lost'));
  complain('');
  api = await description.json();
  for (const model of (await models.json()).models)
    for (const route of model.routes) {
      const option = made('option', '', $('choice'));
      option.dataset.model = model.name;
      option.dataset.skill = route.slice(4);
    }
  // A model is seen at its best where it writes.
  const best = [...$('choice').options].findIndex((one) => one.dataset.skill !== 'score');
  $('choice').selectedIndex = Math.max(best, 0);
  choose();
  $('form').hidden = false;
  $('text').focus();
}

const chosen = () => $('choice').selectedOptions[0].dataset;
const properties = () =>
  api.paths['/v1/' + chosen().skill].post.requestBody.content['application/json'].schema.oneOf[0].properties;

function field(name, schema) {
  const label = made('label', '');
  const caption = made('span', '', label);
  caption.dataset.name = name;
  label.title = schema.description || '';
  let input;
  if (schema.enum) {
    input = made('select', null, label);
    for (const value of ['', ...schema.enum]) made('option', value || word('empty'), input).value = value;
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
  return label;
}

function choose() {
  const all = properties();
  for (const place of ['first', 'others']) $(place).replaceChildren();
  for (const [name, schema] of Object.entries(all))
    if (!OURS.includes(name)) $(FIRST.includes(name) ? 'first' : 'others').append(field(name, schema));
  $('more').hidden = !$('others').children.length;
  $('answer').replaceChildren();
  $('how').hidden = true;
  translatePage();
}

function request() {
  const all = properties(), body = { text: $('text').value };
  if ($('choice').options.length > 1) body.model = chosen().model;
  for (const input of $('form').querySelectorAll('[name]')) {
    const schema = all[input.name];
    if (input.type === 'checkbox') {
      if (input.checked) body[input.name] = true;
    } else if (input.value !== '') {
      body[input.name] = input.type === 'number' ? Number(input.value) : input.value;
    }
    if (schema === undefined) delete body[input.name];
  }
  if ('weights' in all) Object.assign(body, { top: 20, weights: true });
  if ('stream' in all && !(body.candidates > 1) && !(body.beam > 16)) body.stream = true;
  return body;
}

function showCurl(path, body) {
  const quoted = "'" + JSON.stringify(body).replaceAll("'", "'\\''") + "'";
  $('curl').textContent = 'curl ' + (body.stream ? '-N ' : '') + path + ' \\\n  ' +
    (token ? '-H "Authorization: Bearer $TOKEN" ' : '') + "-H 'Content-Type: application/json' \\\n  -d " + quoted;
  $('how').hidden = false;
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

async function run(event) {
  event.preventDefault();
  if (running) return;
  const skill = chosen().skill, path = new URL('v1/' + skill, location.href).href;
  const body = request(), place = $('answer');
  running = new AbortController();
  complain('');
  showCurl(path, body);
  place.replaceChildren();
  place.setAttribute('aria-busy', 'true');
  [$('run').disabled, $('stop').hidden] = [true, false];
  try {
    const response = await fetch(path, { method: 'POST', body: JSON.stringify(body), signal: running.signal,
      headers: headers({ 'Content-Type': 'application/json' }) });
    if (!response.ok) throw new Error((await response.json()).error.message);
    if (body.stream) await showStream(response, skill, body, place);
    else SHOWN[skill](await response.json(), body, place);
  } catch (error) {
    if (error.name !== 'AbortError') complain(error instanceof TypeError ? word('lost') : error.message);
  }
  for (const one of place.querySelectorAll('.cursor')) one.classList.remove('cursor');
  place.setAttribute('aria-busy', 'false');
  [$('run').disabled, $('stop').hidden, running] = [false, true, null];
}

async function showStream(response, skill, body, place) {
  const text = made('p', skill === 'generate' ? body.text : '', place, 'text cursor');
  for await (const event of events(response)) {
    if (event.name === 'error') throw new Error(event.data.error.message);
    if (event.name === 'done') {
      place.replaceChildren();
      SHOWN[skill](event.data, body, place);
    } else {
      text.append(event.data.piece);
    }
  }
}

const SHOWN = { classify: showLabels, tag: showTags, score: showScore, generate: showText, translate: showTranslation };

function note(text, place) {
  return made('p', text, place, 'note');
}

function bar(name, share, place) {
  const row = made('div', null, place, 'bar');
  made('span', name, row);
  const inside = made('div', null, made('div', null, row, 'track'));
  inside.style.width = 100 * share + '%';
  made('span', (100 * share).toFixed(1) + ' %', row, 'number');
}

// Blue speaks for the label, orange against it.
function colour(share) {
  return `rgba(${share > 0 ? '46, 125, 205' : '221, 107, 32'}, ${Math.min(0.75, 0.75 * Math.abs(share)).toFixed(3)})`;
}

// What colours show is said in words, too: those of the greatest values, with them.
function sayGreatest(heading, units, digits, place) {
  const greatest = units.filter(([text, , size]) => size > 0 && text.trim()).sort((a, b) => b[2] - a[2]).slice(0, 5);
  if (greatest.length)
    note(heading + ': ' + greatest.map(([text, value]) => `${text} ${value.toFixed(digits)}`).join(', '), place);
}

function showLabels(answer, body, place) {
  if (!answer.labels.length) note(word('none'), place);
  for (const one of answer.labels) bar(one.label, one.probability, place);
  const units = answer.weights || [], most = Math.max(...units.map((one) => Math.abs(one.weight)), 1e-9);
  if (!units.length || !answer.labels.length) return;
  made('h3', word('weighed') + ' ' + answer.labels[0].label, place);
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
    if (one.probability !== undefined) mark.title = (100 * one.probability).toFixed(1) + ' %';
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
  sayGreatest(word('least'), words.map(([unit, logProb]) => [unit, logProb, -logProb]), 2, place);
  note(`${word('perplexity')} ${answer.perplexity.toFixed(2)}, ${word('logProb')} ${answer.log_prob.toFixed(2)}, ` +
    `${answer.units} ${word('units')}. ${word('unexpected')}.`, place);
}

function showText(answer, body, place) {
  if (answer.title) made('h3', answer.title + (answer.author ? ' · ' + answer.author : ''), place);
  made('p', answer.text, place, 'poem');
  note(`${answer.units} ${word('units')}, ${word('logProb')} ${answer.log_prob.toFixed(2)}`, place);
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
$('stop').addEventListener('click', () => running && running.abort());
$('choice').addEventListener('change', () => {
  if (running) running.abort();
  choose();
});
$('text').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) $('form').requestSubmit();
});
$('language').addEventListener('click', () => {
  language = language === 'en' ? 'zh' : 'en';
  translatePage();
});
$('login').addEventListener('submit', (event) => {
  event.preventDefault();
  token = $('token').value;
  load().catch(() => complain(word('lost')));
});
$('copy').addEventListener('click', async () => {
  await navigator.clipboard.writeText($('curl').textContent);
  $('copy').textContent = word('copied');
});
$('copy').hidden = !navigator.clipboard;  // which pages without TLS have on this machine alone
translatePage();
load().catch(() => complain(word('lost')));
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
