import { toHex, utf8 } from '../../ledger/bytes.ts';
import { Committee } from '../../ledger/consensus/committee.ts';
import { Consensus } from '../../ledger/consensus/consensus.ts';
import type { ConsensusEvent, Effect, FinalPoint } from '../../ledger/consensus/events.ts';
import {
  type ConsensusMessage,
  decodeMessage,
  decodeRecord,
  encodeMessage,
  encodeRecord,
  type LogRecord,
} from '../../ledger/consensus/messages.ts';
import { type Certificate, positionKey, type Vote } from '../../ledger/consensus/votes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { Seat } from '../../ledger/genesis.ts';
import {
  type AccountId,
  type BlockId,
  type ChainId,
  type Hash,
  hashId,
  type NodeId,
} from '../../ledger/ids.ts';
import { Agenda } from './agenda.ts';
import { ByzantineNode } from './byzantine.ts';
import { type Keys, MOCK_KEYS, realKeys } from './keys.ts';
import { CONVICTION, ModelChain } from './model-chain.ts';
import { RandomStream } from './random.ts';

/**
 * One simulated network: the real consensus on virtual time, links, disks and faults, with signatures modelled as
 * unforgeable hashes (or real ones). Everything follows from the seed.
 */

export interface Outcome {
  readonly seed: number;
  readonly nodes: number;
  readonly byzantine: number;
  /** What must never happen and did. */
  readonly violation: string | undefined;
  /** What should have happened after the faults healed and did not. */
  readonly stalled: string | undefined;
  readonly virtualMs: number;
  readonly height: number;
  readonly epochs: number;
  /** Hash over all final blocks and the number of events: a replay must give the same. */
  readonly fingerprint: string;
  readonly counters: ReadonlyMap<string, number>;
}

const CHAIN = 'cc'.repeat(32) as ChainId;
const CHAOS_MS = 45_000;
const HEAL_MS = 60_000;
const SLOTS_MAX = 4_000;
/** Syncs slower than a retry: who dies in one must not have repeated what was not on disk. */
const SLOW_SYNC_MS = 1_000;

interface Disk {
  records: Uint8Array[];
  final: FinalPoint;
  finalTransactions: Set<number>;
  abstainEpoch: number | undefined;
}

/** Switches that the mutants turn: each breaks one rule of the harness that real nodes keep. */
export interface Mutation {
  readonly sendBeforeSync?: boolean;
  readonly forgetVotesAtRestart?: boolean;
  readonly ignoreAbstention?: boolean;
  readonly noBoundaryReply?: boolean;
}

export interface SimulateOptions {
  readonly mutation?: Mutation;
  readonly consensus?: typeof Consensus;
  /** Real ECDSA instead of the model of it. */
  readonly realSignatures?: boolean;
  /** Kinds of faults that are left out: for shrinking. */
  readonly without?: ReadonlySet<Fault>;
}

/** What a seed may bring; a shrunk failure names those that it needs. */
export const FAULTS = [
  'loss',
  'duplicates',
  'crashes',
  'partitions',
  'slow disks',
  'clocks',
  'lost logs',
  'power cuts',
  'epochs',
] as const;
export type Fault = (typeof FAULTS)[number];

