// The console in a real browser against a real broker. Run by console_test.py: node --test-reporter=spec console_test.mjs BIN_DIR OUT_DIR

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { resolve } from 'node:path';
import { Broker, launchBrowser, openPage, until } from './harness.mjs';
import { takeScreenshots } from './screenshots.mjs';

const [binaries, output] = process.argv.slice(-2).map((path) => resolve(path));

const MARKUP = '<script>window.broken = 1</script><img src=x onerror="window.broken = 1">';

let browser;
let broker;
let page;

before(async () => {
  browser = await launchBrowser();
});
after(() => browser.close());

// One broker for the tests of a suite, one page for each.
function suite(name, prepare, tests) {
  describe(name, () => {
    before(async () => {
      broker = new Broker(binaries);
      await broker.start();
      await prepare();
    });
    after(() => broker.close());
    beforeEach(async () => {
      page = await openPage(browser, `${broker.url}/`);
    });
    afterEach(async () => {
      const { faults } = page;
      await page.context().close();
      assert.deepEqual(faults, [], 'the page has no faults');
    });
    tests();
  });
}

// --- What a person does.

const goTo = (hash) => page.goto(`${broker.url}/${hash}`);
const row = (text) => page.locator('.list tbody tr', { hasText: text }).first();
const sees = (selector, text) => page.locator(selector).filter({ hasText: text }).first().waitFor();
const press = (text) => page.getByRole('button', { name: text, exact: true }).first().click();
const figure = (name) => page.locator('.tile', { has: page.locator('.name', { hasText: new RegExp(`^${name}$`) }) }).locator('.figure');
const showsFigure = (name, value) => figure(name).filter({ hasText: value }).waitFor();

async function answer(fields) {
  for (const [name, value] of Object.entries(fields)) {
    const field = page.locator(`dialog [name="${name}"]`);
    if (value === true) await field.check();
    else if (await field.evaluate((element) => element.tagName === 'SELECT')) await field.selectOption(value);
    else await field.fill(String(value));
  }
}

const deed = () => page.locator('dialog .buttons button').last();

// Asks for the plan, checks what it says, then has it done.
async function confirm(planned, { typed } = {}) {
  const show = page.locator('dialog').getByRole('button', { name: 'Show plan' });
  if ((await show.count()) > 0) {
    assert.ok(await deed().isDisabled(), 'nothing can be done before its plan was seen');
    await show.click();
  }
  if (planned) await sees('dialog .outcome', planned);
  if (typed) {
    assert.ok(await deed().isDisabled(), 'nothing can be done before the name was typed');
    await page.locator('dialog .typed').fill(typed);
  }
  await deed().click();
  await page.locator('dialog').waitFor({ state: 'detached' });
}

const numbered = (from, to, key = 'k') => Array.from({ length: to - from }, (_, i) => ({ key, value: `value ${from + i}` }));
const queueGroup = (group, topic, settings = {}) => broker.rest('POST', '/groups', { group, kind: 'queue', topics: [topic], from: 'earliest', settings });
const makeTopic = (name, partitions = 1) => broker.rest('POST', '/topics', { name, partitions });
const queueState = (group, topic) => broker.rest('GET', `/groups/${encodeURIComponent(group)}?kind=queue&topic=${topic}`);

suite('topics', () => {}, () => {
  test('one is made after its plan, filled, altered after its difference, and removed after its name', async () => {
    await goTo('#/topics');
    await sees('.empty', 'There are no topics yet');
    await press('New topic …');
    await answer({ name: 'orders', partitions: 3, config: 'retention.ms=86400000' });
    await confirm(/1d 00h/);
    await sees('.toast', 'Topic orders was made with 3 partitions');
    assert.equal((await broker.rest('GET', '/topics/orders')).partitions, 3);

    await row('orders').click();
    await sees('h1', 'orders');
    await press('Produce …');
    await answer({ key: 'customer 7', value: '{"sku":"A-1","quantity":2}', headers: 'type=order.placed', partition: 1 });
    await confirm();
    await sees('.toast', 'orders:1:0');
    await press('Look');
    await row('customer 7').click();
    await sees('.record .value', '"quantity": 2');
    await sees('.record', 'order.placed');

    await page.locator('[data-tab=settings]').click();
    await page.locator('.list .filter').fill('retention.ms');
    await row('retention.ms').getByRole('button').click();
    await answer({ value: '7200000' });
    await confirm(/86400000.*7200000/s);
    await row('2h 00m').waitFor();
    assert.equal((await broker.rest('GET', '/topics/orders')).config['retention.ms'], '7200000');

    await press('Remove …');
    await confirm(null, { typed: 'orders' });
    await sees('.empty', 'There are no topics yet');
  });

  test('a refusal names the field and the rule, and nothing is lost of what was typed', async () => {
    await goTo('#/topics');
    await press('New topic …');
    await answer({ name: 'no/such topic!' });
    await page.getByRole('button', { name: 'Show plan' }).click();
    await sees('dialog .warning', /249|name/);
    assert.ok(await deed().isDisabled());
    assert.equal(await page.locator('dialog [name=name]').inputValue(), 'no/such topic!');
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
  });
});

