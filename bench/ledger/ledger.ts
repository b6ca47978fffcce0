import { join } from 'node:path';
import { atLeast, type BenchOptions, below, type Measurement } from '../measure.ts';
import { nativeLimit } from './native-limit.ts';
import { benchGenesis } from './prepared-ledger.ts';
import { measureThroughput } from './throughput.ts';

/** The ledger's numbers, one after another. */
export async function* benchLedger(options: BenchOptions): AsyncGenerator<Measurement> {
  yield* throughput(options);
}

async function* throughput({ folder, progress, quick }: BenchOptions): AsyncGenerator<Measurement> {
  for (const accounts of quick ? [200] : [10_000, 100_000, 1_000_000]) {
    progress(`transfers among ${accounts} accounts`);
    const before = await nativeLimit(quick ? 50 : 1_000);
    const measured = await measureThroughput({
      folder: join(folder, 'throughput'),
      genesis: benchGenesis(1),
      accounts,
      blocks: quick ? 3 : 24,
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
    yield { name: `disk a transfer, ${among}`, value: measured.bytesPerTransfer, unit: 'B' };
    yield {
      name: `longest hold-up of the event loop, ${among}`,
      value: measured.longestBlockMs,
      unit: 'ms',
      aim: below(measured.longestBlockMs, 50),
    };
  }
}
