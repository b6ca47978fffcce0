import { parentPort } from 'node:worker_threads';
import { verifyPacked } from './signature-batch.ts';

/** Verifies one packed batch after another, in a thread of its own. */

parentPort?.on('message', (packed: Uint8Array) => {
  const verdicts = verifyPacked(packed);
  parentPort?.postMessage(verdicts, [verdicts.buffer]);
});