suite('lag', async () => {
  await makeTopic('payments');
  await queueGroup('billing', 'payments');
  await broker.produce('payments', numbered(0, 40));
}, () => {
  test('the overview alone says which group is in trouble and why', async () => {
    await sees('#headline', '1 group needs a person: billing has stopped.');
    await sees('#attention li', 'billing');
    await sees('#attention li', 'nobody works on it');
    await sees('#attention li', '40 records wait');
    await sees('#attention li', 'Never caught up at this pace');
  });

  test('the page of a group shows it grow and drain without being asked', async () => {
    await goTo('#/group/billing?kind=queue&topic=payments');
    await showsFigure('Lag', /^40$/);
    await broker.produce('payments', numbered(40, 60));
    await showsFigure('Lag', /^60$/);
    await showsFigure('Caught up', 'never');
    await page.locator('svg.map[aria-label="payments:0: log start 0, floor 0, delivered 0, end 60"]').waitFor();
    await broker.cli('consume', 'payments', '-g', 'billing', '--queue', '--exit-at-end');
    await showsFigure('Lag', /^0$/);
    await showsFigure('Caught up', 'now');
    await sees('#sentence', 'It is caught up');
    await page.locator('svg.map[aria-label="payments:0: log start 0, floor 60, delivered 60, end 60"]').waitFor();
  });

  test('what a worker holds is seen, taken back after its plan', async () => {
    await broker.produce('payments', numbered(60, 65));
    broker.settler('payments', 'billing', 'worker-3', 5);
    await until('the worker holds five', async () => (await queueState('billing', 'payments')).in_flight === 5);
    await goTo('#/group/billing?kind=queue&topic=payments&tab=pending');
    await row('worker-3').waitFor();
    assert.equal(await page.locator('.list tbody tr').count(), 5);
    await row('payments:0:64').click();
    await sees('.value', 'value 64');
    await page.locator('[data-tab=members]').click();
    await row('worker-3').getByRole('button').click();
    await confirm('5 records would be taken back');
    await sees('.toast', '5 records were taken back');
    await until('nobody holds them', async () => (await queueState('billing', 'payments')).in_flight === 0);
  });

  test('a group is moved after its plan, and the move taken back', async () => {
    await broker.cli('consume', 'payments', '-g', 'reports', '--exit-at-end');
    await goTo('#/group/reports?kind=stream');
    await showsFigure('Lag', /^0$/);
    await press('Move …');
    await answer({ to: '-15' });
    await confirm('1 partition would move; 15 records');
    await showsFigure('Lag', /^15$/);
    await page.locator('[data-tab=history]').click();
    await row('#1').click();
    await sees('.detail', '15 records');
    await press('Take the latest back …');
    await confirm('1 partition would move; 15 records');
    await row('back to before #1').waitFor();
    const [summary] = await broker.rest('GET', '/groups/reports/lag?kind=stream');
    assert.equal(summary.lag, 0);
  });
});

