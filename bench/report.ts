import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Measurement } from './measure.ts';

/** Results as JSON, and as tables for people. */

/** The folder of the bench in the repository: built, this module stands in dist/bench. */
const folder = new URL(import.meta.url.endsWith('.ts') ? './' : '../../bench/', import.meta.url);
const RESULTS = fileURLToPath(new URL('results.json', folder));
const PAGE = fileURLToPath(new URL('README.md', folder));

/** What a suite measured, when, and on what. */
interface SuiteResult {
  readonly measuredAt: string;
  readonly machine: string;
  /** What others did on the machine when it began: the load average of the minute before. */
  readonly loadBefore: number;
  readonly measurements: readonly Measurement[];
}

type Results = Readonly<Record<string, SuiteResult>>;

function describeMachine(): string {
  const [cpu] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const system = `${platform()} ${release()} ${arch()}, Node.js ${process.versions.node}`;
  return `${availableParallelism()} × ${cpu?.model.trim() ?? 'unknown processor'}, ${memory}, ${system}`;
}

/** Writes what a suite measured beside what the others did. */
export function record(suite: string, loadBefore: number, measurements: readonly Measurement[]): void {
  const before: Results = existsSync(RESULTS) ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as Results) : {};
  const measuredAt = new Date().toISOString();
  const result: SuiteResult = { measuredAt, machine: describeMachine(), loadBefore, measurements };
  const results: Results = { ...before, [suite]: result };
  writeFileSync(RESULTS, `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(PAGE, page(results));
}

function page(results: Results): string {
  const parts = [
    '# Bench',
    '`npm run bench` measures everything and writes this page and `results.json`; `npm run bench -- ledger` (`files`, `network`) measures a part, and `--quick` only shows that the bench works and writes nothing. Ratios compare with a limit that is measured in the same run on the same machine.',
  ];
  for (const [suite, { loadBefore, measuredAt, machine, measurements }] of Object.entries(results)) {
    const rows = measurements.map(({ name, value, unit, aim }) => {
      const met = aim === undefined ? '' : `${aim.text} ${aim.met ? '✓' : '✗'}`;
      return `| ${name} | ${`${format(value)} ${unit}`.trim()} | ${met} |`;
    });
    parts.push(
      `## ${suite}`,
      `${measuredAt.slice(0, 10)}, ${machine}; load before it began: ${loadBefore.toFixed(1)}.`,
      ['| what | measured | aim |', '|---|---|---|', ...rows].join('\n'),
    );
  }
  return `${parts.join('\n\n')}\n`;
}

/** Three significant digits, thousands apart. */
export function format(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const rounded = Number(value.toPrecision(3));
  return rounded.toLocaleString('en-US', { maximumFractionDigits: 6 });
}
