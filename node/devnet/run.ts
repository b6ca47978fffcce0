import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { NodeError } from '../errors.ts';
import { type Emulator, startEmulators } from '../tpm/emulator.ts';
import { chipsFolder, createDevnet, type DevnetPlan, nodeFolder, readDevnet } from './create.ts';

/** Runs every node of a development network as a process of its own, until it is told to stop. */

const READY_MS = 60_000;
const STOP_MS = 10_000;

/** A message of a node process to its parent. */
export interface ReadyMessage {
  readonly kind: 'ready';
  readonly loginUrl: string;
}

async function checkPort(port: number, what: string): Promise<void> {
  const server = createServer();
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen(port, '127.0.0.1', () => resolve(undefined));
  });
  server.close();
  if (error === undefined) return;
  if (error.code !== 'EADDRINUSE') throw error;
  throw new NodeError(
    'address-in-use',
    `port ${port} (${what}) is busy: is a development network running already? Stop what uses it, or give --console-port and --link-port for other ports`,
  );
}

function lastLogLine(folder: string): string {
  try {
    const lines = readFileSync(join(folder, 'node.log'), 'utf8').trim().split('\n');
    return lines.at(-1) ?? '';
  } catch {
    return '';
  }
}

export interface RunningDevnet {
  readonly loginUrl: string;
  readonly consolePort: number;
  stop(): Promise<void>;
  /** Resolves when every node has claimed and offers. */
  settled(): Promise<void>;
}

/**
 * Starts what is in `plan.folder`, made first when there is nothing; `plan.tpm` may then be left out. Throws NodeError
 * `address-in-use`, `data-damaged`, `exists` for a network with TPMs of another kind, `not-installed`, `emulator-failed`.
 */
export async function runDevnet(
  plan: Omit<DevnetPlan, 'tpm'> & { readonly tpm: DevnetPlan['tpm'] | undefined },
  progress: (text: string) => void,
): Promise<RunningDevnet> {
  let file = await readDevnet(plan.folder);
  if (file === undefined) {
    await createDevnet({ ...plan, tpm: plan.tpm ?? 'software' }, progress);
    file = (await readDevnet(plan.folder)) as NonNullable<typeof file>;
  }
  const { nodes, tpm, consolePort, linkPort } = file;
  if (plan.tpm !== undefined && plan.tpm !== tpm)
    throw new NodeError(
      'exists',
      `the network in ${plan.folder} has TPMs of the kind ${tpm}: give another --data folder, or move this one away`,
    );
  for (let n = 1; n <= nodes; n++) {
    await checkPort(consolePort + n, `console of node ${n}`);
    await checkPort(linkPort + n, `link of node ${n}`);
  }
  const chips = tpm === 'emulator' ? await switchOn(plan.folder, nodes, progress) : [];
  progress(`starting ${nodes} nodes`);
  const main = fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? '../cli/main.ts' : '../cli/main.js', import.meta.url),
  );
  const children: ChildProcess[] = [];
  let stopping = false;
  const stop = async (): Promise<void> => {
    stopping = true;
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = once(child, 'exit');
        child.kill('SIGTERM');
        await Promise.race([
          gone,
          pause(STOP_MS, undefined, { ref: false }).then(() => child.kill('SIGKILL')),
        ]);
        await gone;
      }),
    );
    await Promise.all(chips.map((chip) => chip.stop()));
  };
  chips.forEach((chip, i) => {
    void chip.ended.then(() => {
      if (!stopping) progress(`the chip of node ${i + 1} ended: stop the network and start it again`);
    });
  });
  try {
    const ready = Array.from({ length: nodes }, (_, i) => {
      const folder = nodeFolder(plan.folder, i + 1);
      const child = fork(main, ['start', '--data', folder], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
      children.push(child);
      let said = '';
      child.stderr?.on('data', (chunk: Buffer) => {
        said = (said + chunk.toString('utf8')).slice(-2_000);
      });
      child.on('exit', (code, signal) => {
        if (!stopping)
          progress(`node ${i + 1} ended (${signal ?? code}); its log: ${join(folder, 'node.log')}`);
      });
      return new Promise<ReadyMessage>((resolve, reject) => {
        const timer = setTimeout(
          () =>
            reject(
              new NodeError(
                'timeout',
                `node ${i + 1} was not ready in ${READY_MS / 1_000} s; its log: ${join(folder, 'node.log')}`,
              ),
            ),
          READY_MS,
        );
        timer.unref();
        child.once('message', (message) => {
          clearTimeout(timer);
          resolve(message as ReadyMessage);
        });
        child.once('exit', () => {
          clearTimeout(timer);
          reject(
            new NodeError(
              'data-damaged',
              `node ${i + 1} did not start: ${said.trim() || lastLogLine(folder)}`,
            ),
          );
        });
      });
    });
    const [first] = await Promise.all(ready);
    return {
      loginUrl: (first as ReadyMessage).loginUrl,
      consolePort: consolePort + 1,
      stop,
      settled: () => settled(consolePort, nodes, () => stopping),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The emulated chips, as they were when they were last switched off. */
async function switchOn(
  folder: string,
  count: number,
  progress: (text: string) => void,
): Promise<readonly Emulator[]> {
  progress(`switching on ${count} emulated chips`);
  return (await startEmulators(chipsFolder(folder), count)).chips;
}

/** Waits until the ledger shows an offer of every node. */
async function settled(consolePort: number, nodes: number, stopping: () => boolean): Promise<void> {
  while (!stopping()) {
    try {
      const response = await fetch(`http://127.0.0.1:${consolePort + 1}/api/v1/ledger/offers?limit=200`);
      const { items } = (await response.json()) as { items: unknown[] };
      if (items.length >= nodes) return;
    } catch {
      // The console may still be coming up.
    }
    await pause(300);
  }
}
