import { join } from 'node:path';
import { atLeast, type BenchOptions, below, type Measurement, quantile } from '../measure.ts';
import { measureCatchUp, measureFinality } from './finality.ts';
import { nativeLimit } from './native-limit.ts';
import { benchGenesis } from './prepared-ledger.ts';
import { measureThroughput } from './throughput.ts';
import { measureIdle, measureRestart } from './whole-node.ts';

/** What bytes need from one node to the other where links are long. */
const LINK_DELAY_MS = 50;

/** The ledger's numbers, one after another. */
export async function* benchLedger(options: BenchOptions): AsyncGenerator<Measurement> {
  yield* throughput(options);
  yield* finality(options);
  yield* catchUp(options);
  yield* restart(options);
  yield* idle(options);
}

async function* finality({ folder, progress, quick }: BenchOptions): AsyncGenerator<Measurement> {
  for (const seats of quick ? [1, 4] : [1, 4, 7]) {
    progress(`finality among ${seats}`);
    const latenciesMs = await measureFinality({
      folder: join(folder, `finality-${seats}`),
      seats,
      transfers: quick ? 8 : 210,
    });
    const p50 = quantile(latenciesMs, 0.5);
    const aim = seats === 4 ? { aim: below(p50, 100) } : {};
    yield { name: `finality p50, ${seats} processes with fsync`, value: p50, unit: 'ms', ...aim };
    yield {
      name: `finality p99, ${seats} processes with fsync`,
      value: quantile(latenciesMs, 0.99),
      unit: 'ms',
    };
  }
}

async function* catchUp({ folder, progress, quick }: BenchOptions): AsyncGenerator<Measurement> {
  const transfersPerBlock = 10;
  const rate = (delayMs: number): Promise<number> => {
    progress(delayMs === 0 ? 'catching up' : `catching up over ${delayMs} ms`);
    return measureCatchUp({
      folder: join(folder, `catch-up-${delayMs}`),
      blocks: quick ? 140 : 3_000,
      transfersPerBlock,
      delayMs,
    });
  };
  const near = await rate(0);
  const far = await rate(LINK_DELAY_MS);
  const blocks = `blocks of ${transfersPerBlock} transfers in catch-up`;
  yield { name: blocks, value: near, unit: '/s' };
  yield { name: `${blocks}, links of ${LINK_DELAY_MS} ms each way`, value: far, unit: '/s' };
  const ratio = far / near;
  yield { name: 'ratio of the two in catch-up', value: ratio, unit: '', aim: atLeast(ratio, 0.8) };
}

async function* restart({ folder, progress, quick }: BenchOptions): AsyncGenerator<Measurement> {
  const accounts = quick ? 500 : 1_000_000;
  progress(`restart with ${accounts} accounts`);
  const { residentMiB, seconds } = await measureRestart(join(folder, 'restart'), accounts, quick ? 1 : 3);
  const median = quantile(seconds, 0.5);
  const among = `${accounts.toLocaleString('en-US')} accounts`;
  yield { name: `restart of a node, ${among}`, value: median, unit: 's', aim: below(median, 2) };
  yield { name: `resident memory after the restart, ${among}`, value: residentMiB, unit: 'MiB' };
}

async function* idle({ folder, progress, quick }: BenchOptions): AsyncGenerator<Measurement> {
  const nodes = quick ? 1 : 4;
  progress(`${nodes} idle nodes`);
  const { cpuPercent, residentMiB } = await measureIdle(join(folder, 'idle'), nodes, quick ? 400 : 60_000);
  yield { name: 'CPU of an idle node', value: cpuPercent, unit: '% of a core', aim: below(cpuPercent, 0.5) };
  yield {
    name: 'resident memory of an idle node',
    value: residentMiB,
    unit: 'MiB',
    aim: below(residentMiB, 150),
  };
}

async function* throughput({ folder, progress, quick }: BenchOptions): AsyncGenerator<Measurement> {
  for (const accounts of quick ? [200] : [10_000, 100_000, 1_000_000]) {
    progress(`transfers among ${accounts} accounts`);
    const before = await nativeLimit(quick ? 50 : 1_000);
    const measured = await measureThroughput({
      folder: join(folder, 'throughput'),
      genesis: benchGenesis(1),
      accounts,
      blocks: quick ? 4 : 24,
      transfersPerBlock: quick ? 50 : 2_000,
    });
    const after = await nativeLimit(quick ? 50 : 1_000);
    const limit = (before.perSecond + after.perSecond) / 2;
    const ratio = measured.transfersPerSecond / limit;
    const among = `${accounts.toLocaleString('en-US')} accounts`;
    yield {
      name: `signatures verified natively on ${before.cores} cores (the limit)`,
      value: limit,
      unit: '/s',
    };
    yield {
      name: `transfers verified, executed and durable, ${among}`,
      value: measured.transfersPerSecond,
      unit: '/s',
    };
    yield { name: `ratio to the limit, ${among}`, value: ratio, unit: '', aim: atLeast(ratio, 0.5) };
    const native = (before.cpuMicroseconds + after.cpuMicroseconds) / 2;
    yield {
      name: `CPU a transfer, in native verifications, ${among}`,
      value: measured.cpuMicroseconds / native,
      unit: '',
      aim: below(measured.cpuMicroseconds / native, 2),
    };
    yield { name: `disk a transfer, ${among}`, value: measured.bytesPerTransfer, unit: 'B' };
    yield {
      name: `longest work between turns of the event loop, ${among}`,
      value: measured.longestStretchMs,
      unit: 'ms',
      aim: below(measured.longestStretchMs, 50),
    };
  }
}
