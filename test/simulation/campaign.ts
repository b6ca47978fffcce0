import { parseArgs } from 'node:util';
import { simulate } from './world.ts';

/** `npm run test:simulation -- --seeds N --first-seed S`, or `-- --replay SEED`: runs seeds and closes with one line. */

export interface CampaignResult {
  readonly seeds: number;
  readonly failures: readonly string[];
  readonly virtualHours: number;
  readonly counters: ReadonlyMap<string, number>;
}

/** Runs seeds one after another until `untilMs` (wall time) at the latest. */
export function campaign(
  firstSeed: number,
  seeds: number,
  untilMs = Number.POSITIVE_INFINITY,
): CampaignResult {
  const counters = new Map<string, number>();
  const failures: string[] = [];
  let virtualMs = 0;
  let done = 0;
  for (let seed = firstSeed; seed < firstSeed + seeds && Date.now() < untilMs; seed++) {
    const outcome = simulate(seed);
    done++;
    virtualMs += outcome.virtualMs;
    for (const [name, count] of outcome.counters) counters.set(name, (counters.get(name) ?? 0) + count);
    const what = outcome.violation ?? outcome.stalled;
    if (what !== undefined)
      failures.push(`seed ${seed} (n=${outcome.nodes}, byzantine=${outcome.byzantine}): ${what}`);
  }
  return { seeds: done, failures, virtualHours: virtualMs / 3_600_000, counters };
}

if (process.argv[1]?.endsWith('campaign.ts') === true) {
  const { values } = parseArgs({
    options: { seeds: { type: 'string' }, 'first-seed': { type: 'string' }, replay: { type: 'string' } },
  });
  const number = (text: string | undefined, fallback: number): number =>
    text !== undefined && /^\d+$/.test(text) ? Number(text) : fallback;
  if (values.replay !== undefined) {
    const outcome = simulate(number(values.replay, 1));
    console.log(JSON.stringify({ ...outcome, counters: Object.fromEntries(outcome.counters) }, undefined, 2));
    process.exitCode = outcome.violation === undefined && outcome.stalled === undefined ? 0 : 1;
  } else {
    const startedMs = Date.now();
    const result = campaign(number(values['first-seed'], 1), number(values.seeds, 500));
    for (const failure of result.failures) console.log(failure);
    console.log(Object.fromEntries([...result.counters].sort()));
    const seconds = (Date.now() - startedMs) / 1_000;
    console.log(
      `seeds ${result.seeds}, virtual hours ${result.virtualHours.toFixed(1)} (${((result.virtualHours * 60) / seconds).toFixed(1)} a minute), violations ${result.failures.length}`,
    );
    process.exitCode = result.failures.length === 0 ? 0 : 1;
  }
}
