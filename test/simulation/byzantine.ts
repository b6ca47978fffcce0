import type { BlockHeader } from '../../ledger/block.ts';
import type { Committee } from '../../ledger/consensus/committee.ts';
import type { ConsensusMessage } from '../../ledger/consensus/messages.ts';
import { type Certificate, type Position, positionKey, type Vote } from '../../ledger/consensus/votes.ts';
import type { BlockId, NodeId, TransactionId } from '../../ledger/ids.ts';
import type { Agenda } from './agenda.ts';
import type { Keys } from './keys.ts';
import type { RandomStream } from './random.ts';

/**
 * Members that do not keep to the protocol. They cannot forge a signature; all else they may: stay silent, vote for
 * everything, tell each something different, propose on any parent, too late, or what nobody can get, hand out certificates
 * to some, speak of old epochs, make up certificates.
 */

const CERTIFICATES_KEPT = 64;

/** Where a misbehaving member gets its blocks from. */
export interface ByzantineChain {
  readonly genesisId: BlockId;
  /** Blocks made so far. */
  readonly made: number;
  header(id: BlockId): BlockHeader;
  transactionIds(id: BlockId): readonly TransactionId[];
  add(
    parentId: BlockId,
    at: { proposer: NodeId; epoch: number; view: number; nowMs: number },
    transactions: readonly number[],
  ): BlockId;
}

/** What a misbehaving member sees of its world. */
export interface ByzantineSurroundings {
  readonly chain: ByzantineChain;
  readonly keys: Pick<Keys, 'sign'>;
  readonly dice: RandomStream;
  readonly ids: readonly NodeId[];
  readonly agenda: Agenda;
  /** The time that its blocks bear. */
  nowMs(): number;
  /** The committee of an epoch, once it is final. */
  committee(epoch: number): Committee | undefined;
  acknowledged(): number | undefined;
  post(from: NodeId, to: NodeId, message: ConsensusMessage): void;
  count(name: string): void;
  /** A block that it made is at hand for whoever asks it. */
  holds(node: NodeId, block: BlockId): void;
}

const HABITS = [
  'silent',
  'votes for all',
  'equivocates',
  'skips views',
  'invalid blocks',
  'hides certificates',
  'proposes late',
  'withholds blocks',
  'makes up certificates',
] as const;

export class ByzantineNode {
  readonly #id: NodeId;
  readonly #world: ByzantineSurroundings;
  readonly #habit: (typeof HABITS)[number];
  readonly #done = new Set<string>();
  readonly #certificates: Certificate[] = [];

  constructor(id: NodeId, world: ByzantineSurroundings, choice: number) {
    this.#id = id;
    this.#world = world;
    this.#habit = HABITS[choice % HABITS.length] as (typeof HABITS)[number];
  }

  #once(key: string): boolean {
    if (this.#done.has(key)) return false;
    this.#done.add(key);
    return true;
  }

