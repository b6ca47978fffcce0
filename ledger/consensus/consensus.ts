import { type Block, type BlockHeader, blockIdOf } from '../block.ts';
import { invariant, LedgerError } from '../errors.ts';
import type { Seat } from '../genesis.ts';
import type { BlockId, ChainId, NodeId, TransactionId } from '../ids.ts';
import { Committee, ecdsaVerifier, type Verifier } from './committee.ts';
import {
  type Certificate,
  type ConsensusMessage,
  type LogRecord,
  type Position,
  type Proposal,
  positionKey,
  type Status,
  VIEWS_ASKED_MAX,
  type Vote,
  type VoteType,
} from './messages.ts';
import { emptySlot, type Slot } from './slot.ts';

/**
 * Simplex consensus (Chan and Pass, "Simplex Consensus: A Simple and Fast Consensus Protocol", TCC 2023) as a state
 * machine: events in, effects out, no I/O, no clock, no randomness. Rule numbers are those of the design.
 */

const DELTA_MS = 200;
/** Without a proposal a view times out after this, times the back-off. */
const NO_PROPOSAL_MS = 3 * DELTA_MS;
const PROPOSAL_MS = 6 * DELTA_MS;
const RETRY_MS = 5 * DELTA_MS;
/** A notarized tip this old is worth another round, so that it becomes final. */
const FLUSH_MS = 3 * DELTA_MS;
const GAP_REPAIR_MS = 500;
const STATUS_MS = 3_000;
const BACKOFF_MAX = 60;
/** Votes are taken this many views ahead. */
const WINDOW = 8;
const FINALIZE_RETRIES_MAX = 8;
/** A proposal may be this much ahead of the clock; later ones wait. */
const AHEAD_MS = 1_000;

/** The newest final block. */
export interface FinalPoint {
  readonly epoch: number;
  readonly view: number;
  readonly height: number;
  readonly id: BlockId;
  readonly certificate: Certificate | undefined;
}

export interface ConsensusOptions {
  readonly chainId: ChainId;
  readonly epoch: number;
  readonly seats: readonly Seat[];
  /** Absent for a node that only follows. */
  readonly self: { readonly nodeId: NodeId; sign(digest: Uint8Array): Uint8Array } | undefined;
  readonly final: FinalPoint;
  /** What the write-ahead log held. */
  readonly records: readonly LogRecord[];
  readonly nowMs: number;
  /** A number of this node's, to spread repairs over peers. */
  readonly salt: number;
  readonly verifier?: Verifier;
}

export type ConsensusEvent =
  | { readonly kind: 'message'; readonly from: NodeId; readonly message: ConsensusMessage }
  | { readonly kind: 'tick' }
  /** Whether something can be included on the newest tip: a transaction, or a period turn. */
  | { readonly kind: 'work'; readonly work: boolean }
  /** The answer to `build`; no block when there is nothing to include. */
  | {
      readonly kind: 'built';
      readonly view: number;
      readonly block: Block | undefined;
      readonly transactionIds: readonly TransactionId[];
    }
  /** The answer to `execute`: `valid` once it and all its ancestors are executed and kept. */
  | { readonly kind: 'verdict'; readonly blockId: BlockId; readonly valid: boolean }
  /** All records appended up to this sequence are on disk. */
  | { readonly kind: 'synced'; readonly sequence: number }
  | { readonly kind: 'peer'; readonly nodeId: NodeId };

export type Effect =
  | { readonly kind: 'append'; readonly record: LogRecord }
  /** Sync the log, and the block with it where one is named, then answer `synced`. */
  | { readonly kind: 'sync'; readonly sequence: number }
  | { readonly kind: 'send'; readonly to: 'members' | 'all' | NodeId; readonly message: ConsensusMessage }
  | { readonly kind: 'build'; readonly view: number; readonly parentId: BlockId }
  /** Get and execute a block with its ancestors, then answer `verdict`. `final`: a Finalization vouches for it. */
  | {
      readonly kind: 'execute';
      readonly blockId: BlockId;
      readonly from: readonly NodeId[];
      readonly final: boolean;
    }
  /** This block and its ancestors are final: store state and certificate in one durable batch. */
  | { readonly kind: 'commit'; readonly certificate: Certificate; readonly position: Position }
  | { readonly kind: 'halt'; readonly reason: string };

