import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { utf8 } from '../../ledger/bytes.ts';
import { publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { chainIdOf, DEFAULT_PARAMETERS, type Genesis, type Parameters } from '../../ledger/genesis.ts';
import { grains } from '../../ledger/grains.ts';
import { type AccountId, type Hash, keyId } from '../../ledger/ids.ts';
import type { TransactionBody } from '../../ledger/transaction.ts';
import { Chain } from '../../node/ledger/chain/chain.ts';
import { LedgerNode } from '../../node/ledger/ledger-node.ts';
import { SnapshotServer } from '../../node/ledger/snapshots/snapshot-serve.ts';
import { syncFromSnapshot } from '../../node/ledger/snapshots/snapshot-sync.ts';
import { Network } from '../../node/network/network.ts';
import { makeClaim } from '../../node/tpm/claim-body.ts';
import { createRequest, endorse, openAnswer } from '../../node/tpm/issuer.ts';
import { memoryIssuerLog } from '../../node/tpm/issuer-log.ts';
import { openTpm } from '../../node/tpm/open.ts';
import type { Tpm } from '../../node/tpm/tpm.ts';
import { Wallet } from '../../node/wallet/wallet.ts';
import { ChainGrower } from './chain-grower.ts';
import { type Person, person } from './ledger-world.ts';
import { memoryPort, memoryTransport } from './memory-transport.ts';

/** Real nodes in this process: links in memory, LevelDB and logs in a temporary folder, software TPMs. */

const issuerSecret = sha256(utf8('issuer of small networks'));

/** What a node and its owner sign with. */
type Signers = Pick<Person, 'accountId' | 'accountSecret' | 'nodeId' | 'nodeSecret'>;

export interface Member<Who extends Signers = Signers> {
  readonly person: Who;
  readonly folder: string;
  readonly tpm: Tpm;
  readonly port: number;
}

export interface Running<Who extends Signers = Person> {
  readonly member: Member<Who>;
  readonly chain: Chain;
  readonly network: Network;
  readonly ledger: LedgerNode;
  readonly wallet: Wallet;
  /** Once, however often it is called. */
  stop(): Promise<void>;
}

export class SmallNetwork {
  readonly folder = mkdtempSync(join(tmpdir(), 'blocktree-network-'));
  readonly members: Member<Person>[] = [];
  readonly #running = new Set<Running>();
  genesis: Genesis;

  private constructor(genesis: Genesis) {
    this.genesis = genesis;
  }

  /** `seats` of the `count` nodes are the committee; `series` decides their keys. */
  static async create(
    count: number,
    seats: number,
    series: number,
    periodMs = 10_000,
    parameters: Partial<Parameters> = {},
  ): Promise<SmallNetwork> {
    const network = new SmallNetwork({
      name: 'small',
      timestampMs: Date.now(),
      kind: 'dev',
      issuers: [keyId<AccountId>(publicKeyOf(issuerSecret))],
      committee: [],
      parameters: { ...DEFAULT_PARAMETERS, periodMs, ...parameters },
    });
    for (let i = 0; i < count; i++) {
      const folder = join(network.folder, String(i));
      const tpm = await openTpm(`software:${join(folder, 'tpm.json')}`, 'dev');
      network.members.push({
        person: person(`member ${i} of ${series}`),
        folder,
        tpm,
        port: memoryPort(),
      });
    }
    const committee = await Promise.all(
      network.members.slice(0, seats).map(async ({ tpm, person: { nodeId, accountId } }) => ({
        seatId: (await tpm.ek()).ekId as string as Hash,
        nodeId,
        accountId,
      })),
    );
    network.genesis = { ...network.genesis, committee };
    return network;
  }

  /**
   * `snapshotBehind`: blocks behind which it fetches a snapshot; never, unless told. `seeds`: members that it knows; all of
   * them, unless told.
   */
  async start(
    index: number,
    snapshotBehind = 0,
    seeds: readonly number[] = [...this.members.keys()],
  ): Promise<Running> {
    const addresses = seeds.map((seed) => `127.0.0.1:${(this.members[seed] as Member<Person>).port}`);
    const member = this.members[index] as Member<Person>;
    const node = await startMember(member, this.genesis, addresses, snapshotBehind);
    this.#running.add(node);
    return node;
  }

  /** Starts members side by side; all of them, unless told. */
  startAll(count = this.members.length): Promise<readonly Running[]> {
    return Promise.all(Array.from({ length: count }, (_, index) => this.start(index)));
  }

  /** Begins the past of a network an hour ago: whoever starts now may be far behind. */
  beginEarlier(parameters: Partial<Parameters> = {}): void {
    this.genesis = {
      ...this.genesis,
      timestampMs: Date.now() - 3_600_000,
      parameters: { ...this.genesis.parameters, ...parameters },
    };
  }

  /** Makes blocks in the folder of a member that does not run, and gives the ledger to others that do not run either. */
  async grow(
    [first, ...others]: readonly [number, ...number[]],
    grow: (grower: ChainGrower, chain: Chain) => Promise<void>,
  ): Promise<void> {
    const folders = [first, ...others].map((index) => (this.members[index] as Member<Person>).folder);
    const chain = await Chain.open(folders[0] as string, this.genesis);
    await grow(new ChainGrower(this, chain), chain);
    await chain.close();
    for (const folder of folders.slice(1)) {
      rmSync(join(folder, 'ledger'), { recursive: true, force: true });
      cpSync(join(folders[0] as string, 'ledger'), join(folder, 'ledger'), { recursive: true });
    }
  }

  /** The claim of a member's chip, endorsed. */
  async claim(index: number, denomination = 1_000_000_000_000n): Promise<TransactionBody> {
    const { tpm, person: who } = this.members[index] as Member<Person>;
    const chainId = chainIdOf(this.genesis);
    const policy = {
      chainId,
      chainKind: 'dev' as const,
      pinned: [],
      denominationGrains: grains(denomination),
    };
    const answer = await endorse(
      await createRequest(tpm, chainId),
      issuerSecret,
      policy,
      memoryIssuerLog(),
      Date.now(),
    );
    const endorsement = await openAnswer(tpm, answer);
    return makeClaim(tpm, who, chainId, endorsement);
  }

  /** Stops whoever runs and leaves nothing behind. */
  async remove(): Promise<void> {
    await Promise.all([...this.#running].map((node) => node.stop()));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Starts one real node of a network. */
export async function startMember<Who extends Signers>(
  member: Member<Who>,
  genesis: Genesis,
  seeds: readonly string[],
  snapshotBehind = 0,
): Promise<Running<Who>> {
  const logger = pino({ level: process.env.TEST_LOG ?? 'silent' });
  const chain = await Chain.open(member.folder, genesis);
  const network = await Network.open({
    chainId: chain.rules.chainId,
    nodeSecret: member.person.nodeSecret,
    host: '127.0.0.1',
    port: member.port,
    advertise: [`127.0.0.1:${member.port}`],
    seeds,
    records: { load: () => [], save: () => undefined },
    logger,
    transport: memoryTransport,
  });
  const { nodeId, nodeSecret, accountId, accountSecret } = member.person;
  const snapshots = new SnapshotServer(network, chain);
  const { signal } = new AbortController();
  await syncFromSnapshot({ chain, network, logger, signal, behindMin: snapshotBehind, waitMs: 5_000 });
  const ledger = await LedgerNode.open({
    chain,
    network,
    folder: member.folder,
    nodeId,
    nodeSecret,
    logger,
    snapshotBehind,
  }).catch(async (error: unknown) => {
    await network.close();
    await chain.close();
    throw error;
  });
  ledger.onFinal(() => snapshots.committed());
  ledger.onLeap(() => snapshots.committed());
  const wallet = new Wallet(ledger, accountId, accountSecret);
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    wallet.close();
    await ledger.close();
    await network.close();
    await chain.close();
  };
  return {
    member,
    chain,
    network,
    ledger,
    wallet,
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}
