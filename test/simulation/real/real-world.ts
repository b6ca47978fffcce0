import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { genesisHeader } from '../../../ledger/block.ts';
import { toHex, utf8 } from '../../../ledger/bytes.ts';
import { commit } from '../../../ledger/commitment/commitment.ts';
import { Committee } from '../../../ledger/consensus/committee.ts';
import { encodeMessage } from '../../../ledger/consensus/messages.ts';
import type { Vote } from '../../../ledger/consensus/votes.ts';
import { publicKeyOf, sign } from '../../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../../ledger/crypto/sha256.ts';
import { chainIdOf, DEFAULT_PARAMETERS, type Genesis } from '../../../ledger/genesis.ts';
import { grains } from '../../../ledger/grains.ts';
import { type AccountId, type EkId, keyId, type NodeId, type TransactionId } from '../../../ledger/ids.ts';
import { supplyOf } from '../../../ledger/state/draft.ts';
import { TOMBSTONES, TPMS } from '../../../ledger/state/entities.ts';
import { genesisChanges } from '../../../ledger/state/genesis-state.ts';
import { transactionId } from '../../../ledger/transaction.ts';
import type { Chain, FinalBlock } from '../../../node/ledger/chain/chain.ts';
import { rowsAt, under } from '../../../node/ledger/store/ledger-database.ts';
import { KIND } from '../../../node/network/kinds.ts';
import { imbalanceOf, type Person, person, seatOf } from '../../support/ledger-world.ts';
import { Agenda } from '../agenda.ts';
import { ByzantineNode } from '../byzantine.ts';
import { harm } from '../harm.ts';
import { Links } from '../links.ts';
import { Observer } from '../observer.ts';
import { diceOf, type Fault, shapeOf } from '../shape.ts';
import type { Outcome } from '../world.ts';
import { ByzantineStation } from './byzantine-station.ts';
import { claimOf } from './chips.ts';
import { FalseBlocks } from './false-blocks.ts';
import { interceptDatabases } from './faulty-database.ts';
import { interceptLogs } from './faulty-log.ts';
import { type Sent, Switchboard } from './memory-network.ts';
import { Purse } from './purse.ts';
import { RealNode, type RealSurroundings } from './real-node.ts';
import { DAWN_MS, VirtualTime } from './virtual-time.ts';

/**
 * One simulated network of whole real nodes: the code that runs at home, with real signatures, LevelDB and vote logs, on
 * virtual time, links, disks and faults. Everything follows from the seed.
 */

const CHAOS_MS = 20_000;
const HEAL_MS = 60_000;
/** An idle ledger is watched for this long. */
const QUIET_MS = 5_000;
/** Clients repeat themselves this often. */
const AGAIN_MS = 2_000;
const DENOMINATION = grains(1_000_000_000_000n);

const issuerSecret = sha256(utf8('issuer of the simulation'));
const issuer = keyId<AccountId>(publicKeyOf(issuerSecret));

export async function simulateReal(seed: number, without: ReadonlySet<Fault> = new Set()): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'blocktree-simulation-'));
  const agenda = new Agenda();
  const time = new VirtualTime(agenda);
  const stopInterceptingLogs = interceptLogs();
  const stopInterceptingDatabases = interceptDatabases();
  const uninstall = time.install();
  const world = new RealWorld(seed, without, folder, agenda, time);
  try {
    return await world.run();
  } finally {
    await world.end();
    uninstall();
    stopInterceptingDatabases();
    stopInterceptingLogs();
    rmSync(folder, { recursive: true, force: true });
  }
}

class RealWorld {
  readonly #seed: number;
  readonly #agenda: Agenda;
  readonly #time: VirtualTime;
  readonly #dice;
  readonly #shape;
  readonly #observer: Observer;
  readonly #people: readonly Person[];
  readonly #byzantine: ReadonlySet<NodeId>;
  readonly #genesis: Genesis;
  readonly #purses: readonly Purse[];
  readonly #honest: readonly RealNode[];
  readonly #links: Links<Sent>;
  readonly #heights = new Map<TransactionId, number>();
  #epochs = 1;

