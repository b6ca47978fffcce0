import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { startWorkerThread } from '../../market/worker-thread.ts';

/** Signatures a second that the native library verifies when every core does nothing else: the limit of any ledger. */
export async function nativeLimit(ms: number): Promise<{ cores: number; perSecond: number }> {
  const cores = availableParallelism();
  const workers = Array.from({ length: cores }, () =>
    startWorkerThread(import.meta.url, 'native-limit-worker'),
  );
  try {
    // All are loaded before the first begins.
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    const rates = workers.map(async (worker) => {
      worker.postMessage(ms);
      const [rate] = (await once(worker, 'message')) as [number];
      return rate;
    });
    return { cores, perSecond: (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0) };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