suite('dead letters', async () => {
  await makeTopic('mails');
  await queueGroup('mailer', 'mails');
  await broker.produce('mails', [...numbered(0, 3, 'alice'), { key: 'bob', value: MARKUP }]);
  broker.settler('mails', 'mailer', 'worker-1', 3, 'mailbox is full');
  await until('three have died', async () => (await queueState('mailer', 'mails')).dead === 3);
  broker.settler('mails', 'mailer', 'worker-2', 1, MARKUP);
  await until('four have died', async () => (await queueState('mailer', 'mails')).dead === 4);
}, () => {
  test('one is looked at, those of one reason are redriven after a dry run', async () => {
    await sees('#attention li', '4 records could not be processed');
    await goTo('#/dlq');
    await row('mailer').click();
    await showsFigure('Dead letters', /^4$/);
    await sees('#reasons', '3 records');
    await page.locator('.list .filter').fill('mails:0:1');
    await row('mails:0:1').click();
    await sees('.detail', 'mailbox is full');
    await sees('.detail .value', 'value 1');
    await sees('.detail', 'the last time with worker-1');

    await page.locator('#reasons .bar-row', { hasText: 'mailbox is full' }).getByRole('button').click();
    assert.equal(await page.locator('dialog [name=match]').inputValue(), 'reason = "mailbox is full"');
    await confirm('3 dead letters match');
    await sees('.toast', '3 dead letters of 3 given back');
    await showsFigure('Dead letters', /^1$/);
    await until('they wait again', async () => (await queueState('mailer', 'mails')).waiting === 3);
  });

  test('the rest is purged after its count and its name', async () => {
    await goTo('#/dlq/mailer');
    await press('Purge …');
    await confirm('1 dead letter would go', { typed: 'mailer' });
    await sees('.toast', '1 dead letter purged');
    await showsFigure('Dead letters', /^0$/);
  });
});

suite('records', async () => {
  await makeTopic('clicks', 2);
  await broker.produce('clicks', [{ key: 'a', value: 'first', partition: 0 }, { key: 'b', value: 'second', partition: 1 }, { value_base64: '/wAB', partition: 0 }]);
}, () => {
  test('a filter of the broker chooses them, the address keeps it', async () => {
    await goTo('#/topic/clicks');
    await row('second').waitFor();
    await page.locator('#look [type=search]').fill('value ^= "fi"');
    await press('Look');
    await row('second').waitFor({ state: 'detached' });
    await row('first').waitFor();
    await page.reload();
    await row('first').waitFor();
    assert.equal(await page.locator('.list tbody tr').count(), 1);
    await page.locator('#look [type=search]').fill('value ^^ 1');
    await press('Look');
    await sees('#messages .warning', 'column');
  });

  test('bytes that are no text are shown as bytes', async () => {
    await goTo('#/topic/clicks');
    await row('3 bytes, no text').click();
    await sees('.record .value', 'ff 00 01');
  });

  test('the live tail shows what comes in, and goes on when the broker was lost', async () => {
    await goTo('#/topic/clicks');
    await row('first').waitFor();
    await press('Live tail');
    await sees('#messages .amount', 'waiting for records');
    await broker.produce('clicks', [{ key: 'c', value: 'third' }]);
    await row('third').waitFor();
    assert.equal(await page.locator('.list tbody tr').count(), 1);

    await broker.kill();
    await page.locator('#lost').waitFor();
    await sees('#lost', 'The broker does not answer');
    await broker.start();
    await page.locator('#lost').waitFor({ state: 'hidden' });
    await broker.produce('clicks', [{ key: 'd', value: 'fourth' }]);
    await row('fourth').waitFor();
    await row('third').waitFor();
  });
});

suite('markup', async () => {
  await makeTopic('pages');
  await queueGroup(MARKUP, 'pages');
  await broker.rest('POST', '/groups', { group_base64: Buffer.from([0x3c, 0xff, 0x3e]).toString('base64'), kind: 'queue', topics: ['pages'], from: 'earliest' });
  await broker.produce('pages', [{ key: MARKUP, value: MARKUP, headers: [{ name: MARKUP, value: MARKUP }] }]);
  broker.settler('pages', MARKUP, MARKUP, 1);
  await until('the worker holds it', async () => (await queueState(MARKUP, 'pages')).in_flight === 1);
}, () => {
  const harmless = async () => {
    assert.equal(await page.evaluate(() => window.broken), undefined);
    assert.equal(await page.locator('main script, main img, dialog script, dialog img').count(), 0);
  };

  test('in names, keys, values and headers is text everywhere', async () => {
    const group = encodeURIComponent(MARKUP);
    for (const hash of ['#/overview', '#/groups', '#/clients', `#/group/${group}?kind=queue&topic=pages`, `#/group/${group}?kind=queue&topic=pages&tab=members`,
      `#/group/${group}?kind=queue&topic=pages&tab=pending`, '#/topic/pages?tab=groups', '#/topics']) {
      await goTo(hash);
      await sees('main', '<script>window.broken = 1</script>');
      await harmless();
    }
    await goTo('#/topic/pages');
    await row('<script>').click();
    await sees('.record', '<img src=x');
    assert.equal(await page.locator('.record').getByText(MARKUP).count(), 4, 'key, name and value of the header, value');
    await harmless();
    await press('Produce again …');
    assert.equal(await page.locator('dialog [name=value]').inputValue(), MARKUP);
    await harmless();
  });

  test('and in an address', async () => {
    await goTo(`#/topic/${encodeURIComponent(MARKUP)}`);
    await sees('h1', '<script>');
    await sees('.empty', 'no topic');
    await goTo(`#/${encodeURIComponent(MARKUP)}`);
    await sees('.empty', 'There is no such page');
    await harmless();
  });

  test('a group whose name is no UTF-8 can be opened', async () => {
    await goTo('#/groups');
    await row('<\\xff>').click();
    await showsFigure('Lag', /^1$/);
    await sees('h1', '<\\xff>');
  });

  test('nothing is loaded from elsewhere, nothing inline is run', async () => {
    const asked = [];
    page.on('request', (request) => asked.push(new URL(request.url()).origin));
    const answered = await page.reload();
    await sees('#headline', /needs? a person/);
    assert.deepEqual([...new Set(asked)], [broker.url]);
    assert.doesNotMatch(answered.headers()['content-security-policy'], /unsafe/);
    await page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'window.broken = 1';
      document.body.append(script);
      script.remove();
    });
    await harmless();
    page.faults = page.faults.filter((fault) => !fault.includes('Content Security Policy'));
  });
});