export class Consensus {
  readonly committee: Committee;
  readonly #self: ConsensusOptions['self'];
  readonly #seat: number | undefined;
  readonly #verifier: Verifier;
  #final: FinalPoint;
  #view = 0;
  #entry: Certificate | undefined;
  #enteredMs: number;
  #armedMs: number | undefined;
  #work = false;
  #nowMs: number;
  #lastRetryMs: number;
  #lastRepairMs: number;
  #lastStatusMs: number;
  #salt: number;
  #slots = new Map<number, Slot>();
  /** Blocks that are executed with all their ancestors, and those that were asked for. */
  #valid = new Set<BlockId>();
  #invalid = new Set<BlockId>();
  #asked = new Map<BlockId, number>();
  /** The view for which a block is being built or was found not worth building. */
  #building: number | undefined;
  #nothingToBuild: number | undefined;
  #sequence = 0;
  #outbox = new Map<number, (() => void)[]>();
  #unsynced = false;
  #effects: Effect[] = [];
  #halted = false;

  constructor(options: ConsensusOptions) {
    this.committee = new Committee(options.chainId, options.epoch, options.seats);
    this.#self = options.self;
    this.#seat = options.self === undefined ? undefined : this.committee.indexOf(options.self.nodeId);
    this.#verifier = options.verifier ?? ecdsaVerifier;
    this.#final = options.final;
    this.#valid.add(options.final.id);
    this.#nowMs = options.nowMs;
    this.#enteredMs = options.nowMs;
    this.#lastRetryMs = options.nowMs;
    this.#lastRepairMs = options.nowMs;
    this.#lastStatusMs = options.nowMs;
    this.#salt = options.salt;
    this.#restore(options.records);
  }

  get final(): FinalPoint {
    return this.#final;
  }

  get view(): number {
    return this.#view;
  }

  get isMember(): boolean {
    return this.#seat !== undefined;
  }

  get halted(): boolean {
    return this.#halted;
  }

  /** Bytes of memory matter little here; that the number of views stays bounded does. */
  get openViews(): number {
    return this.#slots.size;
  }

  /** The newest notarized block above the final one, or the final one: what the next block would extend. */
  get tipId(): BlockId {
    return this.#tip()?.blockId ?? this.#final.id;
  }