export function simulate(seed: number, options: SimulateOptions = {}): Outcome {
  const { mutation = {}, without = new Set<Fault>() } = options;
  const ConsensusClass = options.consensus ?? Consensus;
  const keys: Keys = options.realSignatures === true ? realKeys() : MOCK_KEYS;
  const dice = {
    shape: new RandomStream(seed, 'shape'),
    network: new RandomStream(seed, 'network'),
    disk: new RandomStream(seed, 'disk'),
    work: new RandomStream(seed, 'work'),
    faults: new RandomStream(seed, 'faults'),
  };
  const count = dice.shape.pick([1, 4, 4, 4, 7]);
  const followers = dice.shape.whole(0, 2);
  const faulty = Math.floor((count - 1) / 3);
  const byzantineCount = dice.shape.whole(0, faulty);
  const link = {
    minMs: dice.shape.whole(1, 30),
    meanMs: dice.shape.whole(5, 120),
    loss: dice.shape.next() * 0.25 * Number(!without.has('loss')),
    duplicate: dice.shape.next() * 0.2 * Number(!without.has('duplicates')),
  };
  const crashChance = dice.shape.next() * 0.12 * Number(!without.has('crashes'));
  const splitChance = dice.shape.next() * 0.12 * Number(!without.has('partitions'));
  const oneWay = dice.shape.chance(0.5);
  const syncMaxMs = dice.shape.whole(1, 60);
  const slowChance = dice.shape.next() * 0.1 * Number(!without.has('slow disks'));
  const cutChance = dice.shape.next() * 0.03 * Number(!without.has('power cuts'));
  const epochBlocks = dice.shape.pick([undefined, 3, 8, 20]);
  const skewMaxMs = dice.shape.pick([0, 0, 400, 3_000]) * Number(!without.has('clocks'));
  // Who loses its log must abstain and counts as faulty until its epoch ends.
  const logLosses = without.has('lost logs') ? 0 : dice.shape.whole(0, faulty - byzantineCount);

  const misfortune = dice.shape.pick(['lost log', 'old backup'] as const);

  const ids = Array.from({ length: count + followers }, (_, i) => keys.nodeId(i));
  const all: Seat[] = ids.map((nodeId, i) => ({
    seatId: hashId<Hash>(sha256(utf8(`seat ${i}`))),
    nodeId,
    accountId: nodeId as string as AccountId,
  }));
  const chain = new ModelChain(CHAIN, all, count, without.has('epochs') ? undefined : epochBlocks);
  const committees = new Map<number, Committee>([[0, new Committee(CHAIN, 0, all.slice(0, count))]]);
  const boundaries = new Map<number, Certificate>();
  const byzantine = new Set(ids.slice(0, byzantineCount));
  /** Nodes that may lose their log: the last ones, so that they are honest. */
  const forgetful = new Set(ids.slice(0, count).slice(count - logLosses));

  const agenda = new Agenda();
  const counters = new Map<string, number>();
  const bump = (name: string, by = 1): void => void counters.set(name, (counters.get(name) ?? 0) + by);
  let violation: string | undefined;
  const violate = (what: string): void => {
    violation ??= `${what} at ${agenda.nowMs} ms`;
  };

  // ---- what all nodes agree on, as the world sees it
  const finalByHeight = new Map<number, BlockId>();
  const acknowledged = new Set<number>();
  const votes = new Map<string, string>();

  /** Honest nodes whose disk was set back to an older copy. */
  const setBack = new Set<NodeId>();

  /** Every vote that an honest node puts on the wire is held against all it sent before. */
  const watch = (vote: Vote): void => {
    const key = (type: string): string => `${vote.signer}.${vote.epoch}.${vote.view}.${type}`;
    const value = vote.position === undefined ? 'null' : positionKey(vote.position);
    const before = votes.get(key(vote.type));
    votes.set(key(vote.type), value);
    const contradiction =
      before !== undefined && before !== value
        ? `${vote.type} twice in view ${vote.view}`
        : votes.has(key('nullify')) && votes.has(key('finalize'))
          ? `nullify and finalize in view ${vote.view}`
          : undefined;
    if (contradiction === undefined) return;
    // A vote that reached nobody whom it asks, nobody can tell it of: it counts among the faulty.
    if (setBack.has(vote.signer)) bump('contradictions after a restored backup');
    else violate(contradiction);
  };

  // ---- links
  let split: Map<NodeId, number> | undefined;
  let healed = false;
  const reaches = (from: NodeId, to: NodeId): boolean => {
    const a = split?.get(from) ?? 0;
    const b = split?.get(to) ?? 0;
    return split === undefined || a === b || (oneWay && a < b);
  };
  const delay = (): number =>
    link.minMs +
    Math.floor(-Math.log(1 - dice.network.next()) * link.meanMs) +
    (!healed && dice.network.chance(0.01) ? dice.network.whole(100, 3_000) : 0);
  const post = (from: NodeId, to: NodeId, bytes: Uint8Array): void => {
    if (!reaches(from, to) || (!healed && dice.network.chance(link.loss))) return bump('messages lost');
    const deliver = (): void => nodes.get(to)?.receive(from, bytes);
    agenda.at(agenda.nowMs + delay(), deliver);
    if (!healed && dice.network.chance(link.duplicate))
      agenda.at(agenda.nowMs + delay() + dice.network.whole(0, 2_000), deliver);
  };

  class Node {
    readonly id: NodeId;
    disk: Disk;
    #backup: Disk | undefined;
    readonly #misbehaviour: ByzantineNode | undefined;
    /** How far this node's clock is off. */
    skewMs = 0;
    up = true;
    life = 0;
    consensus!: Consensus;
    has = new Set<BlockId>([chain.genesisId]);
    pool = new Set<number>();
    #unsynced: Uint8Array[] = [];
    #wakeMs = Number.POSITIVE_INFINITY;
    #workReported: boolean | undefined;

    constructor(id: NodeId, misbehaviour: ByzantineNode | undefined) {
      this.id = id;
      this.#misbehaviour = misbehaviour;
      const final: FinalPoint = { epoch: 0, view: 0, height: 0, id: chain.genesisId, certificate: undefined };
      this.disk = { records: [], final, finalTransactions: new Set(), abstainEpoch: undefined };
      this.start();
    }

    start(): void {
      const records = mutation.forgetVotesAtRestart === true ? [] : this.disk.records.map(decodeRecord);
      const { epoch, seats } = chain.get(this.disk.final.id).after;
      this.consensus = new ConsensusClass({
        chainId: CHAIN,
        epoch,
        seats,
        self: { nodeId: this.id, sign: (digest) => keys.sign(this.id, digest) },
        final: this.disk.final,
        records,
        abstainEpoch: mutation.ignoreAbstention === true ? undefined : this.disk.abstainEpoch,
        nowMs: this.#nowMs(),
        salt: Number.parseInt(this.id.slice(-4), 16),
        verifier: keys.verifier,
      });
      this.#workReported = undefined;
      this.give({ kind: 'tick' });
      for (const other of nodes.values())
        if (other !== this && other.up && reaches(this.id, other.id)) {
          other.give({ kind: 'peer', nodeId: this.id });
          this.give({ kind: 'peer', nodeId: other.id });
        }
    }

    #nowMs(): number {
      return Math.max(0, agenda.nowMs + this.skewMs);
    }

    crash(): void {
      this.up = false;
      this.life++;
      // A prefix of what was not yet synced may be on disk all the same.
      this.disk.records.push(...this.#unsynced.slice(0, dice.disk.whole(0, this.#unsynced.length)));
      this.#unsynced = [];
      this.#wakeMs = Number.POSITIVE_INFINITY;
      bump('crashes');
    }

    /** Remembers the disk as it is now, for a backup. */
    backUp(): void {
      const { records, final, finalTransactions, abstainEpoch } = this.disk;
      this.#backup = {
        records: [...records],
        final,
        finalTransactions: new Set(finalTransactions),
        abstainEpoch,
      };
    }

    /** Sets the disk back to the backup, as somebody does who copies an old folder over a new one. */
    setBack(): void {
      if (this.#backup === undefined) return;
      this.disk = this.#backup;
      this.#backup = undefined;
      setBack.add(this.id);
      bump('backups restored');
    }

    /** The log is gone; that it was there is known, so the node may not vote in this epoch. */
    loseLog(): void {
      this.disk.records = [];
      this.disk.abstainEpoch = chain.get(this.disk.final.id).after.epoch;
      bump('logs lost');
    }

    restart(): void {
      this.up = true;
      this.pool.clear();
      bump('restarts');
      this.start();
    }

    receive(from: NodeId, bytes: Uint8Array): void {
      if (!this.up) return;
      const message = decodeMessage(bytes);
      if (this.#misbehaviour === undefined) this.give({ kind: 'message', from, message });
      else this.#misbehaviour.receive(message);
    }

    submit(transaction: number): void {
      if (!this.up || this.pool.has(transaction) || this.disk.finalTransactions.has(transaction)) return;
      this.pool.add(transaction);
      for (const other of ids)
        if (other !== this.id) {
          if (reaches(this.id, other) && (healed || !dice.network.chance(link.loss)))
            agenda.at(agenda.nowMs + delay(), () => nodes.get(other)?.submit(transaction));
        }
      this.give({ kind: 'tick' });
    }

    /** Transactions of unfinal ancestors of a block. */
    #pending(id: BlockId): Set<number> {
      const included = new Set<number>();
      for (let at = id; at !== this.disk.final.id; ) {
        const model = chain.get(at);
        if (model.block.header.height <= this.disk.final.height) break;
        for (const transaction of model.transactions) included.add(transaction);
        at = model.block.header.parentId;
      }
      return included;
    }

    #includable(parentId: BlockId): number[] {
      if (this.pool.size === 0) return [];
      const included = this.#pending(parentId);
      return [...this.pool].filter(
        (transaction) => !included.has(transaction) && !this.disk.finalTransactions.has(transaction),
      );
    }

    give(event: ConsensusEvent): void {
      if (!this.up || violation !== undefined) return;
      this.#carryOut(this.consensus.step(event, this.#nowMs()));
      if (this.consensus.openViews > SLOTS_MAX) violate('open views without bound');
      const work = this.#includable(this.consensus.tipId).length > 0;
      if (work !== this.#workReported) {
        this.#workReported = work;
        return this.give({ kind: 'work', work });
      }
      const wake = this.consensus.nextWakeMs();
      const wakeMs = wake === undefined ? undefined : wake - this.skewMs;
      if (wakeMs === undefined || wakeMs >= this.#wakeMs) return;
      this.#wakeMs = wakeMs;
      const { life } = this;
      agenda.at(wakeMs, () => {
        if (this.life !== life || this.#wakeMs !== wakeMs) return;
        this.#wakeMs = Number.POSITIVE_INFINITY;
        this.give({ kind: 'tick' });
      });
    }

    #carryOut(effects: readonly Effect[]): void {
      for (const effect of effects) {
        switch (effect.kind) {
          case 'append':
            this.#unsynced.push(encodeRecord(effect.record));
            if (effect.record.kind === 'vote') bump(`votes ${effect.record.vote.type}`);
            break;
          case 'sync':
            this.#sync(effect.sequence);
            break;
          case 'send':
            this.#send(effect.to, effect.message);
            break;
          case 'send-boundary': {
            const certificate = boundaries.get(effect.epoch);
            if (certificate === undefined || mutation.noBoundaryReply === true) break;
            bump('boundary replies');
            post(this.id, effect.to, encodeMessage({ kind: 'certificate', certificate }));
            break;
          }
          case 'build':
            this.#later(dice.disk.whole(0, 3), () => this.#build(effect.view, effect.parentId));
            break;
          case 'execute':
            this.#fetch(effect.blockId, effect.from);
            break;
          case 'commit':
            this.#commit(effect.position.blockId, effect.certificate);
            break;
          case 'epoch':
            bump('epochs begun');
            break;
          case 'evidence':
            this.#accuse(effect.first.signer);
            break;
          case 'blame':
            bump('blame');
            if (!byzantine.has(effect.peer)) violate(`an honest peer is blamed: ${effect.reason}`);
            break;
          case 'abstain':
            this.disk.abstainEpoch = effect.epoch;
            bump('abstentions');
            break;
          case 'halt':
            violate(`a node halted: ${effect.reason}`);
            break;
          default:
            effect satisfies never;
        }
      }
    }

    #later(ms: number, run: () => void): void {
      const { life } = this;
      agenda.at(agenda.nowMs + ms, () => this.life === life && run());
    }

    #sync(sequence: number): void {
      const batch = [...this.#unsynced];
      const syncMs = dice.disk.whole(1, syncMaxMs) * (!healed && dice.disk.chance(slowChance) ? 40 : 1);
      // The worst moment to die: between saying a thing and having it on disk.
      if (!healed && dice.disk.chance(crashChance * (syncMs > SLOW_SYNC_MS ? 2 : 0.05)))
        this.#later(dice.disk.whole(0, syncMs), () => this.up && !healed && this.crash());
      const store = (): void => {
        this.#unsynced = this.#unsynced.filter((record) => !batch.includes(record));
        this.disk.records.push(...batch);
      };
      const tell = (): void => this.give({ kind: 'synced', sequence });
      if (mutation.sendBeforeSync === true) this.#later(0, tell);
      this.#later(syncMs, () => {
        store();
        if (mutation.sendBeforeSync !== true) tell();
      });
    }

    #accuse(culprit: NodeId): void {
      bump('evidence');
      if (!byzantine.has(culprit) && !setBack.has(culprit)) violate('evidence against an honest node');
      this.submit(CONVICTION + ids.indexOf(culprit));
    }

    #send(to: 'members' | 'all' | NodeId, message: ConsensusMessage): void {
      if (message.kind === 'vote') watch(message.vote);
      if (message.kind === 'proposal') {
        const { epoch, position, signature } = message;
        watch({ type: 'notarize', epoch, view: position.view, position, signer: this.id, signature });
        if (message.header.view !== position.view) bump('proposed again');
      }
      if (message.kind === 'get-certificates') bump('gap repairs');
      if (message.kind === 'echo') bump('echoes');
      const bytes = encodeMessage(message);
      const members = this.consensus.committee.seats.map((seat) => seat.nodeId);
      const targets = to === 'all' ? ids : to === 'members' ? members : [to];
      for (const target of targets) if (target !== this.id) post(this.id, target, bytes);
    }

    #build(view: number, parentId: BlockId): void {
      const transactions = this.#includable(parentId).slice(0, 20);
      if (transactions.length === 0) return this.give({ kind: 'built', view, built: undefined });
      const { epoch } = this.consensus.committee;
      const id = chain.add(parentId, { proposer: this.id, epoch, view, nowMs: this.#nowMs() }, transactions);
      this.has.add(id);
      const { block, nextSeats } = chain.get(id);
      this.give({ kind: 'built', view, built: { block, transactionIds: [], nextSeats } });
    }

    /** Gets a block and its ancestors from peers that have them, then executes: known transactions may not come again. */
    #fetch(id: BlockId, from: readonly NodeId[]): void {
      const missing: BlockId[] = [];
      for (let at = id; !this.has.has(at); at = chain.header(at).parentId) missing.push(at);
      const sources = [...from, ...ids].filter(
        (peer) =>
          peer !== this.id &&
          nodes.get(peer)?.up === true &&
          reaches(peer, this.id) &&
          reaches(this.id, peer) &&
          missing.every((one) => nodes.get(peer)?.has.has(one)),
      );
      if (missing.length > 0 && (sources.length === 0 || (!healed && dice.network.chance(link.loss)))) {
        this.#later(300, () => this.up && this.#fetch(id, from));
        return;
      }
      this.#later(missing.length > 0 ? 2 * delay() : 1, () => {
        for (const one of missing) this.has.add(one);
        const valid = this.#isValid(id);
        if (!valid) bump('invalid blocks refused');
        const { block, nextSeats } = chain.get(id);
        const executed = valid ? { header: block.header, nextSeats } : undefined;
        this.give({ kind: 'verdict', blockId: id, executed });
      });
    }

    /** A block is valid when it and its unfinal ancestors are. */
    #isValid(id: BlockId): boolean {
      const { fits, transactions, block } = chain.get(id);
      if (id === this.disk.final.id) return true;
      if (block.header.height <= this.disk.final.height) return finalByHeight.get(block.header.height) === id;
      const before = this.#pending(block.header.parentId);
      const repeated = transactions.some(
        (transaction) => before.has(transaction) || this.disk.finalTransactions.has(transaction),
      );
      return fits && !repeated && this.#isValid(block.header.parentId);
    }

    #commit(id: BlockId, certificate: Certificate): void {
      const path: BlockId[] = [];
      for (let at = id; at !== this.disk.final.id; ) {
        const header = chain.header(at);
        if (header.height <= this.disk.final.height)
          return violate('a final block does not extend the final chain');
        path.unshift(at);
        at = header.parentId;
      }
      for (const one of path) {
        const { block, transactions } = chain.get(one);
        const known = finalByHeight.get(block.header.height);
        if (known !== undefined && known !== one)
          violate(`two final blocks at height ${block.header.height}`);
        finalByHeight.set(block.header.height, one);
        for (const transaction of transactions) {
          if (this.disk.finalTransactions.has(transaction)) violate('a transaction became final twice');
          this.disk.finalTransactions.add(transaction);
          this.pool.delete(transaction);
          acknowledged.add(transaction);
          if (transaction >= CONVICTION) bump('convictions');
        }
      }
      bump('blocks committed', path.length);
      const { block, nextSeats, after } = chain.get(id);
      const { epoch, view } = certificate;
      if (nextSeats !== undefined) {
        boundaries.set(epoch, certificate);
        committees.set(after.epoch, new Committee(CHAIN, after.epoch, nextSeats));
      }
      this.disk.final = { epoch, view, height: block.header.height, id, certificate };
      this.disk.records = this.disk.records.filter((bytes) => {
        const record = recordPlace(decodeRecord(bytes));
        return record.epoch > epoch || (record.epoch === epoch && record.view > view);
      });
    }
  }

  const nodes = new Map<NodeId, Node>();
  const surroundings = {
    chain,
    keys,
    dice: dice.faults,
    ids,
    nowMs: () => agenda.nowMs,
    committee: (epoch: number) => committees.get(epoch),
    acknowledged: () => [...acknowledged][0],
    post,
    bump,
    holds: (node: NodeId, block: BlockId) => void nodes.get(node)?.has.add(block),
  };
  for (const [i, id] of ids.entries())
    nodes.set(
      id,
      new Node(id, byzantine.has(id) ? new ByzantineNode(id, surroundings, seed + i) : undefined),
    );
  const honest = [...nodes.values()].filter((node) => !byzantine.has(node.id));
  for (const node of honest) node.skewMs = dice.shape.whole(-skewMaxMs, skewMaxMs);

  // ---- work and faults
  const submitted: number[] = [];
  const submit = (): void => {
    if (healed) return;
    for (let n = dice.work.whole(1, 3); n > 0; n--) {
      const transaction = submitted.length + 1;
      submitted.push(transaction);
      dice.work.pick(honest).submit(transaction);
    }
    agenda.at(
      agenda.nowMs + (dice.work.chance(0.2) ? dice.work.whole(2_000, 12_000) : dice.work.whole(20, 1_500)),
      submit,
    );
  };
  agenda.at(10, submit);
  const lost = new Set<NodeId>();
  const harm = (): void => {
    if (healed) return;
    for (const node of honest) {
      if (misfortune === 'old backup' && forgetful.has(node.id) && dice.faults.chance(0.1)) node.backUp();
      if (node.up && dice.faults.chance(crashChance)) node.crash();
      else if (!node.up && dice.faults.chance(0.4)) {
        if (forgetful.has(node.id) && !lost.has(node.id)) {
          lost.add(node.id);
          if (misfortune === 'lost log') node.loseLog();
          else node.setBack();
        }
        node.restart();
      }
      if (skewMaxMs > 0 && dice.faults.chance(0.02)) node.skewMs = dice.faults.whole(-skewMaxMs, skewMaxMs);
    }
    if (dice.faults.chance(cutChance)) {
      for (const node of honest) if (node.up) node.crash();
      bump('power cuts');
    }
    if (split === undefined && dice.faults.chance(splitChance)) {
      split = new Map(ids.map((id) => [id, dice.faults.whole(0, 1)]));
      bump('partitions');
    } else if (split !== undefined && dice.faults.chance(0.3)) split = undefined;
    agenda.at(agenda.nowMs + 1_000, harm);
  };
  agenda.at(1_000, harm);
  agenda.at(CHAOS_MS, () => {
    healed = true;
    split = undefined;
    for (const node of honest) {
      node.skewMs = 0;
      if (!node.up) node.restart();
    }
    // Clients repeat themselves until they are answered.
    for (const transaction of submitted)
      for (const node of honest)
        if (!acknowledged.has(transaction))
          agenda.at(agenda.nowMs + dice.work.whole(0, 2_000), () => node.submit(transaction));
  });

  const settled = (): boolean =>
    submitted.every((transaction) => acknowledged.has(transaction)) &&
    honest.every((node) => node.disk.final.height === finalByHeight.size);
  let quietSinceMs: number | undefined;
  let quietHeight = 0;
  for (let n = 0; violation === undefined && agenda.nowMs < CHAOS_MS + HEAL_MS; n++) {
    if (!agenda.step()) break;
    if (!healed || n % 64 !== 0) continue;
    if (!settled()) quietSinceMs = undefined;
    else if (quietSinceMs === undefined) {
      quietSinceMs = agenda.nowMs;
      quietHeight = finalByHeight.size;
    } else if (agenda.nowMs - quietSinceMs > 8_000) break;
  }
  if (
    violation === undefined &&
    quietSinceMs !== undefined &&
    byzantineCount === 0 &&
    finalByHeight.size !== quietHeight
  )
    violate('an idle ledger made blocks');
  const missing = submitted.filter((transaction) => !acknowledged.has(transaction)).length;
  const stalled =
    violation !== undefined || settled()
      ? undefined
      : `${missing} of ${submitted.length} transactions are not final, heights ${honest.map((node) => node.disk.final.height).join(' ')} of ${finalByHeight.size}`;
  const fingerprint = toHex(
    sha256(utf8([...finalByHeight.values()].join(',')), utf8(String(agenda.steps))),
  ).slice(0, 16);
  return {
    seed,
    nodes: count,
    byzantine: byzantineCount,
    violation,
    stalled,
    virtualMs: agenda.nowMs,
    height: finalByHeight.size,
    epochs: committees.size,
    fingerprint,
    counters,
  };
}

function recordPlace(record: LogRecord): { epoch: number; view: number } {
  return record.kind === 'vote' ? record.vote : record.certificate;
}
