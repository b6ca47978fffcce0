import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { genesisFromJson } from '../../ledger/genesis.ts';
import { nodeAddress } from '../../ledger/ids.ts';
import { NodeError } from '../errors.ts';
import { describeKeystore } from '../keys/keystore.ts';
import { type Emulator, startEmulators } from '../tpm/emulator.ts';
import {
  chipsFolder,
  createDevnet,
  type DevnetFile,
  type DevnetPlan,
  nodeFolder,
  readDevnet,
} from './create.ts';
import { NodeProcess, type ReadyMessage } from './node-process.ts';

/** Runs every node of a development network as a process of its own, until it is told to stop. */

/** A slow start is explained this often. */
const WORD_MS = 20_000;
/** A console that takes longer is asked again. */
const ANSWER_MS = 5_000;

async function checkPort(port: number, what: string, advice: string): Promise<void> {
  const server = createServer();
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen(port, '127.0.0.1', () => resolve(undefined));
  });
  server.close();
  if (error === undefined) return;
  if (error.code !== 'EADDRINUSE') throw error;
  throw new NodeError('address-in-use', `port ${port} (${what}) is busy: ${advice}`);
}

export interface RunningDevnet {
  readonly loginUrl: string;
  readonly consolePort: number;
  stop(): Promise<void>;
  /** Resolves when every node has claimed and offers. */
  settled(): Promise<void>;
}

/** What a network is made with, where nothing else is said. */
const DEFAULT_PLAN = {
  nodes: 6,
  tpm: 'software',
  periodMs: 10_000,
  epochMs: 86_400_000,
  consolePort: 7_070,
  linkPort: 7_000,
} as const;

/** What was asked for. Of a network that is there already, it must be what the network was made with. */
export type DevnetWishes = Partial<Omit<DevnetPlan, 'folder'>>;

/**
 * Starts what is in `folder`, made first when there is nothing. Throws NodeError `address-in-use`, `data-damaged`,
 * `exists` for a network that was made with something else than was asked for, `not-installed`, `emulator-failed`.
 */
export async function runDevnet(
  folder: string,
  wishes: DevnetWishes,
  progress: (text: string) => void,
): Promise<RunningDevnet> {
  const found = await readDevnet(folder);
  const file = found ?? { ...DEFAULT_PLAN, ...wishes };
  if (found !== undefined) await demandAsMade(folder, found, wishes);
  const { nodes, tpm, consolePort, linkPort } = file;
  const advice =
    found === undefined
      ? 'is a development network running already? Stop what uses it, or give --console-port and --link-port for other ports'
      : 'does this network run already? Stop what uses the port; the network keeps the ports it was made with';
  for (let n = 1; n <= nodes; n++) {
    await checkPort(consolePort + n, `console of node ${n}`, advice);
    await checkPort(linkPort + n, `link of node ${n}`, advice);
  }
  if (found === undefined) await createDevnet({ ...DEFAULT_PLAN, ...wishes, folder }, progress);
  const chips = tpm === 'emulator' ? await switchOn(folder, nodes, progress) : [];
  progress(`starting ${nodes} nodes`);
  const children: NodeProcess[] = [];
  let stopping = false;
  const stop = async (): Promise<void> => {
    stopping = true;
    await Promise.all(children.map((child) => child.stop()));
    await Promise.all(chips.map((chip) => chip.stop()));
  };
  chips.forEach((chip, i) => {
    void chip.ended.then(() => {
      if (!stopping) progress(`the chip of node ${i + 1} ended: stop the network and start it again`);
    });
  });
  try {
    for (let n = 1; n <= nodes; n++) {
      const child = new NodeProcess(n, nodeFolder(folder, n));
      children.push(child);
      void child.ended.then((how) => {
        if (!stopping) progress(`node ${n} ended (${how}); its log: ${child.logPath}`);
      });
    }
    const [first] = await Promise.all(children.map((child) => child.ready));
    return {
      loginUrl: (first as ReadyMessage).loginUrl,
      consolePort: consolePort + 1,
      stop,
      settled: () => settled(file, folder, () => stopping, progress),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Throws NodeError `exists` for the first wish that the network in `folder` does not fulfil. */
async function demandAsMade(folder: string, found: DevnetFile, wishes: DevnetWishes): Promise<void> {
  const { parameters } = genesisFromJson(JSON.parse(await readFile(join(folder, 'network.json'), 'utf8')));
  const made = { ...found, periodMs: parameters.periodMs, epochMs: parameters.epochMs };
  for (const name of Object.keys(made) as (keyof typeof made)[]) {
    const wish = wishes[name];
    if (wish !== undefined && wish !== made[name])
      throw new NodeError(
        'exists',
        `the network in ${folder} was made with ${NAMES[name]} ${made[name]}, not ${wish}: leave the option out, give another --data folder, or move this one away`,
      );
  }
}

const NAMES = {
  nodes: '--nodes',
  tpm: '--tpm',
  periodMs: '--period',
  epochMs: '--epoch',
  consolePort: '--console-port',
  linkPort: '--link-port',
} as const;

/** The emulated chips, as they were when they were last switched off. */
async function switchOn(
  folder: string,
  count: number,
  progress: (text: string) => void,
): Promise<readonly Emulator[]> {
  progress(`switching on ${count} emulated chips`);
  return (await startEmulators(chipsFolder(folder), count)).chips;
}

/** Waits until the ledger shows an offer of every node; says now and then whom it waits for. */
async function settled(
  { nodes, consolePort }: DevnetFile,
  folder: string,
  stopping: () => boolean,
  progress: (text: string) => void,
): Promise<void> {
  let nextWordMs = performance.now() + WORD_MS;
  while (!stopping()) {
    const offering = await offeringNodes(consolePort + 1);
    if (offering !== undefined && offering.size >= nodes) return;
    if (performance.now() > nextWordMs) {
      nextWordMs += WORD_MS;
      progress(`${offering?.size ?? 0} of ${nodes} nodes offer; ${await missing(folder, nodes, offering)}`);
    }
    await pause(300);
  }
}

/** The nodes with an offer on the ledger; `undefined` while the console does not answer. */
async function offeringNodes(port: number): Promise<ReadonlySet<string> | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/ledger/offers?limit=200`, {
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const { items } = (await response.json()) as { items: { nodeId: string }[] };
    return new Set(items.map(({ nodeId }) => nodeId));
  } catch {
    return undefined;
  }
}

async function missing(
  folder: string,
  nodes: number,
  offering: ReadonlySet<string> | undefined,
): Promise<string> {
  if (offering === undefined) return 'node 1 does not answer';
  for (let n = 1; n <= nodes; n++) {
    const home = nodeFolder(folder, n);
    const keys = await describeKeystore(home);
    if (keys !== undefined && !offering.has(nodeAddress(keys.nodeId)))
      return `node ${n} does not yet, and ${join(home, 'node.log')} says why`;
  }
  return 'the rest is on its way';
}
