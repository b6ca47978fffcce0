import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePorts } from './free-ports.ts';

/** A development network of real processes, run as a user runs it, from the built command line. */

const main = fileURLToPath(new URL('../../dist/node/cli/main.js', import.meta.url));
const START_MS = 90_000;

export class Devnet {
  readonly folder = mkdtempSync(join(tmpdir(), 'blocktree-devnet-'));
  readonly #nodes: number;
  readonly #options: readonly string[];
  #consolePort: number | undefined;
  #process: ChildProcess | undefined;
  readonly #alone = new Map<number, ChildProcess>();
  loginUrl = '';

  constructor(options: {
    periodMs: number;
    nodes?: number;
    tpm?: 'software' | 'emulator';
    epochMs?: number;
  }) {
    this.#nodes = options.nodes ?? 6;
    this.#options = [
      ...['--period', String(options.periodMs), '--nodes', String(this.#nodes)],
      ...(options.epochMs === undefined ? [] : ['--epoch', String(options.epochMs)]),
      ...(options.tpm === undefined ? [] : ['--tpm', options.tpm]),
    ];
  }

  /** The console of node n. */
  url(n: number): string {
    return `http://127.0.0.1:${(this.#consolePort ?? 0) + n}`;
  }

  /** Starts it and waits until it says that everything is claimed and offered. */
  async start(): Promise<void> {
    // Consoles first, then links; both count from 1.
    const base = this.#consolePort ?? (await freePorts(2 * this.#nodes + 2));
    this.#consolePort = base;
    const ports = ['--console-port', String(base), '--link-port', String(base + this.#nodes)];
    const child = spawn(
      process.execPath,
      [main, '--data', this.folder, 'devnet', ...ports, ...this.#options],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#process = child;
    let output = '';
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the network did not start:\n${output}`)), START_MS);
      const read = (chunk: Buffer): void => {
        output += chunk.toString('utf8');
        if (!output.includes('Ctrl-C stops it')) return;
        clearTimeout(timer);
        resolve();
      };
      child.stdout?.on('data', read);
      child.stderr?.on('data', read);
      child.once('exit', () => reject(new Error(`the network ended:\n${output}`)));
    });
    this.loginUrl = /Dashboard\s+(\S+)/.exec(output)?.[1] ?? '';
  }

  /** Ctrl-C. */
  async stop(): Promise<void> {
    const processes = [...this.#alone.values(), this.#process].filter((child) => child !== undefined);
    this.#alone.clear();
    this.#process = undefined;
    await Promise.all(
      processes.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill('SIGINT');
        await once(child, 'exit');
      }),
    );
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** kill -9 of the process that started the nodes. */
  async killParent(): Promise<void> {
    const parent = this.#process as ChildProcess;
    this.#process = undefined;
    parent.kill('SIGKILL');
    await once(parent, 'exit');
  }

  /** kill -9 of one node. */
  async kill(n: number): Promise<void> {
    const alone = this.#alone.get(n);
    this.#alone.delete(n);
    if (alone !== undefined) {
      alone.kill('SIGKILL');
      await once(alone, 'exit');
      return;
    }
    await promisify(execFile)('pkill', [
      '-9',
      '-f',
      `start --data ${join(this.folder, 'devnet', String(n))}$`,
    ]);
  }

  /** Starts a node that was killed, as a user would. */
  startNode(n: number): void {
    const child = spawn(process.execPath, [main, 'start', '--data', join(this.folder, 'devnet', String(n))], {
      stdio: 'ignore',
    });
    this.#alone.set(n, child);
  }

  /** Ctrl-C of a node that was started alone. */
  async stopNode(n: number): Promise<void> {
    const child = this.#alone.get(n);
    this.#alone.delete(n);
    if (child === undefined || child.exitCode !== null) return;
    child.kill('SIGINT');
    await once(child, 'exit');
  }

  /** The command line with `--json`; the parsed answer. Throws with what it printed when it fails. */
  async cli<T = unknown>(n: number, ...words: readonly string[]): Promise<T> {
    try {
      const { stdout } = await promisify(execFile)(
        process.execPath,
        [main, '--data', this.folder, '--node', String(n), '--json', ...words],
        { maxBuffer: 64 * 1_048_576 },
      );
      return JSON.parse(stdout) as T;
    } catch (error) {
      const { stdout, stderr, code } = error as { stdout?: string; stderr?: string; code?: number };
      throw Object.assign(new Error(`${words.join(' ')}: ${stdout ?? ''}${stderr ?? ''}`), {
        exitCode: code,
        answer: stdout,
      });
    }
  }
}
