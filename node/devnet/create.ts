import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { chainIdOf, DEFAULT_PARAMETERS, type Genesis, genesisToJson } from '../../ledger/genesis.ts';
import { formatAcorns, GRAINS_PER_ACORN, grains } from '../../ledger/grains.ts';
import type { Hash } from '../../ledger/ids.ts';
import { NodeError } from '../errors.ts';
import { createKeystore } from '../keys/keystore.ts';
import { type Emulator, emulatorFolder, emulatorSocket, startEmulators } from '../tpm/emulator.ts';
import { issuerAccount, openIssuer } from '../tpm/issuer-desk.ts';
import { openTpm } from '../tpm/open.ts';
import { OwnerDesk } from '../tpm/owner-desk.ts';

/** A development network in a folder: keys, chips, an issuer, the network file, a configuration for each node. */

export const COMMITTEE_MAX = 4;
/** The node that endorses the chips of those who join later. */
const ISSUER_NODE = 1;
/** What a development chip brings its owner. */
const DENOMINATION = grains(10_000n * GRAINS_PER_ACORN);

/** What a node of a development network has for a chip: a key file, or an emulator (swtpm) of its own. */
export type DevnetTpm = 'software' | 'emulator';

export interface DevnetPlan {
  readonly folder: string;
  readonly nodes: number;
  readonly tpm: DevnetTpm;
  readonly periodMs: number;
  /** How long a committee sits; a seat lives for two such times. */
  readonly epochMs?: number;
  /** Console of node N on this plus N, link on `linkPort` plus N. */
  readonly consolePort: number;
  readonly linkPort: number;
}

export interface DevnetFile {
  readonly nodes: number;
  readonly tpm: DevnetTpm;
  readonly consolePort: number;
  readonly linkPort: number;
}

export function nodeFolder(folder: string, n: number): string {
  return join(folder, String(n));
}

/** Where the chips of a network are, beside the nodes' folders: whoever copies a node's folder gets no chip with it. */
export function chipsFolder(folder: string): string {
  return resolve(folder, 'chips');
}

/** The largest committee of n = 3f + 1 seats among the nodes, at most four. */
function committeeSize(nodes: number): number {
  return nodes >= COMMITTEE_MAX ? COMMITTEE_MAX : 1;
}

/** The network that is in a folder, if there is one. Throws NodeError `data-damaged`. */
export async function readDevnet(folder: string): Promise<DevnetFile | undefined> {
  const path = join(folder, 'devnet.json');
  if (!existsSync(path)) {
    if (existsSync(folder))
      throw new NodeError(
        'data-damaged',
        `${folder} holds no whole development network: move it away, then start again`,
      );
    return undefined;
  }
  try {
    // Networks made before there was a choice have software TPMs and do not say so.
    const file = { tpm: 'software', ...JSON.parse(await readFile(path, 'utf8')) } as DevnetFile;
    if (!Number.isInteger(file.nodes) || file.nodes < 1) throw new Error('expected a number of nodes');
    if (file.tpm !== 'software' && file.tpm !== 'emulator') throw new Error('expected a kind of TPM');
    for (let n = 1; n <= file.nodes; n++) {
      if (!existsSync(join(nodeFolder(folder, n), 'keys.json')))
        throw new Error(`the keys of node ${n} are missing`);
    }
    return file;
  } catch (error) {
    throw new NodeError(
      'data-damaged',
      `the development network in ${folder} is damaged (${(error as Error).message}): move the folder away, then start again`,
    );
  }
}

/**
 * Makes a network; it is there as a whole or not at all. `progress` hears of every step. Throws NodeError
 * `not-installed` or `emulator-failed` where chips are to be emulated and cannot be.
 */
