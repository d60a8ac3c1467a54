'use strict';
// The overview: everything shown is text, whatever its bytes are.

const number = new Intl.NumberFormat();
const seconds = (value) => (value === null || value === undefined ? '–' : `${number.format(Math.round(value * 10) / 10)} s`);
const count = (value) => (value === null || value === undefined ? '–' : number.format(value));

async function get(path) {
  const answer = await fetch(path, { headers: { Accept: 'application/json' } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

// columns: [heading, value of a row, whether it is a number]
function fill(table, columns, rows) {
  const line = (cell, values) => {
    const row = document.createElement('tr');
    values.forEach((value, i) => {
      const field = document.createElement(cell);
      field.textContent = value;
      if (columns[i][2]) field.className = 'number';
      row.append(field);
    });
    return row;
  };
  table.replaceChildren(line('th', columns.map((column) => column[0])), ...rows.map((row) => line('td', columns.map((column) => column[1](row)))));
}

function attention(groups, status) {
  const lines = groups
    .filter((group) => group.verdict !== 'ok' && group.verdict !== 'draining')
    .map((group) => `${group.group} is ${group.verdict}: ${group.cause || 'no cause known'}`);
  groups.filter((group) => group.dead > 0).forEach((group) => lines.push(`${group.group}: ${count(group.dead)} records have died`));
  if (status.read_only) lines.push(`No record is taken: ${status.read_only_reason}`);
  if (lines.length === 0) lines.push('Nothing.');
  document.getElementById('attention').replaceChildren(
    ...lines.map((text) => {
      const item = document.createElement('li');
      item.textContent = text;
      return item;
    }),
  );
}

async function refresh() {
  try {
    const [status, groups, topics] = await Promise.all([get('/api/v1/status'), get('/api/v1/groups'), get('/api/v1/topics')]);
    attention(groups, status);
    fill(document.getElementById('groups'), [
      ['group', (g) => g.group], ['kind', (g) => g.kind], ['topics', (g) => g.topics.join(', ')], ['verdict', (g) => g.verdict],
      ['lag, records', (g) => count(g.lag), true], ['lag time', (g) => seconds(g.lag_seconds), true], ['caught up in', (g) => seconds(g.eta_seconds), true],
      ['members', (g) => count(g.members), true], ['in flight', (g) => count(g.in_flight), true], ['retrying', (g) => count(g.retrying), true],
      ['dead', (g) => count(g.dead), true],
    ], groups);
    fill(document.getElementById('topics'), [
      ['topic', (t) => t.name], ['partitions', (t) => count(t.partitions), true], ['records', (t) => count(t.records), true],
      ['bytes', (t) => count(t.bytes), true], ['durability', (t) => t.durability],
    ], topics);
    document.getElementById('status').textContent =
      `Version ${status.version}, up ${seconds(status.uptime_seconds)}, flush ${status.flush_ms_p50.toFixed(2)} ms (p50), ${count(status.disk_free_bytes)} bytes free.`;
    document.getElementById('lost').hidden = true;
  } catch (problem) {
    console.warn(problem);
    document.getElementById('lost').hidden = false;
  }
  setTimeout(refresh, 3000);
}

refresh();
