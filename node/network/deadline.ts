import { NetworkError } from './network-error.ts';

/** What `promise` gives, or NetworkError `timeout`; the promise itself goes on, for others who wait for it. */
export function within<T>(deadlineMs: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new NetworkError('timeout', `no connection within ${Math.ceil(deadlineMs)} ms`)),
      deadlineMs,
    );
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