export async function createDevnet(plan: DevnetPlan, progress: (text: string) => void): Promise<void> {
  const making = `${plan.folder}.making`;
  await rm(making, { recursive: true, force: true });
  await mkdir(making, { recursive: true, mode: 0o700 });
  if (plan.tpm === 'software') {
    progress(`making ${plan.nodes} nodes with software TPMs`);
    await fill(making, plan, (n) => `software:${join(nodeFolder(making, n), 'tpm.json')}`, progress);
  } else {
    progress(`making ${plan.nodes} nodes with emulated TPMs, and the authority that certifies them`);
    const { chips, authority } = await startEmulators(chipsFolder(making), plan.nodes);
    try {
      await mkdir(join(making, 'issuer', 'roots'), { recursive: true, mode: 0o700 });
      await copyFile(authority, join(making, 'issuer', 'roots', 'emulators.pem'));
      await fill(making, plan, (n) => (chips[n - 1] as Emulator).spec, progress);
    } finally {
      await Promise.all(chips.map((chip) => chip.stop()));
    }
  }
  await rename(making, plan.folder);
}

/** Everything of a network but its chips, which `chipOf` addresses. */
async function fill(
  making: string,
  plan: DevnetPlan,
  chipOf: (n: number) => string,
  progress: (text: string) => void,
): Promise<void> {
  const issuer = await issuerAccount(making);
  const numbers = Array.from({ length: plan.nodes }, (_, i) => i + 1);
  const members = await Promise.all(
    numbers.map(async (n) => {
      const folder = nodeFolder(making, n);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const tpm = await openTpm(chipOf(n), 'dev');
      const keys = await createKeystore(folder, { protection: { kind: 'tpm', tpm } });
      const { ekId } = await tpm.ek();
      return { n, folder, tpm, keys, ekId };
    }),
  );
  const { epochMs = DEFAULT_PARAMETERS.epochMs } = plan;
  const genesis: Genesis = {
    name: 'development',
    timestampMs: Date.now(),
    kind: 'dev',
    issuers: [issuer],
    committee: members.slice(0, committeeSize(plan.nodes)).map(({ ekId, keys }) => ({
      seatId: ekId as string as Hash,
      nodeId: keys.nodeId,
      accountId: keys.accountId,
    })),
    parameters: {
      ...DEFAULT_PARAMETERS,
      periodMs: plan.periodMs,
      epochMs,
      seatLifetimeMs: 2 * epochMs,
    },
  };
  const chainId = chainIdOf(genesis);
  await writeFile(join(making, 'network.json'), `${JSON.stringify(genesisToJson(genesis), undefined, 2)}\n`);
  progress('endorsing their chips with the dev issuer');
  const desk = await openIssuer(making, genesis, DENOMINATION);
  const seeds = numbers.map((n) => `"127.0.0.1:${plan.linkPort + n}"`).join(', ');
  for (const { n, folder, tpm, keys } of members) {
    const owner = await OwnerDesk.open({ tpm, keys, chainId, folder });
    await owner.accept(await desk.answer(await owner.request()));
    await tpm.close();
    await writeFile(join(folder, 'blocktree.toml'), configuration(plan, n, seeds));
  }
  const { nodes, tpm, consolePort, linkPort } = plan;
  const file: DevnetFile = { nodes, tpm, consolePort, linkPort };
  await writeFile(join(making, 'devnet.json'), `${JSON.stringify(file)}\n`);
}

/** The chip of node n as its configuration names it: relative, so that the network's folder can be moved. */
function device({ tpm, folder }: DevnetPlan, n: number): string {
  if (tpm === 'software') return 'software:tpm.json';
  const socket = emulatorSocket(emulatorFolder(chipsFolder(folder), n));
  return `unix:${relative(nodeFolder(folder, n), socket)}`;
}

function configuration(plan: DevnetPlan, n: number, seeds: string): string {
  return `# Node ${n} of a development network. Every key can also be a flag (--link-port) or a variable (BLOCKTREE_LINK_PORT).
[network]
file = "../network.json"

[link]
host = "127.0.0.1"
port = ${plan.linkPort + n}
advertise = ["127.0.0.1:${plan.linkPort + n}"]
seeds = [${seeds}]
admission = "${plan.tpm === 'emulator' ? 'quote' : 'claimed'}"

[console]
port = ${plan.consolePort + n}

[tpm]
device = "${device(plan, n)}"
issuer = "http://127.0.0.1:${plan.consolePort + ISSUER_NODE}"
${n === ISSUER_NODE ? `\n[issuer]\nfolder = ".."\ndenomination = "${formatAcorns(DENOMINATION)}"\n` : ''}
[host]
automatic = true

[log]
file = "node.log"
`;
}
