import type { Seat } from '../genesis.ts';
import type { BlockId, NodeId } from '../ids.ts';
import { BlockVerdicts } from './block-verdicts.ts';
import type { Committee, Verifier } from './committee.ts';
import type { Effect, FinalPoint, Self } from './events.ts';
import type { ConsensusMessage } from './messages.ts';
import { emptySlot, type Slot } from './slot.ts';
import { BACKOFF_MAX, NO_PROPOSAL_MS, PROPOSAL_MS } from './timing.ts';
import type { Certificate, Position } from './votes.ts';

/**
 * Whether this member may vote. `asking`: it just started and waits until a quorum told what they heard from it before;
 * `abstaining`: it learned that it signed votes it knows nothing of.
 */
export type Franchise = 'voting' | 'asking' | 'abstaining';

/** All that one epoch's consensus knows. The rules in `rules/` read and change it; nothing else does. */
export class EpochState {
  readonly committee: Committee;
  readonly self: Self;
  /** This node's place in bitmaps, when it is a member. */
  readonly seat: number | undefined;
  readonly verifier: Verifier;
  readonly blocks: BlockVerdicts;
  readonly slots = new Map<number, Slot>();
  /** The newest final block; at view 0 the one that this epoch begins on. */
  final: FinalPoint;
  view = 0;
  /** What let this node into its view. */
  entry: Certificate | undefined;
  enteredMs: number;
  /** Since when this view's time runs; it does not while there is nothing to do. */
  armedMs: number | undefined;
  work = false;
  nowMs: number;
  lastRetryMs: number;
  lastRepairMs: number;
  lastStatusMs: number;
  salt: number;
  /** The view for which a block is being built, or was found not worth building. */
  building: number | undefined;
  nothingToBuild: number | undefined;
  franchise: Franchise;
  /** Until then no answer gives the vote back: another was heard to sign with this node's key. */
  doubtedUntilMs = 0;
  /** Seats that answered since this node asks. */
  readonly heard = new Set<number>();
  /** Members whose contradiction was reported. */
  readonly accused = new Set<number>();
  /** The committee that follows, once this epoch's last block is final. */
  nextSeats: readonly Seat[] | undefined;
  halted = false;
  unsynced = false;
  sequence: number;
  /** What waits for the log to be on disk, by sequence. */
  readonly outbox = new Map<number, (() => void)[]>();
  effects: Effect[] = [];

  constructor(start: {
    readonly committee: Committee;
    readonly self: Self;
    readonly verifier: Verifier;
    readonly final: FinalPoint;
    readonly franchise: Franchise;
    readonly nowMs: number;
    readonly salt: number;
    readonly sequence: number;
  }) {
    this.committee = start.committee;
    this.self = start.self;
    this.seat = start.self === undefined ? undefined : start.committee.indexOf(start.self.nodeId);
    this.verifier = start.verifier;
    this.blocks = new BlockVerdicts(start.final.id);
    this.final =
      start.final.epoch === start.committee.epoch
        ? start.final
        : { ...start.final, epoch: start.committee.epoch, view: 0, certificate: undefined };
    this.entry = this.final.certificate;
    this.franchise = start.franchise;
    this.nowMs = start.nowMs;
    this.enteredMs = start.nowMs;
    this.lastRetryMs = start.nowMs;
    this.lastRepairMs = start.nowMs;
    this.lastStatusMs = start.nowMs;
    this.salt = start.salt;
    this.sequence = start.sequence;
  }

  /** The clock says `nowMs`. Where it was set back, what was timed by it moves along: nothing waits until it is where it was. */
  tellTime(nowMs: number): void {
    const backMs = Math.max(0, this.nowMs - nowMs);
    this.nowMs = nowMs;
    this.enteredMs -= backMs;
    this.lastRetryMs -= backMs;
    this.lastRepairMs -= backMs;
    this.lastStatusMs -= backMs;
    this.doubtedUntilMs -= backMs;
    if (this.armedMs !== undefined) this.armedMs -= backMs;
  }

  slot(view: number): Slot {
    let slot = this.slots.get(view);
    if (slot === undefined) {
      slot = emptySlot();
      this.slots.set(view, slot);
    }
    return slot;
  }

  send(to: 'members' | 'all' | NodeId, message: ConsensusMessage): void {
    this.effects.push({ kind: 'send', to, message });
  }

  /** The newest notarized position above the final block. */
  tip(): Position | undefined {
    let tip: Position | undefined;
    for (const [view, slot] of this.slots) {
      const position = slot.notarization?.position;
      if (position !== undefined && view > this.final.view && (tip === undefined || view > tip.view))
        tip = position;
    }
    return tip?.blockId === this.final.id ? undefined : tip;
  }

  /** Rule 1: into a view, by the certificate that ended the one before; never back. */
  enter(view: number, entry: Certificate | undefined): void {
    if (view <= this.view) return;
    this.view = view;
    this.entry = entry;
    this.enteredMs = this.nowMs;
    this.armedMs = undefined;
    this.lastRetryMs = this.nowMs;
    this.building = undefined;
    this.nothingToBuild = undefined;
  }

  /** Asks for a block with its ancestors, once. */
  execute(blockId: BlockId, certificate: Certificate | undefined, from?: NodeId): void {
    if (!this.blocks.ask(blockId)) return;
    const signers = certificate === undefined ? [] : this.committee.signers(certificate);
    this.effects.push({
      kind: 'execute',
      blockId,
      from: from === undefined ? signers : [from, ...signers],
      final: certificate?.type === 'finalize',
    });
  }

  /** How much longer a view may take after views that brought nothing: 1.5 to their number. */
  backoff(): number {
    let notarized = this.final.view;
    for (const [view, slot] of this.slots)
      if (slot.notarization !== undefined && view > notarized && view < this.view) notarized = view;
    return Math.min(1.5 ** Math.max(0, this.view - 1 - notarized), BACKOFF_MAX);
  }

  /** When the present view times out, should it be armed. */
  deadlineMs(): number {
    const slot = this.slots.get(this.view);
    const waitMs = slot?.proposal === undefined ? NO_PROPOSAL_MS : PROPOSAL_MS;
    return (this.armedMs ?? 0) + waitMs * this.backoff();
  }
}
