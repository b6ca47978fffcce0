import type { IncomingMessage } from 'node:http';
import { type Readable, Transform } from 'node:stream';
import { ApiError } from './problem.ts';

/** Bounds for those who send slowly, so that few cannot hold every connection: headers, bodies, and what nobody reads. */

export interface SlownessBounds {
  /** The whole of the headers must be here within this. */
  readonly headersMs: number;
  /** A body brings at least `windowBytesMin` in each window in which this node waited for it. */
  readonly windowMs: number;
  readonly windowBytesMin: number;
  /** How long the rest of a body may still come after its request was answered. */
  readonly lingerMs: number;
}

export const SLOWNESS_BOUNDS: SlownessBounds = {
  headersMs: 10_000,
  windowMs: 10_000,
  windowBytesMin: 10_240,
  lingerMs: 5_000,
};

/**
 * The body as a stream that fails with 408 `too-slow` when it stops to make progress. There is no bound on the whole: an
 * upload may take hours, and time in which this node is the one that does not take more is not counted. The request
 * itself stays open, so that a refusal can be answered.
 */
export function steadyBody(body: IncomingMessage, { windowMs, windowBytesMin }: SlownessBounds): Readable {
  let bytes = 0;
  let heldBack = false;
  const steady = new Transform({
    transform(chunk: Buffer, _, done) {
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  const timer = setInterval(() => {
    const isOurs = heldBack || steady.writableNeedDrain || body.readableEnded;
    if (!isOurs && bytes < windowBytesMin)
      steady.destroy(
        new ApiError(
          408,
          'too-slow',
          `expected at least ${windowBytesMin} bytes of the body every ${windowMs} ms; send it again`,
        ),
      );
    bytes = 0;
    heldBack = steady.writableNeedDrain;
  }, windowMs);
  timer.unref();
  steady.on('drain', () => {
    heldBack = true;
  });
  // Who reads it hears of an error from the stream itself; where nobody reads there is nobody to tell.
  steady.on('error', () => undefined);
  body.on('error', () =>
    steady.destroy(new ApiError(400, 'cut-off', 'the connection closed before the body had ended')),
  );
  steady.on('close', () => {
    clearInterval(timer);
    // What still comes is read and dropped, within `lingerMs` of the answer.
    body.unpipe(steady);
    body.resume();
  });
  body.pipe(steady);
  return steady;
}

/** Ends the connection of an answered request whose body does not end. */
export function endLingering(body: IncomingMessage, { lingerMs }: SlownessBounds): void {
  if (body.readableEnded || !hasBody(body)) return;
  const timer = setTimeout(() => {
    if (!body.readableEnded) body.destroy();
  }, lingerMs);
  timer.unref();
  body.once('close', () => clearTimeout(timer));
}

/** Whether a request announces a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