  constructor(seed: number, without: ReadonlySet<Fault>, folder: string, agenda: Agenda, time: VirtualTime) {
    this.#seed = seed;
    this.#agenda = agenda;
    this.#time = time;
    const dice = diceOf(seed);
    const shape = shapeOf(dice, without);
    this.#dice = dice;
    this.#shape = shape;
    const observer = new Observer(agenda);
    this.#observer = observer;
    const people = Array.from({ length: shape.members + shape.followers }, (_, i) =>
      person(`simulated ${i}`),
    );
    this.#people = people;
    const ids = people.map(({ nodeId }) => nodeId);
    this.#byzantine = new Set(ids.slice(0, shape.byzantine));
    this.#genesis = {
      name: 'simulation',
      timestampMs: DAWN_MS,
      kind: 'dev',
      issuers: [issuer],
      committee: people.slice(0, shape.members).map(seatOf),
      parameters: {
        ...DEFAULT_PARAMETERS,
        epochMs: shape.epochBlocks === undefined ? DEFAULT_PARAMETERS.epochMs : shape.epochBlocks * 500,
      },
    };
    const chainId = chainIdOf(this.#genesis);
    // Who misbehaves is soon convicted, and then has nothing to spend.
    const spenders = people.filter(({ nodeId }) => !this.#byzantine.has(nodeId));
    this.#purses = spenders.map((one) => new Purse(one, chainId));
    let links!: Links<Sent>;
    const switchboard = new Switchboard(agenda, (deliver) => {
      links = new Links<Sent>(agenda, dice.network, shape, observer, deliver);
      return links;
    });
    this.#links = links;
    const lastMember = ids[shape.members - 1] as NodeId;
    const surroundings: RealSurroundings = {
      time,
      agenda,
      dice,
      shape,
      observer,
      switchboard,
      genesis: this.#genesis,
      seeds: shape.oneSeed ? [lastMember] : ids.slice(0, shape.members),
      healed: () => links.healed,
      isHonest: (id) => !this.#byzantine.has(id),
      final: (node, blocks) => this.#final(node, blocks),
      accuse: (first, second) => this.#accuse(first, second),
    };
    const { root } = commit(() => undefined, genesisChanges(this.#genesis));
    const blocks = new FalseBlocks(chainId, genesisHeader(this.#genesis, root));
    const committee = new Committee(chainId, 0, this.#genesis.committee);
    const secrets = new Map(people.map((one) => [one.nodeId, one.nodeSecret]));
    for (const [i, id] of [...this.#byzantine].entries()) {
      const node = new ByzantineNode(
        id,
        {
          chain: blocks,
          keys: { sign: (nodeId, digest) => sign(digest, secrets.get(nodeId) as Uint8Array) },
          dice: dice.faults,
          ids,
          agenda,
          nowMs: () => DAWN_MS + agenda.nowMs,
          committee: (epoch) => (epoch === 0 ? committee : undefined),
          acknowledged: () => undefined,
          post: (from, to, message) => {
            const body = encodeMessage(message);
            switchboard.post(from, to, { type: 'notify', kind: KIND.consensus, number: 0, body });
          },
          count: (name) => observer.count(name),
          holds: () => undefined,
        },
        seed / 100 + i,
      );
      new ByzantineStation({ id, node, blocks, switchboard, dice: dice.faults, observer });
    }
    this.#honest = people
      .filter(({ nodeId }) => !this.#byzantine.has(nodeId))
      .map((one, i) => {
        const home = join(folder, String(i));
        mkdirSync(home);
        return new RealNode(one, home, surroundings);
      });
    for (const node of this.#honest) {
      const drift = (dice.shape.next() * 2 - 1) * shape.driftMax;
      node.clock.set(dice.shape.whole(-shape.skewMaxMs, shape.skewMaxMs), drift);
    }
    const latecomer = shape.latecomer && shape.followers > 0 ? this.#honest.at(-1) : undefined;
    const present = this.#honest.filter((node) => node !== latecomer);
    for (const node of present) node.restart();
    this.#work();
    const forgetful = new Set(ids.slice(shape.members - shape.forgetful, shape.members));
    harm({ agenda, dice, ids, observer, shape, links }, present, forgetful);
    agenda.at(CHAOS_MS, () => this.#heal());
  }

  async run(): Promise<Outcome> {
    const { nodes, byzantine } = { nodes: this.#shape.members, byzantine: this.#shape.byzantine };
    const [agenda, observer] = [this.#agenda, this.#observer];
    let quiet: { readonly sinceMs: number; readonly height: number } | undefined;
    await this.#time.settle();
    while (observer.violation === undefined && agenda.nowMs < CHAOS_MS + HEAL_MS && agenda.step()) {
      await this.#time.settle();
      for (const node of this.#honest) node.look();
      await this.#time.settle();
      if (!this.#links.healed) continue;
      if (!this.#settled()) quiet = undefined;
      else quiet ??= { sinceMs: agenda.nowMs, height: observer.finalByHeight.size };
      if (quiet !== undefined && agenda.nowMs - quiet.sinceMs > QUIET_MS) break;
    }
    if (quiet !== undefined && byzantine === 0 && observer.finalByHeight.size !== quiet.height)
      observer.violate('an idle ledger made blocks');
    const settled = this.#settled();
    if (settled) for (const { chain } of this.#honest) if (chain !== undefined) await this.#audit(chain);
    const open = this.#purses.filter((purse) => !purse.isDone).length;
    const heights = this.#honest.map(({ chain }) => chain?.final.height).join(' ');
    return {
      seed: this.#seed,
      nodes,
      byzantine,
      violation: observer.violation,
      stalled:
        observer.violation !== undefined || settled
          ? undefined
          : `${open} clients are not done, heights ${heights} of ${observer.finalByHeight.size}`,
      virtualMs: agenda.nowMs,
      height: observer.finalByHeight.size,
      epochs: this.#epochs,
      fingerprint: toHex(
        sha256(utf8([...observer.finalByHeight.values()].join(',')), utf8(String(agenda.steps))),
      ).slice(0, 16),
      counters: observer.counters,
    };
  }

  /** Kills all nodes and waits until their files are closed. */
  async end(): Promise<void> {
    for (const node of this.#honest) if (node.up) node.crash();
    await this.#time.settle();
  }

  #settled(): boolean {
    const height = this.#observer.finalByHeight.size;
    return (
      this.#purses.every((purse) => purse.isDone) &&
      this.#honest.every(({ chain }) => chain?.final.height === height)
    );
  }

  #heal(): void {
    this.#links.heal();
    for (const node of this.#honest) {
      node.clock.set(0, 0);
      if (!node.up) node.restart();
    }
    // What breaks when it is found broken is started again.
    const again = (): void => {
      for (const node of this.#honest) if (!node.up) node.restart();
      this.#agenda.at(this.#agenda.nowMs + 1_000, again);
    };
    again();
  }

  /** Everybody claims a chip and takes a seat, then pays others now and then; somebody else claims the first chip, too. */
  #work(): void {
    const { work } = this.#dice;
    const by = { chainId: chainIdOf(this.#genesis), denominationGrains: DENOMINATION, issuer, issuerSecret };
    for (const purse of this.#purses) {
      const { ekId, accountId } = purse.person;
      purse.wish({ ...claimOf(purse.person, accountId, by) });
      if (work.chance(0.7))
        purse.wish({ kind: 'seat', ekId, action: 'enter' }, () => this.#isConvicted(ekId));
    }
    const again = (): void => {
      for (const purse of this.#purses) this.#send(purse);
      this.#agenda.at(this.#agenda.nowMs + AGAIN_MS, again);
    };
    again();
    const pay = (): void => {
      if (this.#links.healed) return;
      const purse = work.pick(this.#purses);
      const { accountId: to } = work.pick(this.#people);
      if (!purse.isBusy)
        purse.wish({ kind: 'transfer', to, amountGrains: grains(work.whole(1, 1_000)), memo: '' });
      this.#send(purse);
      const isLong = !this.#shape.busy && work.chance(0.2);
      const restMs = isLong ? work.whole(1_000, 5_000) : work.whole(20, this.#shape.busy ? 60 : 1_000);
      this.#agenda.at(this.#agenda.nowMs + restMs, pay);
    };
    pay();
    const thief = new Purse(person('thief'), by.chainId);
    const first = (this.#purses[0] as Purse).person;
    thief.wish({ ...claimOf(first, thief.person.accountId, by) });
    const steal = (): void => {
      if (this.#links.healed) return;
      const bytes = thief.next();
      const isClaimed = this.#honest.some(({ chain }) => chain?.state.read(TPMS, first.ekId) !== undefined);
      if (bytes !== undefined && isClaimed) work.pick(this.#honest).submit(bytes);
      this.#agenda.at(this.#agenda.nowMs + 3_000, steal);
    };
    this.#agenda.at(CHAOS_MS / 2, steal);
  }

  #send(purse: Purse): void {
    const bytes = purse.next();
    if (bytes !== undefined) this.#dice.work.pick(this.#honest).submit(bytes);
  }

  #final({ id }: RealNode, blocks: readonly FinalBlock[]): void {
    for (const { id: blockId, block } of blocks) {
      const { height } = block.header;
      this.#observer.finalAt(height, blockId);
      for (const transaction of block.transactions) {
        const transferId = transactionId(transaction);
        const before = this.#heights.get(transferId);
        if (before !== undefined && before !== height)
          this.#observer.violate(`a transaction became final twice at ${id}`);
        this.#heights.set(transferId, height);
        for (const purse of this.#purses) if (purse.final(transferId)) this.#send(purse);
        if (before === undefined && transaction.body.kind === 'misconduct')
          this.#observer.count('convictions');
      }
      this.#epochs = Math.max(this.#epochs, block.header.epoch + 1);
    }
  }

  #accuse(first: Vote, second: Vote): void {
    const { signer } = first;
    this.#observer.count('evidence');
    if (!this.#byzantine.has(signer) && !this.#observer.setBack.has(signer))
      this.#observer.violate('evidence against an honest node');
    const culprit = this.#people.find(({ nodeId }) => nodeId === signer) as Person;
    const purse = this.#purses.at(-1) as Purse;
    purse.wish({ kind: 'misconduct', first, second }, () => this.#isConvicted(culprit.ekId));
    this.#send(purse);
  }

  #isConvicted(ekId: EkId): boolean {
    return this.#honest.some(({ chain }) => chain?.state.read(TOMBSTONES, ekId) !== undefined);
  }

  /** What is stored is what the newest header says, and no money was made or lost. */
  async #audit({ store, state, final }: Chain): Promise<void> {
    const prefix = rowsAt(store.place);
    const rows = new Map<string, Uint8Array>();
    for await (const [key, row] of store.database.iterator(under(prefix)))
      rows.set(key.slice(prefix.length), row);
    if (commit(() => undefined, rows).root !== store.header(final.id)?.stateRoot)
      this.#observer.violate('the stored rows are not what the newest header says');
    if (imbalanceOf(rows, state) !== 0n) this.#observer.violate('money was made or lost');
    const claims = [...rows.keys()].filter((key) => key.startsWith('tpm/')).length;
    if (supplyOf(state).claimedGrains !== DENOMINATION * BigInt(claims))
      this.#observer.violate('a chip was claimed twice');
    this.#observer.count('audits');
  }
}
