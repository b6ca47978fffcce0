import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { MemberAnswer, MemberPlan, MemberRequest } from './member.ts';

/** Ledger nodes as processes of their own, from their parent's side. */

const built = !import.meta.url.endsWith('.ts');
const ANSWER_MS = 300_000;

/** Ports that are free now. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

export class MemberProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts it; resolves when it runs. */
  static async start(plan: MemberPlan): Promise<MemberProcess> {
    const main = fileURLToPath(new URL(built ? './member.js' : './member.ts', import.meta.url));
    const child = fork(main, [JSON.stringify(plan)], { execArgv: built ? [] : ['--import', 'tsx'] });
    const member = new MemberProcess(child);
    await member.#next();
    return member;
  }

  async send(times: number, atOnce: number): Promise<readonly number[]> {
    const answer = await this.#ask({ kind: 'send', times, atOnce });
    return 'latenciesMs' in answer ? answer.latenciesMs : [];
  }

  /** Blocks a second that become final there, from the first commit until the block at `height`. */
  async follow(height: number): Promise<number> {
    return this.#number({ kind: 'follow', height });
  }

  async height(): Promise<number> {
    return this.#number({ kind: 'height' });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await gone;
  }

  async #number(request: MemberRequest): Promise<number> {
    const answer = await this.#ask(request);
    return 'value' in answer ? answer.value : Number.NaN;
  }

  async #ask(request: MemberRequest): Promise<MemberAnswer> {
    const answer = this.#next();
    this.#child.send(request);
    return (await answer) as MemberAnswer;
  }

  /** The next message; rejects when the process ends instead, or says nothing for long. */
  async #next(): Promise<unknown> {
    const over = new AbortController();
    const { signal } = over;
    try {
      return await Promise.race([
        once(this.#child, 'message', { signal }).then(([message]) => message as unknown),
        once(this.#child, 'exit', { signal }).then(([code]) => {
          throw new Error(`a node of the bench ended with ${code}`);
        }),
        once(AbortSignal.timeout(ANSWER_MS), 'abort', { signal }).then(() => {
          throw new Error(`a node of the bench said nothing for ${ANSWER_MS / 1_000} s`);
        }),
      ]);
    } finally {
      over.abort();
    }
  }
}
