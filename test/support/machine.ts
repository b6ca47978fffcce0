import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A machine with a chip and a data folder, used as its owner uses it: through the built command line. */

const main = fileURLToPath(new URL('../../dist/node/cli/main.js', import.meta.url));
const START_MS = 60_000;

/** What the command line says when it fails. */
export class Refusal extends Error {
  readonly exitCode: number;
  readonly code: string;
  constructor(exitCode: number, code: string, message: string) {
    super(message);
    this.exitCode = exitCode;
    this.code = code;
  }
}

/** The words that run the command line. */
export function commandLine(...words: readonly string[]): readonly string[] {
  return [process.execPath, main, ...words];
}

/** Runs the command line with `--json` and gives what it printed. Throws Refusal. `input` is its standard input. */
export function blocktree<T = unknown>(words: readonly string[], input = ''): Promise<T> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: 64 * 1_048_576 };
    const child = execFile(process.execPath, [main, '--json', ...words], options, (error, stdout, stderr) => {
      const answer = stdout.trim().split('\n').at(-1) ?? '';
      if (error === null) return resolve((answer === '' ? undefined : JSON.parse(answer)) as T);
      const problem = answer.startsWith('{"error"')
        ? (JSON.parse(answer) as { error: { code: string; message: string } }).error
        : { code: 'none', message: `${stdout}${stderr}` };
      reject(new Refusal(Number(error.code), problem.code, problem.message));
    });
    child.stdin?.end(input);
  });
}

export class Machine {
  readonly folder: string;
  readonly url: string;
  #process: ChildProcess | undefined;

  constructor(folder: string, consolePort: number) {
    this.folder = folder;
    this.url = `http://127.0.0.1:${consolePort}`;
  }

  /** A verb on this machine. */
  cli<T = unknown>(...words: readonly string[]): Promise<T> {
    return blocktree<T>(['--data', this.folder, ...words]);
  }

  /** Starts the node and waits until it runs. Rejects with what it said when it ends first. */
  async start(input = ''): Promise<void> {
    const child = spawn(process.execPath, [main, 'start', '--data', this.folder], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#process = child;
    child.stdin.end(input);
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the node did not start:\n${said}`)), START_MS);
      const hear = (chunk: Buffer): void => {
        said += chunk.toString('utf8');
        if (!said.includes('Blocktree runs')) return;
        clearTimeout(late);
        resolve();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('exit', () => {
        clearTimeout(late);
        reject(new Error(said));
      });
    });
  }

  /** An answer of its REST API, which needs no login for the ledger; `undefined` for 404. */
  async get<T>(path: string): Promise<T | undefined> {
    const response = await fetch(`${this.url}/api/v1${path}`);
    return response.ok ? ((await response.json()) as T) : undefined;
  }

  /** Hands in the signed bytes of a transaction; gives the code it was refused with, or `undefined`. */
  async submit(bytes: Uint8Array): Promise<string | undefined> {
    const response = await fetch(`${this.url}/api/v1/ledger/transactions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ transaction: Buffer.from(bytes).toString('hex') }),
    });
    return response.ok ? undefined : ((await response.json()) as { code: string }).code;
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }
}
