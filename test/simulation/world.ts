import { type Block, type BlockHeader, blockIdOf } from '../../ledger/block.ts';
import { concat, toHex, utf8 } from '../../ledger/bytes.ts';
import type { Committee } from '../../ledger/consensus/committee.ts';
import { Committee as RealCommittee } from '../../ledger/consensus/committee.ts';
import {
  Consensus,
  type ConsensusEvent,
  type Effect,
  type FinalPoint,
} from '../../ledger/consensus/consensus.ts';
import {
  type Certificate,
  type ConsensusMessage,
  decodeMessage,
  decodeRecord,
  encodeMessage,
  encodeRecord,
  type LogRecord,
  positionKey,
  type Vote,
} from '../../ledger/consensus/messages.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { Seat } from '../../ledger/genesis.ts';
import {
  type AccountId,
  type BlockId,
  type ChainId,
  type Hash,
  hashId,
  idBytes,
  type NodeId,
  ZERO_HASH,
} from '../../ledger/ids.ts';
import { Agenda } from './agenda.ts';
import { RandomStream } from './random.ts';

/**
 * One simulated network: the real consensus on virtual time, links, disks and faults, with signatures modelled as
 * unforgeable hashes. Everything follows from the seed.
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
  /** Hash over all final blocks and the number of events: a replay must give the same. */
  readonly fingerprint: string;
  readonly counters: ReadonlyMap<string, number>;
}

const CHAIN = 'cc'.repeat(32) as ChainId;
const CHAOS_MS = 45_000;
const HEAL_MS = 60_000;
const SLOTS_MAX = 4_000;

/** Unforgeable in the model: only the owner of a key is asked to sign. */
function mockSign(nodeId: NodeId, digest: Uint8Array): Uint8Array {
  const half = sha256(utf8('mock'), idBytes(nodeId), digest);
  return concat(half, half);
}

/** A block of the model: a header that names its transactions in the field of their root. */
interface ModelBlock {
  readonly block: Block;
  readonly transactions: readonly number[];
}

interface Disk {
  records: Uint8Array[];
  final: FinalPoint;
  finalTransactions: Set<number>;
}

/** Switches that the mutants turn: each breaks one rule of the harness that real nodes keep. */
export interface Mutation {
  readonly sendBeforeSync?: boolean;
  readonly forgetVotesAtRestart?: boolean;
}

