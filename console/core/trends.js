import { get, query, segment } from './api.js';
import { groupKey, live } from './live.js';
import { groupQuery } from './route.js';
import { severity } from './ui.js';

const TREND_SECONDS = 900;
const seeded = new Set(); // Groups whose past was asked for.

// Fetches the past of the groups that matter most, once; from then on the event stream tells how it goes on. Each costs a question.
export async function seedTrends(groups, most, signal) {
  const worst = [...groups].sort((a, b) => severity(b.verdict) - severity(a.verdict) || (b.lag_seconds ?? 0) - (a.lag_seconds ?? 0)).slice(0, most);
  for (const group of worst.filter((candidate) => !seeded.has(groupKey(candidate)))) {
    const points = await get(`/groups/${segment(group, 'group')}/lag/history${query({ ...groupQuery(group), seconds: TREND_SECONDS })}`, signal)
      .catch((problem) => {
        if (problem.status === 404) return []; // Removed in the meantime.
        throw problem;
      });
    seeded.add(groupKey(group));
    live.seed(group, points);
  }
}