const MANY = 10_000;
const REALLY = process.env.TIDEMARK_REAL_TOPICS === '1'; // Making so many takes minutes: the long test does.

suite('ten thousand topics', async () => {
  let next = 0;
  const make = async () => {
    while (next < (REALLY ? MANY : 1)) await makeTopic(`topic-${String(next++).padStart(5, '0')}`);
  };
  await Promise.all(Array.from({ length: 64 }, make));
}, () => {
  // Otherwise the broker has one of them, and its answers are multiplied on their way.
  beforeEach(async () => {
    if (REALLY) return;
    const nameOf = (i) => `topic-${String(i).padStart(5, '0')}`;
    const [model] = await broker.rest('GET', '/topics');
    const topics = Array.from({ length: MANY }, (_, i) => ({ ...model, name: nameOf(i) }));
    await page.route('**/api/v1/topics', (route) => route.fulfill({ json: topics }));
    const details = await broker.rest('GET', `/topics/${nameOf(0)}`);
    await page.route('**/api/v1/topics/topic-*', (route) => route.fulfill({ json: { ...details, name: route.request().url().split('/').at(-1) } }));
    await page.route('**/api/v1/topics/topic-*/records*', (route) => route.fulfill({ json: { records: [], next: [], errors: [] } }));
  });

  test('stay usable: filter, order, pages, keys', async () => {
    const began = performance.now();
    await goTo('#/topics');
    await row('topic-00000').waitFor();
    const filtering = () => page.locator('input.filter').evaluate((field) => field === document.activeElement);
    await until('the filter has the keys', async () => {
      if (!(await filtering())) await page.keyboard.press('/');
      return filtering();
    });
    await page.keyboard.type('topic-0777');
    await sees('.amount', '10 of 10');
    console.log(`ten thousand topics: first interaction done after ${Math.round(performance.now() - began)} ms`);
    assert.equal(await page.locator('.list tbody tr').count(), 10);
    assert.match(page.url(), /filter=topic-0777/);

    await page.keyboard.press('Enter'); // Out of the filter, onto the first row.
    await page.keyboard.press('j');
    await page.keyboard.press('k');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await sees('h1', 'topic-07771');
    await page.keyboard.press('Escape');
    await sees('h1', 'Topics');
    await row('topic-00099').waitFor();
    const nodes = await page.evaluate(() => document.getElementsByTagName('*').length);
    console.log(`ten thousand topics: ${nodes} nodes in the page`);
    assert.ok(nodes < 3000, `${nodes} nodes`);
    await page.keyboard.press(']');
    await row('topic-00100').waitFor();
    assert.match(page.url(), /at=2/);
    await page.locator('.heading', { hasText: 'Topic' }).first().click();
    await row('topic-09999').waitFor();
  });

  test('each page is a key away, and help says so', async () => {
    await until('help is shown', async () => {
      await page.keyboard.press('?');
      return page.locator('dialog').filter({ hasText: 'up one page' }).isVisible();
    });
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    const keys = { g: 'Groups', t: 'Topics', d: 'Dead letters', s: 'Schedule', r: 'Replays', c: 'Clients', b: 'Storage', e: 'Settings' };
    for (const [key, title] of Object.entries(keys)) {
      await page.keyboard.press('g');
      await page.keyboard.press(key);
      await sees('h1', title);
    }
    await page.keyboard.press('g');
    await page.keyboard.press('o');
    await sees('#headline', 'There are no groups yet');
  });
});