export function simulate(
  seed: number,
  mutation: Mutation = {},
  ConsensusClass: typeof Consensus = Consensus,
): Outcome {
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
    loss: dice.shape.next() * 0.25,
    duplicate: dice.shape.next() * 0.2,
  };
  const crashChance = dice.shape.next() * 0.12;
  const splitChance = dice.shape.next() * 0.12;
  const oneWay = dice.shape.chance(0.5);
  const syncMaxMs = dice.shape.whole(1, 60);
  const slowChance = dice.shape.next() * 0.1;

  const ids = Array.from(
    { length: count + followers },
    (_, i) => `02${toHex(sha256(utf8(`node ${i}`)))}` as NodeId,
  );
  const seats: Seat[] = ids.slice(0, count).map((nodeId, i) => ({
    seatId: hashId<Hash>(sha256(utf8(`seat ${i}`))),
    nodeId,
    accountId: nodeId as string as AccountId,
  }));
  const committee: Committee = new RealCommittee(CHAIN, 0, seats);
  const byzantine = new Set(ids.slice(0, byzantineCount));
  const verifier = (signature: Uint8Array, digest: Uint8Array, signer: NodeId): boolean =>
    toHex(signature) === toHex(mockSign(signer, digest));

  const agenda = new Agenda();
  const counters = new Map<string, number>();
  const bump = (name: string, by = 1): void => void counters.set(name, (counters.get(name) ?? 0) + by);
  let violation: string | undefined;
  const violate = (what: string): void => {
    violation ??= `${what} at ${agenda.nowMs} ms`;
  };

  // ---- what all nodes agree on, as the world sees it
  const genesisHeader: BlockHeader = {
    chainId: CHAIN,
    epoch: 0,
    view: 0,
    height: 0,
    parentId: ZERO_HASH as string as BlockId,
    timestampMs: 0,
    proposer: ids[0] as NodeId,
    txRoot: ZERO_HASH,
    stateRoot: ZERO_HASH,
    nextCommitteeHash: ZERO_HASH,
  };
  const genesisId = blockIdOf(genesisHeader);
  const blocks = new Map<BlockId, ModelBlock>([
    [genesisId, { block: { header: genesisHeader, transactions: [] }, transactions: [] }],
  ]);
  const finalByHeight = new Map<number, BlockId>();
  const acknowledged = new Set<number>();
  const votes = new Map<string, string>();

  /** Every vote that an honest node puts on the wire is held against all it sent before. */
  const watch = (vote: Vote): void => {
    const key = (type: string): string => `${vote.signer}.${vote.view}.${type}`;
    const value = vote.position === undefined ? 'null' : positionKey(vote.position);
    const before = votes.get(key(vote.type));
    if (before !== undefined && before !== value) violate(`${vote.type} twice in view ${vote.view}`);
    votes.set(key(vote.type), value);
    if (votes.has(key('nullify')) && votes.has(key('finalize')))
      violate(`nullify and finalize in view ${vote.view}`);
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
    readonly disk: Disk;
    up = true;
    life = 0;
    consensus!: Consensus;
    has = new Set<BlockId>([genesisId]);
    pool = new Set<number>();
    #unsynced: Uint8Array[] = [];
    #wakeMs = Number.POSITIVE_INFINITY;
    #workReported: boolean | undefined;

    constructor(id: NodeId) {
      this.id = id;
      const final: FinalPoint = { epoch: 0, view: 0, height: 0, id: genesisId, certificate: undefined };
      this.disk = { records: [], final, finalTransactions: new Set() };
      this.start();
    }

    start(): void {
      const records = mutation.forgetVotesAtRestart === true ? [] : this.disk.records.map(decodeRecord);
      this.consensus = new ConsensusClass({
        chainId: CHAIN,
        epoch: 0,
        seats,
        self: { nodeId: this.id, sign: (digest) => mockSign(this.id, digest) },
        final: this.disk.final,
        records,
        nowMs: agenda.nowMs,
        salt: Number.parseInt(this.id.slice(-4), 16),
        verifier,
      });
      this.#workReported = undefined;
      this.give({ kind: 'tick' });
      for (const other of nodes.values())
        if (other !== this && other.up && reaches(this.id, other.id)) {
          other.give({ kind: 'peer', nodeId: this.id });
          this.give({ kind: 'peer', nodeId: other.id });
        }
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

    restart(): void {
      this.up = true;
      this.pool.clear();
      bump('restarts');
      this.start();
    }

    receive(from: NodeId, bytes: Uint8Array): void {
      if (!this.up) return;
      if (byzantine.has(this.id)) return misbehave(this, from, decodeMessage(bytes));
      this.give({ kind: 'message', from, message: decodeMessage(bytes) });
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
        const model = blocks.get(at);
        if (model === undefined || model.block.header.height <= this.disk.final.height) break;
        for (const transaction of model.transactions) included.add(transaction);
        at = model.block.header.parentId;
      }
      return included;
    }

    #includable(parentId: BlockId): number[] {
      const included = this.#pending(parentId);
      return [...this.pool].filter(
        (transaction) => !included.has(transaction) && !this.disk.finalTransactions.has(transaction),
      );
    }

    give(event: ConsensusEvent): void {
      if (!this.up || violation !== undefined) return;
      this.#carryOut(this.consensus.step(event, agenda.nowMs));
      if (this.consensus.openViews > SLOTS_MAX) violate('open views without bound');
      const work = this.#includable(this.consensus.tipId).length > 0;
      if (work !== this.#workReported) {
        this.#workReported = work;
        return this.give({ kind: 'work', work });
      }
      const wakeMs = this.consensus.nextWakeMs();
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
      const { life } = this;
      const later = (ms: number, run: () => void): void =>
        agenda.at(agenda.nowMs + ms, () => this.life === life && run());
      for (const effect of effects) {
        switch (effect.kind) {
          case 'append':
            this.#unsynced.push(encodeRecord(effect.record));
            if (effect.record.kind === 'vote') bump(`votes ${effect.record.vote.type}`);
            break;
          case 'sync': {
            const batch = [...this.#unsynced];
            const syncMs = dice.disk.whole(1, syncMaxMs) * (!healed && dice.disk.chance(slowChance) ? 40 : 1);
            // The worst moment to die: between saying a thing and having it on disk.
            if (!healed && dice.disk.chance(crashChance * 0.05)) {
              later(dice.disk.whole(0, syncMs), () => this.up && !healed && this.crash());
            }
            const done = (): void => {
              this.#unsynced = this.#unsynced.filter((record) => !batch.includes(record));
              this.disk.records.push(...batch);
              this.give({ kind: 'synced', sequence: effect.sequence });
            };
            if (mutation.sendBeforeSync === true) {
              later(0, () => this.give({ kind: 'synced', sequence: effect.sequence }));
              later(syncMs, () => {
                this.#unsynced = this.#unsynced.filter((record) => !batch.includes(record));
                this.disk.records.push(...batch);
              });
            } else later(syncMs, done);
            break;
          }
          case 'send':
            this.#send(effect.to, effect.message);
            break;
          case 'build':
            later(dice.disk.whole(0, 3), () => this.#build(effect.view, effect.parentId));
            break;
          case 'execute':
            this.#fetch(effect.blockId, effect.from);
            break;
          case 'commit':
            this.#commit(effect.position.blockId, effect.certificate);
            break;
          case 'halt':
            violate(`a node halted: ${effect.reason}`);
            break;
          default:
            effect satisfies never;
        }
      }
    }

    #send(to: 'members' | 'all' | NodeId, message: ConsensusMessage): void {
      if (message.kind === 'vote') watch(message.vote);
      if (message.kind === 'proposal') {
        watch({
          type: 'notarize',
          epoch: 0,
          view: message.position.view,
          position: message.position,
          signer: this.id,
          signature: message.signature,
        });
        if (message.header.view !== message.position.view) bump('proposed again');
      }
      if (message.kind === 'get-certificates') bump('gap repairs');
      const bytes = encodeMessage(message);
      const targets = to === 'all' ? ids : to === 'members' ? seats.map((seat) => seat.nodeId) : [to];
      for (const target of targets) if (target !== this.id) post(this.id, target, bytes);
    }

    #build(view: number, parentId: BlockId): void {
      const parent = blocks.get(parentId)?.block.header as BlockHeader;
      const transactions = this.#includable(parentId).slice(0, 20);
      if (transactions.length === 0)
        return this.give({ kind: 'built', view, block: undefined, transactionIds: [] });
      const id = addBlock(this.id, view, parent, transactions);
      this.has.add(id);
      this.give({ kind: 'built', view, block: blocks.get(id)?.block, transactionIds: [] });
    }

    /** Gets a block and its ancestors from peers that have them, then executes: known transactions may not come again. */
    #fetch(id: BlockId, from: readonly NodeId[]): void {
      const { life } = this;
      const missing: BlockId[] = [];
      for (let at = id; !this.has.has(at); ) {
        missing.push(at);
        at = blocks.get(at)?.block.header.parentId as BlockId;
      }
      const sources = [...from, ...ids].filter(
        (peer) =>
          peer !== this.id &&
          nodes.get(peer)?.up === true &&
          reaches(peer, this.id) &&
          reaches(this.id, peer) &&
          missing.every((one) => nodes.get(peer)?.has.has(one)),
      );
      const retry = (): void =>
        agenda.at(agenda.nowMs + 300, () => this.life === life && this.up && this.#fetch(id, from));
      if (missing.length > 0 && (sources.length === 0 || (!healed && dice.network.chance(link.loss))))
        return retry();
      agenda.at(agenda.nowMs + (missing.length > 0 ? 2 * delay() : 1), () => {
        if (this.life !== life || !this.up) return;
        for (const one of missing) this.has.add(one);
        const model = blocks.get(id) as ModelBlock;
        const before = this.#pending(model.block.header.parentId);
        const repeated = model.transactions.some(
          (transaction) =>
            before.has(transaction) ||
            (this.disk.finalTransactions.has(transaction) &&
              model.block.header.height > this.disk.final.height),
        );
        if (repeated) bump('invalid blocks refused');
        this.give({ kind: 'verdict', blockId: id, valid: !repeated });
      });
    }

    #commit(id: BlockId, certificate: Certificate): void {
      const chain: BlockId[] = [];
      for (let at = id; at !== this.disk.final.id; ) {
        const header = blocks.get(at)?.block.header;
        if (header === undefined || header.height <= this.disk.final.height)
          return violate('a final block does not extend the final chain');
        chain.unshift(at);
        at = header.parentId;
      }
      for (const one of chain) {
        const { block, transactions } = blocks.get(one) as ModelBlock;
        const known = finalByHeight.get(block.header.height);
        if (known !== undefined && known !== one)
          violate(`two final blocks at height ${block.header.height}`);
        finalByHeight.set(block.header.height, one);
        for (const transaction of transactions) {
          if (this.disk.finalTransactions.has(transaction)) violate('a transaction became final twice');
          this.disk.finalTransactions.add(transaction);
          this.pool.delete(transaction);
          acknowledged.add(transaction);
        }
      }
      bump('blocks committed', chain.length);
      const height = blocks.get(id)?.block.header.height as number;
      this.disk.final = { epoch: 0, view: certificate.view, height, id, certificate };
      this.disk.records = this.disk.records.filter(
        (bytes) => recordView(decodeRecord(bytes)) > certificate.view,
      );
    }
  }

  let nonce = 0;
  const addBlock = (
    proposer: NodeId,
    view: number,
    parent: BlockHeader,
    transactions: readonly number[],
  ): BlockId => {
    const header: BlockHeader = {
      chainId: CHAIN,
      epoch: 0,
      view,
      height: parent.height + 1,
      parentId: blockIdOf(parent),
      timestampMs: Math.max(agenda.nowMs, parent.timestampMs + 1),
      proposer,
      txRoot: hashId<Hash>(sha256(utf8(`${nonce++} ${transactions.join(' ')}`))),
      stateRoot: ZERO_HASH,
      nextCommitteeHash: ZERO_HASH,
    };
    const id = blockIdOf(header);
    blocks.set(id, { block: { header, transactions: [] }, transactions });
    return id;
  };

  // ---- Byzantine members: votes for everything, to some; equivocating proposals; silence
  const seen = new Map<NodeId, Set<string>>();
  const certificates: Certificate[] = [];
  const misbehave = (node: Node, _from: NodeId, message: ConsensusMessage): void => {
    const mode = (seed + ids.indexOf(node.id)) % 3;
    if (mode === 0) return;
    const known = seen.get(node.id) ?? new Set<string>();
    seen.set(node.id, known);
    const once = (key: string): boolean => !known.has(key) && known.add(key) !== undefined;
    const vote = (type: Vote['type'], view: number, position: Vote['position']): void => {
      const signature = mockSign(node.id, committee.digest(type, view, position));
      for (const { nodeId } of seats) {
        if (nodeId !== node.id && dice.faults.chance(0.6))
          post(
            node.id,
            nodeId,
            encodeMessage({
              kind: 'vote',
              vote: { type, epoch: 0, view, position, signer: node.id, signature },
            }),
          );
      }
    };
    if (message.kind === 'certificate') certificates.push(message.certificate);
    if (message.kind === 'proposal' && message.parentCertificate !== undefined)
      certificates.push(message.parentCertificate);
    const position =
      message.kind === 'proposal'
        ? message.position
        : message.kind === 'vote'
          ? message.vote.position
          : undefined;
    const view = position?.view ?? (message.kind === 'vote' ? message.vote.view : undefined);
    if (view === undefined) return;
    if (position !== undefined && once(positionKey(position))) {
      vote('notarize', view, position);
      vote('finalize', view, position);
      bump('double votes');
    }
    if (once(`null ${view}`)) vote('nullify', view, undefined);
    for (const next of [view, view + 1]) {
      if (mode !== 2 || committee.leader(next) !== node.id || !once(`lead ${next}`)) continue;
      const parents = certificates
        .filter((certificate) => certificate.position !== undefined && certificate.view < next)
        .slice(-4);
      for (const { nodeId } of seats) {
        const parent = parents.length === 0 ? undefined : dice.faults.pick(parents);
        const parentHeader =
          parent?.position === undefined ? genesisHeader : blocks.get(parent.position.blockId)?.block.header;
        if (nodeId === node.id || parentHeader === undefined) continue;
        const id = addBlock(
          node.id,
          next,
          parentHeader,
          dice.faults.chance(0.3) && acknowledged.size > 0 ? [[...acknowledged][0] as number] : [-nonce - 1],
        );
        const own = {
          view: next,
          parentView: parent?.view ?? 0,
          height: parentHeader.height + 1,
          blockId: id,
        };
        node.has.add(id);
        post(
          node.id,
          nodeId,
          encodeMessage({
            kind: 'proposal',
            epoch: 0,
            position: own,
            header: (blocks.get(id) as ModelBlock).block.header,
            transactionIds: [],
            parentCertificate: parent,
            nullifications: certificates.filter((one) => one.type === 'nullify').slice(-8),
            signature: mockSign(node.id, committee.digest('notarize', next, own)),
          }),
        );
        bump('equivocating proposals');
      }
    }
  };

  const nodes = new Map<NodeId, Node>();
  for (const id of ids) nodes.set(id, new Node(id));
  const honest = [...nodes.values()].filter((node) => !byzantine.has(node.id));

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
  const harm = (): void => {
    if (healed) return;
    for (const node of honest) {
      if (node.up && dice.faults.chance(crashChance)) node.crash();
      else if (!node.up && dice.faults.chance(0.4)) node.restart();
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
    for (const node of honest) if (!node.up) node.restart();
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
    fingerprint,
    counters,
  };
}

function recordView(record: LogRecord): number {
  return record.kind === 'vote' ? record.vote.view : record.certificate.view;
}
