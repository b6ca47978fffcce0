import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import PQueue from 'p-queue';
import { NetworkError } from './network-error.ts';

/**
 * Looks names up, two at a time: each holds one of the few threads that read and write files too, for as long as whoever
 * answers for the name likes.
 */

const AT_ONCE_MAX = 2;
const WAITING_MAX = 128;

const queue = new PQueue({ concurrency: AT_ONCE_MAX });

export const lookUpInTurn: LookupFunction = (hostname, options, callback) => {
  if (queue.size >= WAITING_MAX)
    return void process.nextTick(
      callback,
      new NetworkError('overloaded', 'too many names wait to be looked up'),
      '',
    );
  void queue.add(
    () =>
      new Promise<void>((done) =>
        lookup(hostname, options, (...found) => {
          done();
          callback(...found);
        }),
      ),
  );
};