// Answers are put in the broker's mouth here: the pages have to do with brokers that have these parts of the interface and those that have not.
suite('schedule and clients', () => {}, () => {
  const answerWith = (path, value) => page.route(`**/api/v1/${path}`, (route) => {
    if (route.request().method() !== 'DELETE') return route.fulfill(value === null ? { status: 404, json: { status: 404, detail: 'there is no such page' } } : { json: value });
    removed.push(new URL(route.request().url()).pathname);
    return route.fulfill({ status: 200, json: {} });
  });
  let removed;
  beforeEach(() => (removed = []));

  test('a scheduled record is seen with its time, and cancelled', async () => {
    const record = { id: '3-1042', topic: 'reminders', partition: null, due_ms: Date.now() + 9_000_000, state: 'waiting', reason: null, key: 'ada', bytes: 2048 };
    await answerWith('schedules**', { records: [record], next: null, waiting: 1, failed: 0 });
    await answerWith('schedules/*', {});
    await goTo('#/schedule');
    await row('reminders').filter({ hasText: 'in 2h' }).filter({ hasText: '2.00 KiB' }).waitFor();
    await showsFigure('Waiting', /^1$/);
    await sees('.bar-row', /within 1 day.*1 record/s);
    await row('3-1042').getByRole('button').click();
    await confirm();
    await sees('.toast', '3-1042 was cancelled');
    assert.deepEqual(removed, ['/api/v1/schedules/3-1042']);
  });

  test('a connection is seen and ended', async () => {
    await answerWith('connections', [{ id: 17, listener: 'native', peer: '127.0.0.1:50188', client_id: 'billing-3', opened_ms: Date.now() - 60_000 }]);
    await answerWith('connections/*', {});
    await goTo('#/clients');
    await row('billing-3').getByRole('button').click();
    await sees('dialog', 'Most clients connect again by themselves');
    await confirm();
    await sees('.toast', '127.0.0.1:50188 was disconnected');
    assert.deepEqual(removed, ['/api/v1/connections/17']);
  });

  test('a broker without them is said to have none', async () => {
    await answerWith('schedules**', null);
    await goTo('#/schedule');
    await sees('.empty', 'This broker does not give its scheduled records');
    await answerWith('connections', { native: 2, http: 1 });
    await goTo('#/clients');
    await sees('.empty', 'only how many there are');
    await answerWith('config', []);
    await goTo('#/settings');
    await sees('.empty', 'This broker does not give its settings');
  });
});

suite('pictures', async () => {
  await makeTopic('orders', 4);
  await queueGroup('billing', 'orders');
  await queueGroup('inventory', 'orders');
  const orders = Array.from({ length: 200 }, (_, i) => ({ key: `customer-${i % 17}`, value: JSON.stringify({ order: i, sku: `A-${i % 7}`, quantity: 1 + (i % 4) }), headers: [{ name: 'type', value: 'order.placed' }] }));
  await broker.produce('orders', orders);
  await broker.cli('consume', 'orders', '-g', 'analytics', '-n', '120');
  broker.settler('orders', 'inventory', 'worker-1', 6, 'unknown sku');
  broker.settler('orders', 'inventory', 'worker-2', 20);
  await until('some have died', async () => (await queueState('inventory', 'orders')).dead === 6);
}, () => {
  test('of every page, wide and narrow: nothing runs out of the screen', async () => {
    const taken = await takeScreenshots(browser, broker.url, output, ['1440x900-light', '360x740-dark']);
    console.log(`pictures: ${taken.length} in ${output}`);
    assert.deepEqual(taken.filter((one) => one.overflow > 0).map((one) => `${one.name} at ${one.width}: ${one.overflow} px`), []);
    assert.deepEqual(taken.flatMap((one) => one.faults), []);
    assert.deepEqual([...new Set(taken.map((one) => one.width))], [1440, 360]);
    assert.equal(new Set(taken.map((one) => one.name)).size, 13);
  });
});
