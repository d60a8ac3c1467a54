// The address holds the view: #/page/param/param?filter=..&sort=.. . What somebody sees can be sent to somebody else as a link.
//
// Params stay percent-encoded: they may be bytes that are no UTF-8. decoded() is for showing them.

export function parse(hash) {
  const [path, search = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s, 2);
  const [page, ...params] = path.split('/');
  return { page: page || 'overview', params, query: Object.fromEntries(new URLSearchParams(search)) };
}

export function link(page, params = [], query = {}) {
  const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const search = set.length === 0 ? '' : `?${new URLSearchParams(set)}`;
  return `#/${[page, ...params].join('/')}${search}`;
}

export function decoded(param) {
  try {
    return decodeURIComponent(param);
  } catch {
    return param;
  }
}

// A queue group is named with its topic, a stream group by its name alone.
export function groupQuery(group) {
  if (group.kind !== 'queue') return { kind: 'stream' };
  return { kind: 'queue', topic: group.topic ?? group.topics?.[0] };
}
