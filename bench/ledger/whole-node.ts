import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { genesisFromJson } from '../../ledger/genesis.ts';
import { createDevnet, nodeFolder } from '../../node/devnet/create.ts';
import { freePorts } from './members.ts';
import { prepareLedger, signerOf } from './prepared-ledger.ts';

/** Whole nodes as users run them, from the command line: what they cost when idle, and how long they take to start. */

const built = !import.meta.url.endsWith('.ts');
const main = fileURLToPath(new URL(`../../node/cli/main.${built ? 'js' : 'ts'}`, import.meta.url));
/** The program `blocktree` and what comes before its verbs. */
export const commandLine: readonly string[] = [process.execPath, ...(built ? [] : ['--import', 'tsx']), main];
/** Periods longer than any bench: nothing turns by itself. */
const PERIOD_MS = 24 * 3_600_000;
const READY_MS = 120_000;
/** Clock ticks a second of /proc/PID/stat, on every Linux (`getconf CLK_TCK`). */
const TICKS_PER_SECOND = 100;

/** Makes a development network whose ports are free now. */
async function makeNetwork(folder: string, nodes: number): Promise<{ consolePort: number }> {
  // The ports of a network follow each other: the first of them are drawn, and the rest is luck.
  const [consolePort = 0, linkPort = 0] = await freePorts(2);
  await createDevnet(
    { folder, nodes, tpm: 'software', periodMs: PERIOD_MS, consolePort, linkPort },
    () => undefined,
  );
  return { consolePort };
}

/** Starts a node; resolves when it says that it is ready. */
async function startNode(folder: string): Promise<ChildProcess> {
  const child = fork(main, ['start', '--data', folder], {
    execArgv: built ? [] : ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const signal = AbortSignal.timeout(READY_MS);
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`a node of the bench ended with ${code}`);
  });
  await Promise.race([once(child, 'message', { signal }), ended]);
  ended.catch(() => undefined);
  return child;
}

async function stopNode(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

export interface RunningNetwork {
  readonly processes: readonly ChildProcess[];
  /** The most that each process ever held, in MiB. */
  peakResidentMiB(): readonly number[];
  stop(): Promise<void>;
}

/** A development network of so many nodes, all of which have claimed and offered. */
export async function runNetwork(folder: string, nodes: number): Promise<RunningNetwork> {
  const { consolePort } = await makeNetwork(folder, nodes);
  const numbers = Array.from({ length: nodes }, (_, i) => i + 1);
  const processes = await Promise.all(numbers.map((n) => startNode(nodeFolder(folder, n))));
  const stop = async (): Promise<void> => {
    await Promise.all(processes.map(stopNode));
  };
  try {
    await settled(consolePort + 1, nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  return { processes, peakResidentMiB: () => processes.map((child) => memoryMiB(child, 'VmHWM')), stop };
}

export interface Idle {
  /** Of one core, a node. */
  readonly cpuPercent: number;
  /** Of the largest node. */
  readonly residentMiB: number;
}

/** What nodes cost that have claimed and offered, and then have nothing to do for `ms`. */
export async function measureIdle(folder: string, nodes: number, ms: number): Promise<Idle> {
  const { processes, stop } = await runNetwork(folder, nodes);
  try {
    await pause(ms / 4);
    const before = processes.map(cpuSeconds);
    const startMs = performance.now();
    await pause(ms);
    const seconds = (performance.now() - startMs) / 1_000;
    const used = processes.map((child, i) => cpuSeconds(child) - (before[i] ?? 0));
    return {
      cpuPercent: (100 * used.reduce((sum, one) => sum + one, 0)) / seconds / nodes,
      residentMiB: Math.max(...processes.map((child) => memoryMiB(child, 'VmRSS'))),
    };
  } finally {
    await stop();
  }
}

/** Seconds until a node with so many accounts is ready again, and what it takes of memory then. */
export async function measureRestart(
  folder: string,
  accounts: number,
  times: number,
): Promise<{ readonly seconds: readonly number[]; readonly residentMiB: number }> {
  const { consolePort } = await makeNetwork(folder, 1);
  const genesis = genesisFromJson(JSON.parse(await readFile(join(folder, 'network.json'), 'utf8')));
  const own = nodeFolder(folder, 1);
  await prepareLedger(own, genesis, [signerOf(0)], accounts);
  const first = await startNode(own);
  try {
    await settled(consolePort + 1, 1);
  } finally {
    await stopNode(first);
  }
  const seconds: number[] = [];
  let resident = 0;
  for (let n = 0; n < times; n++) {
    const startMs = performance.now();
    const child = await startNode(own);
    seconds.push((performance.now() - startMs) / 1_000);
    resident = Math.max(resident, memoryMiB(child, 'VmRSS'));
    await stopNode(child);
  }
  return { seconds, residentMiB: resident };
}

/** Waits until the ledger shows an offer of every node. */
async function settled(port: number, nodes: number): Promise<void> {
  const endMs = Date.now() + READY_MS;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/ledger/offers?limit=200`);
    const { items } = (await response.json()) as { items: unknown[] };
    if (items.length >= nodes) return;
    if (Date.now() > endMs) throw new Error(`${items.length} of ${nodes} nodes offered in time`);
    await pause(200);
  }
}

/** CPU time of a process so far, of all its threads. */
function cpuSeconds({ pid }: ChildProcess): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name in brackets may hold anything; fields 14 and 15 are the times in user and kernel mode.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Memory that a process holds now, or held at most. */
function memoryMiB({ pid }: ChildProcess, what: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const [, kib] = new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(status) ?? [];
  return Number(kib) / 1_024;
}
