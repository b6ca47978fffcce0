import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchFiles } from './files/files.ts';
import { benchLedger } from './ledger/ledger.ts';
import type { BenchOptions, Measurement } from './measure.ts';
import { benchNetwork } from './network/network.ts';
import { format, record } from './report.ts';

/** `npm run bench [-- SUITE…] [--quick]`: measures the suites that are named, or all. */

const suites: Readonly<Record<string, (options: BenchOptions) => AsyncGenerator<Measurement>>> = {
  ledger: benchLedger,
  files: benchFiles,
  network: benchNetwork,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false } },
});
const unknown = positionals.filter((name) => !(name in suites));
if (unknown.length > 0) {
  console.error(`no such bench: ${unknown.join(', ')}; there are: ${Object.keys(suites).join(', ')}`);
  process.exit(2);
}
for (const name of positionals.length > 0 ? positionals : Object.keys(suites)) {
  const folder = mkdtempSync(join(tmpdir(), `blocktree-bench-${name}-`));
  const measurements: Measurement[] = [];
  const [loadBefore = 0] = loadavg();
  try {
    const run = suites[name] as (typeof suites)[string];
    const progress = (text: string): void => console.error(`  … ${text}`);
    for await (const measurement of run({ quick: values.quick, progress, folder })) {
      const { name: what, value, unit, aim } = measurement;
      const verdict = aim === undefined ? '' : ` (aim ${aim.text}: ${aim.met ? 'met' : 'missed'})`;
      console.log(`${name}: ${what}: ${format(value)} ${unit}${verdict}`);
      measurements.push(measurement);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (!values.quick) record(name, loadBefore, measurements);
}
