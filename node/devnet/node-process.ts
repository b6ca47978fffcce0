import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { NodeError } from '../errors.ts';

/** One node of a development network: a process that runs `blocktree start`, as a user would run it. */

const READY_MS = 60_000;
const STOP_MS = 10_000;
const MAIN = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../cli/main.ts' : '../cli/main.js', import.meta.url),
);
/** What is kept of its last words. */
const SAID_CHARS = 2_000;

/** A message of a node process to its parent. */
export interface ReadyMessage {
  readonly kind: 'ready';
  readonly loginUrl: string;
}

export class NodeProcess {
  readonly logPath: string;
  /** Rejects with NodeError `timeout`, or `data-damaged` when the process ends instead. */
  readonly ready: Promise<ReadyMessage>;
  /** The exit code or signal, whenever it ends. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;

  /** Node `n`, whose data is in `folder`. */
  constructor(n: number, folder: string) {
    this.logPath = join(folder, 'node.log');
    const child = fork(MAIN, ['start', '--data', folder], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#child = child;
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('utf8')).slice(-SAID_CHARS);
    });
    this.ended = once(child, 'exit').then(([code, signal]) => String(signal ?? code));
    const failed = this.ended.then(() => {
      throw new NodeError(
        'data-damaged',
        `node ${n} did not start: ${said.trim() || lastLine(this.logPath)}`,
      );
    });
    const late = pause(READY_MS, undefined, { ref: false }).then(() => {
      throw new NodeError(
        'timeout',
        `node ${n} was not ready in ${READY_MS / 1_000} s; its log: ${this.logPath}`,
      );
    });
    this.ready = Promise.race([
      new Promise<ReadyMessage>((resolve) => child.once('message', (said) => resolve(said as ReadyMessage))),
      failed,
      late,
    ]);
    // Nobody has to ask whether it is ready.
    this.ready.catch(() => undefined);
  }

  /** Asks it to stop, and ends it when it does not. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const end = new AbortController();
    pause(STOP_MS, undefined, { ref: false, signal: end.signal }).then(
      () => child.kill('SIGKILL'),
      () => undefined,
    );
    await this.ended;
    end.abort();
  }
}

function lastLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().split('\n').at(-1) ?? '';
  } catch {
    return '';
  }
}
