import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { startWorkerThread } from '../../market/worker-thread.ts';

export interface NativeLimit {
  readonly cores: number;
  readonly perSecond: number;
  /** CPU time a signature, in µs. */
  readonly cpuMicroseconds: number;
}

/** Signatures a second that the native library verifies when every core does nothing else: the limit of any ledger. */
export async function nativeLimit(ms: number): Promise<NativeLimit> {
  const cores = availableParallelism();
  const workers = Array.from({ length: cores }, () =>
    startWorkerThread(import.meta.url, 'native-limit-worker'),
  );
  try {
    // All are loaded before the first begins.
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    const cpuBefore = process.cpuUsage();
    const rates = workers.map(async (worker) => {
      worker.postMessage(ms);
      const [rate] = (await once(worker, 'message')) as [number];
      return rate;
    });
    const perSecond = (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
    const { user, system } = process.cpuUsage(cpuBefore);
    return { cores, perSecond, cpuMicroseconds: (user + system) / (perSecond * (ms / 1_000)) };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