  /** Notarized and not final, by block: for display. */
  notarized(): ReadonlySet<BlockId> {
    const ids = new Set<BlockId>();
    for (const slot of this.#slots.values())
      if (slot.notarization?.position !== undefined) ids.add(slot.notarization.position.blockId);
    return ids;
  }

  /** Records that a rewritten log must still hold. */
  liveRecords(): readonly LogRecord[] {
    const records: LogRecord[] = [];
    for (const [view, slot] of this.#slots) {
      if (view <= this.#final.view) continue;
      for (const certificate of [slot.notarization, slot.nullification, slot.finalization]) {
        if (certificate !== undefined) records.push({ kind: 'certificate', certificate });
      }
      for (const type of slot.mine.signatures.keys())
        records.push({ kind: 'vote', vote: this.#ownVote(view, slot, type) });
    }
    return records;
  }

  /** When `tick` is wanted next; nothing is wanted while there is nothing to do. */
  nextWakeMs(): number | undefined {
    if (this.#halted) return undefined;
    const wakes = [this.#lastStatusMs + STATUS_MS];
    if (this.#armedMs !== undefined) {
      wakes.push(this.#deadlineMs(), this.#lastRetryMs + RETRY_MS);
      const slot = this.#slots.get(this.#view);
      if (
        slot?.proposal !== undefined &&
        slot.mine.notarize === undefined &&
        slot.proposal.header.timestampMs > this.#nowMs + AHEAD_MS
      ) {
        wakes.push(slot.proposal.header.timestampMs - AHEAD_MS);
      }
    }
    if (this.#tip() !== undefined) wakes.push(this.#enteredMs + FLUSH_MS);
    if (this.#gaps().length > 0 || this.#asked.size > 0) wakes.push(this.#lastRepairMs + GAP_REPAIR_MS);
    return Math.max(
      this.#nowMs + 1,
      Math.min(...wakes.filter((wake) => wake > this.#nowMs), this.#lastStatusMs + STATUS_MS),
    );
  }

  /** Takes one event; gives what is to be done, in order. */
  step(event: ConsensusEvent, nowMs: number): readonly Effect[] {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    if (this.#halted) return [];
    this.#effects = [];
    switch (event.kind) {
      case 'message':
        this.#receive(event.message, event.from);
        break;
      case 'tick':
        break;
      case 'work':
        if (event.work) this.#nothingToBuild = undefined;
        this.#work = event.work;
        break;
      case 'built':
        this.#built(event.view, event.block, event.transactionIds);
        break;
      case 'verdict':
        this.#verdict(event.blockId, event.valid);
        break;
      case 'synced':
        for (const [sequence, sends] of [...this.#outbox]) {
          if (sequence > event.sequence) continue;
          this.#outbox.delete(sequence);
          for (const send of sends) send();
        }
        break;
      case 'peer':
        this.#send(event.nodeId, { kind: 'status', ...this.#status() });
        break;
      default:
        event satisfies never;
    }
    this.#act();
    if (this.#unsynced) {
      this.#unsynced = false;
      this.#effects.push({ kind: 'sync', sequence: this.#sequence++ });
    }
    return this.#effects;
  }

  // ---- after every event

  #act(): void {
    this.#applyFinalizations();
    this.#chase();
    this.#periodic();
    if (this.#seat === undefined || this.#halted) return;
    // Each of these may let the next one go on (a vote of a committee of one is a certificate), so until nothing moves.
    for (let before = ''; before !== this.#progress(); ) {
      before = this.#progress();
      this.#arm();
      this.#propose();
      this.#notarize();
      for (const view of [...this.#slots.keys()]) this.#finalizeVote(view);
      this.#nullifyIfDue();
      this.#applyFinalizations();
    }
    this.#retry();
  }

  #progress(): string {
    const slot = this.#slots.get(this.#view);
    return `${this.#view}.${this.#final.view}.${this.#armedMs}.${slot?.mine.signatures.size}.${this.#building}`;
  }

  #slot(view: number): Slot {
    let slot = this.#slots.get(view);
    if (slot === undefined) {
      slot = emptySlot();
      this.#slots.set(view, slot);
    }
    return slot;
  }

  #send(to: 'members' | 'all' | NodeId, message: ConsensusMessage): void {
    this.#effects.push({ kind: 'send', to, message });
  }

  /** The newest notarized position above the final block. */
  #tip(): Position | undefined {
    let tip: Position | undefined;
    for (const [view, slot] of this.#slots) {
      const position = slot.notarization?.position;
      if (position !== undefined && view > this.#final.view && (tip === undefined || view > tip.view))
        tip = position;
    }
    return tip?.blockId === this.#final.id ? undefined : tip;
  }

  // ---- rule 1: views

  #enter(view: number, entry: Certificate | undefined): void {
    if (view <= this.#view) return;
    this.#view = view;
    this.#entry = entry;
    this.#enteredMs = this.#nowMs;
    this.#armedMs = undefined;
    this.#lastRetryMs = this.#nowMs;
    this.#building = undefined;
    this.#nothingToBuild = undefined;
  }

  // ---- rule 2: work

  /** A notarized, unfinal tip that waited long enough wants another round. */
  #flushDue(): boolean {
    return this.#tip() !== undefined && this.#nowMs >= this.#enteredMs + FLUSH_MS;
  }

  #hasWork(): boolean {
    return this.#work || this.#flushDue();
  }

  #arm(): void {
    const wanted = this.#hasWork() || this.#slots.get(this.#view)?.proposal !== undefined;
    if (!wanted) this.#armedMs = undefined;
    else this.#armedMs ??= this.#nowMs;
  }

  // ---- rule 3: propose

  /** The highest notarized view below `view` with every view between nullified, or the final block. */
  #bestParent(view: number):
    | {
        position: { view: number; blockId: BlockId };
        certificate: Certificate | undefined;
        nullifications: Certificate[];
      }
    | undefined {
    const nullifications: Certificate[] = [];
    for (let below = view - 1; below > this.#final.view; below--) {
      const slot = this.#slots.get(below);
      if (slot?.notarization?.position !== undefined) {
        return { position: slot.notarization.position, certificate: slot.notarization, nullifications };
      }
      if (slot?.nullification === undefined) return undefined;
      nullifications.push(slot.nullification);
    }
    return {
      position: { view: this.#final.view, blockId: this.#final.id },
      certificate: this.#final.epoch === this.committee.epoch ? this.#final.certificate : undefined,
      nullifications,
    };
  }

  #propose(): void {
    const view = this.#view;
    const slot = this.#slot(view);
    if (this.committee.leader(view) !== this.#self?.nodeId || !this.#hasWork()) return;
    if (slot.mine.notarize !== undefined || slot.mine.nullify || this.#building === view) return;
    if (this.#nothingToBuild === view && !this.#flushDue()) return;
    const parent = this.#bestParent(view);
    if (parent === undefined) return;
    if (!this.#valid.has(parent.position.blockId)) {
      this.#execute(parent.position.blockId, parent.certificate);
      return;
    }
    this.#building = view;
    this.#effects.push({ kind: 'build', view, parentId: parent.position.blockId });
  }

  #built(view: number, block: Block | undefined, transactionIds: readonly TransactionId[]): void {
    if (block !== undefined) this.#valid.add(blockIdOf(block.header));
    if (view !== this.#view || this.#building !== view) return;
    this.#building = undefined;
    const slot = this.#slot(view);
    const parent = this.#bestParent(view);
    if (parent === undefined || slot.mine.notarize !== undefined || slot.mine.nullify) return;
    if (block !== undefined && block.header.parentId !== parent.position.blockId) return;
    const again = block === undefined ? this.#notarizedHeader(parent.position.blockId) : undefined;
    if (block === undefined && (again === undefined || !this.#flushDue())) {
      // Nothing to include, and no tip that waits for another round.
      this.#nothingToBuild = view;
      return;
    }
    const header = block?.header ?? (again as BlockHeader);
    const position: Position = {
      view,
      parentView: parent.position.view,
      height: header.height,
      blockId: blockIdOf(header),
    };
    slot.proposal = { position, header, from: (this.#self as { nodeId: NodeId }).nodeId, invalid: false };
    this.#vote(view, slot, 'notarize', position);
    const proposal: Proposal = {
      epoch: this.committee.epoch,
      position,
      header,
      transactionIds,
      parentCertificate: parent.certificate,
      nullifications: parent.nullifications,
      signature: slot.mine.signatures.get('notarize') as Uint8Array,
    };
    slot.own = proposal;
  }

  /** The header of a notarized, unfinal block. */
  #notarizedHeader(id: BlockId): BlockHeader | undefined {
    if (id === this.#final.id) return undefined;
    for (const slot of this.#slots.values())
      if (slot.proposal?.position.blockId === id) return slot.proposal.header;
    return undefined;
  }

  // ---- rule 4: notarize

  #notarize(): void {
    const view = this.#view;
    const slot = this.#slots.get(view);
    const proposal = slot?.proposal;
    if (slot === undefined || proposal === undefined || proposal.invalid) return;
    if (slot.mine.notarize !== undefined || slot.mine.nullify) return;
    const { position, header } = proposal;
    if (position.parentView >= view || position.parentView < this.#final.view) return;
    const parentId =
      position.parentView === this.#final.view
        ? this.#final.id
        : this.#slots.get(position.parentView)?.notarization?.position?.blockId;
    if (parentId === undefined) return;
    for (let between = position.parentView + 1; between < view; between++) {
      if (this.#slots.get(between)?.nullification === undefined) return;
    }
    if (position.blockId === parentId) {
      if (parentId === this.#final.id) {
        // Already final here: the proposer is told so instead of getting a vote.
        slot.proposal = undefined;
        if (this.#final.certificate !== undefined)
          this.#send(proposal.from, { kind: 'certificate', certificate: this.#final.certificate });
        return;
      }
    } else if (
      header.parentId !== parentId ||
      header.view !== view ||
      header.epoch !== this.committee.epoch ||
      header.proposer !== proposal.from
    ) {
      proposal.invalid = true;
      return;
    }
    if (this.#invalid.has(position.blockId)) {
      proposal.invalid = true;
      return;
    }
    if (position.blockId !== parentId && header.timestampMs > this.#nowMs + AHEAD_MS) return;
    if (!this.#valid.has(position.blockId)) {
      this.#execute(position.blockId, undefined, proposal.from);
      return;
    }
    this.#vote(view, slot, 'notarize', position);
  }

  // ---- rule 5: nullify

  #backoff(): number {
    let notarized = this.#final.view;
    for (const [view, slot] of this.#slots)
      if (slot.notarization !== undefined && view > notarized && view < this.#view) notarized = view;
    return Math.min(1.5 ** Math.max(0, this.#view - 1 - notarized), BACKOFF_MAX);
  }

  #deadlineMs(): number {
    const slot = this.#slots.get(this.#view);
    return (
      (this.#armedMs ?? 0) + (slot?.proposal === undefined ? NO_PROPOSAL_MS : PROPOSAL_MS) * this.#backoff()
    );
  }

  #nullifyIfDue(): void {
    const slot = this.#slot(this.#view);
    if (slot.mine.nullify || slot.mine.finalize !== undefined || slot.notarization !== undefined) return;
    const late = this.#armedMs !== undefined && this.#nowMs >= this.#deadlineMs();
    const joined = slot.nullify.size >= this.committee.faulty + 1;
    if (late || joined || slot.proposal?.invalid === true) this.#vote(this.#view, slot, 'nullify', undefined);
  }

  // ---- rule 6: finalize

  #finalizeVote(view: number): void {
    const slot = this.#slots.get(view);
    const position = slot?.notarization?.position;
    if (slot === undefined || position === undefined || view <= this.#final.view) return;
    if (slot.mine.nullify || slot.mine.finalize !== undefined) return;
    if (slot.mine.notarize !== undefined && positionKey(slot.mine.notarize) !== positionKey(position)) return;
    if (!this.#valid.has(position.blockId)) {
      this.#execute(position.blockId, slot.notarization);
      return;
    }
    this.#vote(view, slot, 'finalize', position);
  }

  // ---- votes: recorded at once, durable before they are sent

  #vote(view: number, slot: Slot, type: VoteType, position: Position | undefined): void {
    const self = this.#self;
    if (self === undefined || this.#seat === undefined) return;
    const signature = self.sign(this.committee.digest(type, view, position));
    slot.mine.signatures.set(type, signature);
    if (type === 'notarize') slot.mine.notarize = position;
    else if (type === 'nullify') slot.mine.nullify = true;
    else slot.mine.finalize = position;
    this.#effects.push({ kind: 'append', record: { kind: 'vote', vote: this.#ownVote(view, slot, type) } });
    this.#unsynced = true;
    const sends = this.#outbox.get(this.#sequence) ?? [];
    this.#outbox.set(this.#sequence, sends);
    sends.push(() => {
      if (view <= this.#final.view || this.#slots.get(view) !== slot) return;
      slot.durable.add(type);
      if (type === 'notarize' && slot.own !== undefined)
        this.#send('members', { kind: 'proposal', ...slot.own });
      else this.#send('members', { kind: 'vote', vote: this.#ownVote(view, slot, type) });
      this.#tally(view, slot, type, position, this.#seat as number, signature);
    });
  }

  #ownVote(view: number, slot: Slot, type: VoteType): Vote {
    const position =
      type === 'notarize' ? slot.mine.notarize : type === 'finalize' ? slot.mine.finalize : undefined;
    const signature = slot.mine.signatures.get(type);
    invariant(signature !== undefined && this.#self !== undefined, 'a vote that was never signed');
    return { type, epoch: this.committee.epoch, view, position, signer: this.#self.nodeId, signature };
  }

  #tally(
    view: number,
    slot: Slot,
    type: VoteType,
    position: Position | undefined,
    seat: number,
    signature: Uint8Array,
  ): void {
    if (type === 'nullify') slot.nullify.set(seat, signature);
    else if (position !== undefined) slot[type].add(position, seat, signature);
    const { quorum } = this.committee;
    if (type === 'notarize' && slot.notarization === undefined) {
      const reached = slot.notarize.reached(quorum);
      if (reached !== undefined)
        this.#accept(this.committee.certificate(type, view, reached.position, reached.votes), 'own');
    } else if (type === 'nullify' && slot.nullification === undefined && slot.nullify.size >= quorum) {
      this.#accept(this.committee.certificate(type, view, undefined, slot.nullify), 'own');
    } else if (type === 'finalize' && slot.finalization === undefined) {
      const reached = slot.finalize.reached(quorum);
      if (reached !== undefined)
        this.#accept(this.committee.certificate(type, view, reached.position, reached.votes), 'own');
    }
  }

  // ---- rule 7: certificates

  /** Takes a certificate that holds: one that was checked, or that this node put together from checked votes. */
  #accept(certificate: Certificate, origin: 'own' | 'peer' | 'log'): void {
    const { view, type } = certificate;
    if (view <= this.#final.view) return;
    const slot = this.#slot(view);
    if (type === 'notarize') {
      if (slot.notarization !== undefined) return;
      slot.notarization = certificate;
    } else if (type === 'nullify') {
      if (slot.nullification !== undefined) return;
      slot.nullification = certificate;
    } else {
      if (slot.finalization !== undefined) return;
      slot.finalization = certificate;
      // Who finalized had a Notarization: as the parent of a proposal this one says as much.
      slot.notarization ??= certificate;
    }
    if (origin !== 'log')
      this.#effects.push({ kind: 'append', record: { kind: 'certificate', certificate } });
    if (origin === 'own' && this.#self !== undefined) {
      const { nodeId } = this.#self;
      // Followers learn what is final from the leaders of this view and the next; everybody else from their status.
      const next = this.committee.leader(view + 1);
      if (type === 'finalize' && (this.committee.leader(view) === nodeId || next === nodeId))
        this.#send('all', { kind: 'certificate', certificate });
      else if (next !== nodeId) this.#send(next, { kind: 'certificate', certificate });
    }
    this.#enter(view + 1, certificate);
  }

  #applyFinalizations(): void {
    for (;;) {
      let best: Certificate | undefined;
      for (const [view, slot] of this.#slots) {
        const id = slot.finalization?.position?.blockId;
        if (
          view > this.#final.view &&
          id !== undefined &&
          this.#valid.has(id) &&
          (best === undefined || view > best.view)
        )
          best = slot.finalization;
      }
      const position = best?.position;
      if (best === undefined || position === undefined) return;
      this.#final = {
        epoch: this.committee.epoch,
        view: best.view,
        height: position.height,
        id: position.blockId,
        certificate: best,
      };
      this.#effects.push({ kind: 'commit', certificate: best, position });
      for (const view of [...this.#slots.keys()]) if (view <= best.view) this.#slots.delete(view);
      this.#enter(best.view + 1, best);
      this.#forgetBlocks(position.blockId);
    }
  }

  /** Verdicts are only needed of blocks that open views still speak of. */
  #forgetBlocks(finalId: BlockId): void {
    const live = new Set<BlockId>([finalId]);
    for (const slot of this.#slots.values()) {
      for (const position of [
        slot.proposal?.position,
        slot.notarization?.position,
        slot.finalization?.position,
      ]) {
        if (position !== undefined) live.add(position.blockId);
      }
    }
    for (const set of [this.#valid, this.#invalid, this.#asked])
      for (const id of set.keys()) if (!live.has(id)) set.delete(id);
  }

  /** Certified blocks are wanted, whoever certified them. */
  #chase(): void {
    for (const slot of this.#slots.values()) {
      for (const certificate of [slot.finalization, slot.notarization]) {
        if (certificate?.position !== undefined) this.#execute(certificate.position.blockId, certificate);
      }
    }
  }

  #execute(blockId: BlockId, certificate: Certificate | undefined, from?: NodeId): void {
    if (this.#valid.has(blockId) || this.#invalid.has(blockId) || this.#asked.has(blockId)) return;
    this.#asked.set(blockId, this.#nowMs);
    const signers = certificate === undefined ? [] : this.committee.signers(certificate);
    this.#effects.push({
      kind: 'execute',
      blockId,
      from: from === undefined ? signers : [from, ...signers],
      final: certificate?.type === 'finalize',
    });
  }

  #verdict(blockId: BlockId, valid: boolean): void {
    this.#asked.delete(blockId);
    if (valid) {
      this.#valid.add(blockId);
      return;
    }
    this.#invalid.add(blockId);
    for (const slot of this.#slots.values()) {
      const certified = [slot.notarization, slot.finalization].some(
        (certificate) => certificate?.position?.blockId === blockId,
      );
      if (!certified) continue;
      this.#halted = true;
      this.#effects.push({
        kind: 'halt',
        reason: `a quorum vouches for block ${blockId}, which is invalid here`,
      });
      return;
    }
  }

  // ---- rules 8, 9, 10: retry, gaps, status

  #retry(): void {
    if (this.#armedMs === undefined || this.#nowMs < this.#lastRetryMs + RETRY_MS * this.#backoff()) return;
    this.#lastRetryMs = this.#nowMs;
    const slot = this.#slot(this.#view);
    if (this.#entry !== undefined) this.#send('members', { kind: 'certificate', certificate: this.#entry });
    if (slot.own !== undefined && slot.durable.has('notarize'))
      this.#send('members', { kind: 'proposal', ...slot.own });
    for (const type of ['notarize', 'nullify'] as const) {
      if (slot.durable.has(type))
        this.#send('members', { kind: 'vote', vote: this.#ownVote(this.#view, slot, type) });
    }
    let finalizes = 0;
    for (const [view, open] of this.#slots) {
      if (view <= this.#final.view || !open.durable.has('finalize') || finalizes >= FINALIZE_RETRIES_MAX)
        continue;
      finalizes++;
      this.#send('members', { kind: 'vote', vote: this.#ownVote(view, open, 'finalize') });
    }
  }

  /** Views above the final one that are neither notarized nor nullified here. */
  #gaps(): readonly number[] {
    const gaps: number[] = [];
    for (let view = this.#view - 1; view > this.#final.view && gaps.length < VIEWS_ASKED_MAX; view--) {
      const slot = this.#slots.get(view);
      if (slot?.notarization === undefined && slot?.nullification === undefined) gaps.push(view);
    }
    return gaps;
  }

  #periodic(): void {
    if (this.#nowMs >= this.#lastRepairMs + GAP_REPAIR_MS) {
      this.#lastRepairMs = this.#nowMs;
      const views = this.#gaps();
      const others = this.committee.seats.filter((seat) => seat.nodeId !== this.#self?.nodeId);
      const peer = others[this.#salt++ % Math.max(1, others.length)];
      if (views.length > 0 && peer !== undefined) {
        this.#send(peer.nodeId, { kind: 'get-certificates', epoch: this.committee.epoch, views });
      }
    }
    if (this.#nowMs >= this.#lastStatusMs + STATUS_MS) {
      this.#lastStatusMs = this.#nowMs;
      this.#send('all', { kind: 'status', ...this.#status() });
    }
  }

  #status(): Status {
    const { epoch } = this.committee;
    return {
      epoch,
      finalView: this.#final.view,
      finalization: this.#final.certificate,
      entry: this.#entry?.epoch === epoch ? this.#entry : undefined,
    };
  }

  // ---- messages

  #receive(message: ConsensusMessage, from: NodeId): void {
    const { epoch } = this.committee;
    switch (message.kind) {
      case 'proposal':
        if (message.epoch === epoch) this.#receiveProposal(message);
        break;
      case 'vote':
        if (message.vote.epoch === epoch) this.#receiveVote(message.vote);
        break;
      case 'certificate':
        this.#receiveCertificate(message.certificate);
        break;
      case 'status':
        if (message.finalization !== undefined) this.#receiveCertificate(message.finalization);
        if (message.entry !== undefined) this.#receiveCertificate(message.entry);
        if (
          message.epoch === epoch &&
          message.finalView < this.#final.view &&
          this.#final.certificate !== undefined
        ) {
          this.#send(from, { kind: 'certificate', certificate: this.#final.certificate });
        }
        break;
      case 'get-certificates':
        if (message.epoch === epoch) for (const view of message.views) this.#answerGap(view, from);
        break;
      default:
        message satisfies never;
    }
  }

  #answerGap(view: number, from: NodeId): void {
    const slot = this.#slots.get(view);
    if (slot === undefined) return;
    const known = [slot.finalization ?? slot.notarization, slot.nullification].filter(
      (certificate) => certificate !== undefined,
    );
    for (const certificate of known) this.#send(from, { kind: 'certificate', certificate });
    if (known.length > 0) return;
    for (const type of slot.durable)
      this.#send(from, { kind: 'vote', vote: this.#ownVote(view, slot, type) });
  }

  #receiveCertificate(certificate: Certificate): void {
    if (certificate.epoch !== this.committee.epoch || certificate.view <= this.#final.view) return;
    const slot = this.#slots.get(certificate.view);
    const known = {
      notarize: slot?.notarization,
      nullify: slot?.nullification,
      finalize: slot?.finalization,
    }[certificate.type];
    if (known !== undefined) return;
    try {
      this.committee.check(certificate, this.#verifier);
    } catch (error) {
      if (error instanceof LedgerError) return;
      throw error;
    }
    this.#accept(certificate, 'peer');
  }

  #receiveProposal(message: Proposal): void {
    const { position, header, signature } = message;
    const { view } = position;
    if (view <= this.#final.view || view < this.#view || view > this.#view + WINDOW) {
      // Its certificates may still bring this node forward.
      if (view > this.#view + WINDOW && message.parentCertificate !== undefined)
        this.#receiveCertificate(message.parentCertificate);
      return;
    }
    const leader = this.committee.leader(view);
    if (leader === this.#self?.nodeId || this.#slots.get(view)?.proposal !== undefined) return;
    if (blockIdOf(header) !== position.blockId || header.height !== position.height) return;
    if (!this.#verifier(signature, this.committee.digest('notarize', view, position), leader)) return;
    for (const certificate of message.nullifications) this.#receiveCertificate(certificate);
    if (message.parentCertificate !== undefined) this.#receiveCertificate(message.parentCertificate);
    if (view <= this.#final.view || view < this.#view) return;
    const slot = this.#slot(view);
    slot.proposal = { position, header, from: leader, invalid: false };
    const seat = this.committee.indexOf(leader) as number;
    if (!slot.notarize.has(seat)) this.#tally(view, slot, 'notarize', position, seat, signature);
  }

  #receiveVote(vote: Vote): void {
    const { view, type, position, signer, signature } = vote;
    const seat = this.committee.indexOf(signer);
    if (seat === undefined || seat === this.#seat || view <= this.#final.view || view > this.#view + WINDOW)
      return;
    const slot = this.#slot(view);
    if (type === 'nullify' ? slot.nullify.has(seat) : slot[type].has(seat)) return;
    if (!this.#verifier(signature, this.committee.digest(type, view, position), signer)) return;
    this.#tally(view, slot, type, position, seat, signature);
  }

  // ---- restart

  /** Takes up the log: no vote of before is ever contradicted. */
  #restore(records: readonly LogRecord[]): void {
    const { epoch } = this.committee;
    let view = this.#final.view + 1;
    this.#entry = this.#final.certificate;
    const own: { view: number; slot: Slot; type: VoteType }[] = [];
    for (const record of records) {
      if (record.kind === 'certificate') {
        const { certificate } = record;
        if (certificate.epoch !== epoch || certificate.view <= this.#final.view) continue;
        this.#accept(certificate, 'log');
        view = Math.max(view, certificate.view + 1);
        continue;
      }
      const { vote } = record;
      if (vote.epoch !== epoch || vote.view <= this.#final.view || vote.signer !== this.#self?.nodeId)
        continue;
      const slot = this.#slot(vote.view);
      slot.mine.signatures.set(vote.type, vote.signature);
      if (vote.type === 'notarize') slot.mine.notarize = vote.position;
      else if (vote.type === 'nullify') slot.mine.nullify = true;
      else slot.mine.finalize = vote.position;
      slot.durable.add(vote.type);
      own.push({ view: vote.view, slot, type: vote.type });
      view = Math.max(view, vote.view);
    }
    if (this.#seat !== undefined) {
      for (const { view: voted, slot, type } of own) {
        const vote = this.#ownVote(voted, slot, type);
        this.#tally(voted, slot, type, vote.position, this.#seat, vote.signature);
      }
    }
    const entry = this.#entry;
    this.#enter(view, entry);
    // What the log asked for is asked for again by the first event.
    this.#asked.clear();
    this.#effects = [];
  }
}