  #tell(message: ConsensusMessage, chance: number): void {
    for (const to of this.#world.ids)
      if (to !== this.#id && this.#world.dice.chance(chance)) this.#world.post(this.#id, to, message);
  }

  #vote(committee: Committee, type: Vote['type'], view: number, position: Position | undefined): void {
    if (committee.indexOf(this.#id) === undefined) return;
    const signature = this.#world.keys.sign(this.#id, committee.digest(type, view, position));
    const { epoch } = committee;
    this.#tell({ kind: 'vote', vote: { type, epoch, view, position, signer: this.#id, signature } }, 0.6);
  }

  receive(message: ConsensusMessage): void {
    if (this.#habit === 'silent') return;
    this.#collect(message);
    const vote = message.kind === 'vote' ? message.vote : undefined;
    const position = message.kind === 'proposal' ? message.position : vote?.position;
    const view = position?.view ?? vote?.view;
    const epoch = message.kind === 'proposal' ? message.epoch : vote?.epoch;
    const committee = epoch === undefined ? undefined : this.#world.committee(epoch);
    if (view === undefined || committee === undefined) return;
    if (position !== undefined && this.#once(`${epoch} ${positionKey(position)}`)) {
      this.#vote(committee, 'notarize', view, position);
      this.#vote(committee, 'finalize', view, position);
      this.#world.count('double votes');
    }
    if (this.#once(`${epoch} null ${view}`)) this.#vote(committee, 'nullify', view, undefined);
    if (this.#habit === 'votes for all') return;
    for (const next of [view, view + 1])
      if (committee.leader(next) === this.#id && this.#once(`${epoch} lead ${next}`))
        this.#lead(committee, next);
  }

  /** Certificates are gold: they are told to some, and old ones are told again. */
  #collect(message: ConsensusMessage): void {
    const found: (Certificate | undefined)[] = [];
    if (message.kind === 'certificate') found.push(message.certificate);
    if (message.kind === 'proposal') found.push(message.parentCertificate, ...message.nullifications);
    if (message.kind === 'status') found.push(message.entry, message.finalization);
    for (const certificate of found) {
      if (certificate === undefined) continue;
      const { epoch, type, view } = certificate;
      if (!this.#once(`certificate ${epoch} ${type} ${view}`)) continue;
      this.#certificates.push(certificate);
      if (this.#certificates.length > CERTIFICATES_KEPT) this.#certificates.shift();
      if (this.#habit === 'hides certificates') this.#tell({ kind: 'certificate', certificate }, 0.3);
      if (this.#habit === 'makes up certificates') this.#makeUp(certificate);
    }
    if (
      this.#habit === 'hides certificates' &&
      this.#certificates.length > 0 &&
      this.#world.dice.chance(0.05)
    ) {
      this.#tell({ kind: 'certificate', certificate: this.#world.dice.pick(this.#certificates) }, 0.5);
      this.#world.count('stale certificates');
    }
  }

  /** Something like a certificate that no quorum signed. */
  #makeUp(certificate: Certificate): void {
    const { bitmap, position, signatures, view } = certificate;
    const moved = position && { ...position, view: view + 1 };
    const junk: readonly Certificate[] = [
      { ...certificate, signatures: signatures.slice(1) },
      { ...certificate, signatures: signatures.map((signature) => signature.toReversed()) },
      { ...certificate, bitmap: bitmap.map((byte) => byte & (byte - 1)), signatures: signatures.slice(1) },
      { ...certificate, view: view + 1, position: moved },
      { ...certificate, epoch: certificate.epoch + 1 },
    ];
    this.#tell({ kind: 'certificate', certificate: this.#world.dice.pick(junk) }, 0.3);
    this.#world.count('made-up certificates');
  }

  /** As a leader: another block on another parent to each, some of them justified badly or invalid. */
  #lead(committee: Committee, view: number): void {
    const { agenda, dice, chain, keys, ids } = this.#world;
    const { epoch } = committee;
    const notarized = this.#certificates.filter(
      (certificate) =>
        certificate.epoch === epoch && certificate.position !== undefined && certificate.view < view,
    );
    const nullified = this.#certificates.filter(
      (certificate) => certificate.epoch === epoch && certificate.type === 'nullify',
    );
    const one = this.#habit !== 'equivocates' ? dice.whole(0, notarized.length) : undefined;
    const shared = one === undefined ? undefined : this.#block(committee, view, notarized[one]);
    for (const to of ids) {
      if (to === this.#id) continue;
      const parent =
        one === undefined
          ? notarized.length === 0
            ? undefined
            : dice.pick(notarized.slice(-4))
          : notarized[one];
      const made = shared ?? this.#block(committee, view, parent);
      if (made === undefined) continue;
      const header = chain.header(made);
      const position: Position = {
        view,
        parentView: parent?.view ?? 0,
        height: header.height,
        blockId: made,
      };
      const message: ConsensusMessage = {
        kind: 'proposal',
        epoch,
        position,
        header,
        transactionIds: chain.transactionIds(made),
        parentCertificate: parent,
        nullifications: nullified.slice(-8),
        signature: keys.sign(this.#id, committee.digest('notarize', view, position)),
      };
      const afterMs = this.#habit === 'proposes late' ? dice.whole(300, 4_000) : 0;
      agenda.at(agenda.nowMs + afterMs, () => this.#world.post(this.#id, to, message));
      this.#world.count(this.#habit === 'equivocates' ? 'equivocating proposals' : `led: ${this.#habit}`);
    }
  }

  #block(committee: Committee, view: number, parent: Certificate | undefined): BlockId | undefined {
    const { dice, chain } = this.#world;
    const parentId = parent?.position?.blockId ?? chain.genesisId;
    const old = this.#world.acknowledged();
    const invalid = old !== undefined && dice.chance(this.#habit === 'invalid blocks' ? 0.9 : 0.3);
    const at = { proposer: this.#id, epoch: committee.epoch, view, nowMs: this.#world.nowMs() };
    const id = chain.add(parentId, at, invalid ? [old] : [-chain.made - 1]);
    if (this.#habit !== 'withholds blocks') this.#world.holds(this.#id, id);
    return id;
  }
}
