import { parseArgs } from 'node:util';
import { simulateReal } from './real/real-world.ts';
import { FAULTS, type Fault } from './shape.ts';
import { type Outcome, simulate } from './world.ts';

/**
 * `npm run test:simulation -- --seeds N --first-seed S` runs seeds and closes with one line; `-- --replay SEED` runs one
 * again exactly; `-- --shrink SEED` finds the faults that its failure needs.
 */

/** Every so many seeds one runs with whole real nodes: their signatures, databases and logs. */
const REAL_EVERY = 100;

export interface CampaignResult {
  readonly seeds: number;
  readonly failures: readonly string[];
  readonly virtualHours: number;
  readonly counters: ReadonlyMap<string, number>;
}

/** One seed, as a campaign runs it. */
export async function runSeed(seed: number, without: ReadonlySet<Fault> = new Set()): Promise<Outcome> {
  return seed % REAL_EVERY === 0 ? simulateReal(seed, without) : simulate(seed, { without });
}

export function failureOf({ violation, stalled }: Outcome): string | undefined {
  return violation ?? stalled;
}

/** Runs seeds one after another until `untilMs` (wall time) at the latest. */
export async function campaign(
  firstSeed: number,
  seeds: number,
  untilMs = Number.POSITIVE_INFINITY,
): Promise<CampaignResult> {
  const counters = new Map<string, number>();
  const failures: string[] = [];
  let virtualMs = 0;
  let done = 0;
  for (let seed = firstSeed; seed < firstSeed + seeds && Date.now() < untilMs; seed++) {
    const outcome = await runSeed(seed);
    done++;
    virtualMs += outcome.virtualMs;
    for (const [name, count] of outcome.counters) counters.set(name, (counters.get(name) ?? 0) + count);
    const what = failureOf(outcome);
    if (what !== undefined)
      failures.push(
        `seed ${seed} (n=${outcome.nodes}, byzantine=${outcome.byzantine}): ${what}; replay: npm run test:simulation -- --replay ${seed}`,
      );
  }
  return { seeds: done, failures, virtualHours: virtualMs / 3_600_000, counters };
}

/** The fewest kinds of faults with which a seed still fails, left out one after another. */
export async function shrink(
  seed: number,
): Promise<{ readonly needed: readonly Fault[]; readonly what: string } | undefined> {
  let what = failureOf(await runSeed(seed));
  if (what === undefined) return undefined;
  const without = new Set<Fault>();
  for (const fault of FAULTS) {
    const still = failureOf(await runSeed(seed, new Set([...without, fault])));
    if (still === undefined) continue;
    without.add(fault);
    what = still;
  }
  return { needed: FAULTS.filter((fault) => !without.has(fault)), what };
}

const USAGE = `npm run test:simulation -- [--seeds N] [--first-seed S]   runs seeds S to S + N - 1 (500 from 1)
npm run test:simulation -- --replay SEED                   runs one again exactly
npm run test:simulation -- --shrink SEED                   finds the faults that its failure needs`;

function misused(what: string): never {
  console.error(`${what}\n\n${USAGE}`);
  process.exit(2);
}

function wholeNumber(text: string, option: string, least = 0): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) < least)
    misused(`--${option}: expected a whole number from ${least} to 999999999, got "${text}"`);
  return Number(text);
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        seeds: { type: 'string', default: '500' },
        'first-seed': { type: 'string', default: '1' },
        replay: { type: 'string' },
        shrink: { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    return misused((error as Error).message);
  }
}

if (process.argv[1]?.endsWith('campaign.ts') === true) {
  const values = readOptions();
  if (values.help === true) console.log(USAGE);
  else if (values.replay !== undefined) {
    const outcome = await runSeed(wholeNumber(values.replay, 'replay'));
    console.log(JSON.stringify({ ...outcome, counters: Object.fromEntries(outcome.counters) }, undefined, 2));
    process.exitCode = failureOf(outcome) === undefined ? 0 : 1;
  } else if (values.shrink !== undefined) {
    const seed = wholeNumber(values.shrink, 'shrink');
    const result = await shrink(seed);
    if (result === undefined) console.log(`seed ${seed} does not fail`);
    else console.log(`seed ${seed} needs ${result.needed.join(', ') || 'no fault at all'}: ${result.what}`);
    process.exitCode = result === undefined ? 0 : 1;
  } else {
    const cpu = process.cpuUsage();
    const result = await campaign(
      wholeNumber(values['first-seed'], 'first-seed'),
      wholeNumber(values.seeds, 'seeds', 1),
    );
    for (const failure of result.failures) console.log(failure);
    console.log(Object.fromEntries([...result.counters].sort()));
    const { user, system } = process.cpuUsage(cpu);
    const minutes = (user + system) / 60_000_000;
    console.log(
      `seeds ${result.seeds}, virtual hours ${result.virtualHours.toFixed(1)} (${(result.virtualHours / minutes).toFixed(1)} a CPU minute), violations ${result.failures.length}`,
    );
    process.exitCode = result.failures.length === 0 ? 0 : 1;
  }
}
