import { Worker } from 'node:worker_threads';

/**
 * Starts the worker thread `name` that stands beside the module at `base` (its `import.meta.url`). Run from source
 * (tests), a thread needs its own TypeScript loader; built, it is plain JavaScript.
 */
export function startWorkerThread(base: string, name: string): Worker {
  if (!base.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, base));
  const url = new URL(`./${name}.ts`, base).href;
  return new Worker(
    `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(url)}); })`,
    { eval: true },
  );
}
