import type { Consensus } from '../../ledger/consensus/consensus.ts';
import type { ConsensusEvent, Effect } from '../../ledger/consensus/events.ts';
import type { ConsensusMessage } from '../../ledger/consensus/messages.ts';
import type { BlockId, NodeId } from '../../ledger/ids.ts';
import type { ByzantineNode } from './byzantine.ts';
import { NodeClock } from './clock.ts';
import type { Mortal } from './harm.ts';
import { CONVICTION } from './model-chain.ts';
import type { NodeSurroundings, SimulatedPeer } from './node-surroundings.ts';
import type { Shape } from './shape.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { SimulatedLedger } from './simulated-ledger.ts';

/** A node of the model: the real consensus, with a disk that forgets what was not synced, blocks that come late, and a clock. */

const SLOTS_MAX = 4_000;
/** Syncs slower than a retry: who dies in one must not have repeated what was not on disk. */
const SLOW_SYNC_MS = 1_000;

/** One of two nodes with the same key. */
export interface Twin {
  readonly half: ReadonlySet<NodeId>;
  /** Blocks that either has. */
  readonly blocks: Set<BlockId>;
}

export class SimulatedNode implements Mortal, SimulatedPeer {
  readonly #world: NodeSurroundings;
  readonly id: NodeId;
  readonly disk: SimulatedDisk;
  readonly clock: NodeClock;
  readonly #misbehaviour: ByzantineNode | undefined;
  up = true;
  life = 0;
  /** The machine stands still until then. */
  #asleepUntilMs = 0;
  /** The disk has no room until then. */
  #fullUntilMs = 0;
  /** The nodes that hear this one and are heard: not all, for one of two with the same key. */
  readonly #half: ReadonlySet<NodeId> | undefined;
  consensus!: Consensus;
  readonly #ledger: SimulatedLedger;
  #wakeMs = Number.POSITIVE_INFINITY;
  #workReported: boolean | undefined;

  constructor(
    id: NodeId,
    world: NodeSurroundings,
    { misbehaviour, twin }: { misbehaviour?: ByzantineNode | undefined; twin?: Twin | undefined } = {},
  ) {
    this.id = id;
    this.#world = world;
    this.#half = twin?.half;
    this.#misbehaviour = misbehaviour;
    this.disk = new SimulatedDisk(world.chain.genesisId, world.dice.disk);
    const blocks = twin?.blocks ?? new Set([world.chain.genesisId]);
    this.#ledger = new SimulatedLedger(world, this.disk, blocks);
    this.clock = new NodeClock(world.agenda);
    this.start();
  }

  start(): void {
    const records = this.#world.mutation.forgetVotesAtRestart === true ? [] : this.disk.records;
    const { epoch, seats } = this.#world.chain.get(this.disk.final.id).after;
    this.consensus = new this.#world.consensus({
      chainId: this.#world.chain.chainId,
      epoch,
      seats,
      self: { nodeId: this.id, sign: (digest) => this.#world.keys.sign(this.id, digest) },
      final: this.disk.final,
      records,
      abstainEpoch: this.#world.mutation.ignoreAbstention === true ? undefined : this.disk.abstainEpoch,
      nowMs: this.clock.nowMs,
      salt: Number.parseInt(this.id.slice(-4), 16),
      verifier: this.#world.keys.verifier,
    });
    this.#workReported = undefined;
    this.give({ kind: 'tick' });
    for (const other of this.#world.nodes.values())
      if (other !== this && other.up && this.#world.links.reaches(this.id, other.id)) {
        other.give({ kind: 'peer', nodeId: this.id });
        this.give({ kind: 'peer', nodeId: other.id });
      }
  }

  backUp(): void {
    this.disk.backUp();
  }

  crash(): void {
    this.up = false;
    this.life++;
    this.disk.crash();
    this.#wakeMs = Number.POSITIVE_INFINITY;
    this.#world.observer.count('crashes');
  }

  /** What befalls the disk of an honest member while it is down. */
  suffer(misfortune: Shape['misfortune']): void {
    const { observer, chain } = this.#world;
    if (misfortune === 'lost log') {
      this.disk.loseLog(chain.get(this.disk.final.id).after.epoch);
      return observer.count('logs lost');
    }
    if (!(misfortune === 'old backup' ? this.disk.setBack() : this.disk.rot())) return;
    observer.setBack.add(this.id);
    observer.count(misfortune === 'old backup' ? 'backups restored' : 'rotten logs');
  }

  /** Stops the machine, not its clock. */
  suspend(forMs: number): void {
    this.#asleepUntilMs = this.#world.agenda.nowMs + forMs;
    this.#world.observer.count('suspends');
  }

  get #asleep(): boolean {
    return this.#world.agenda.nowMs < this.#asleepUntilMs;
  }

  fillDisk(forMs: number): void {
    this.#fullUntilMs = this.#world.agenda.nowMs + forMs;
    this.#world.observer.count('full disks');
  }

  get #full(): boolean {
    return this.#world.agenda.nowMs < this.#fullUntilMs;
  }

  /** Whether it hears a node, and is heard. */
  hears(other: NodeId): boolean {
    return this.#half?.has(other) ?? true;
  }

  restart(): void {
    this.up = true;
    this.#asleepUntilMs = 0;
    this.#ledger.forgetWaiting();
    this.#world.observer.count('restarts');
    this.start();
  }

  /** Messages are shared, since nobody changes them; real nodes send them as bytes. */
  receive(from: NodeId, message: ConsensusMessage): void {
    if (!this.up) return;
    if (this.#misbehaviour === undefined) this.give({ kind: 'message', from, message });
    else this.#misbehaviour.receive(message);
  }

  submit(transaction: number): void {
    if (!this.up || !this.#ledger.take(transaction)) return;
    for (const other of this.#world.ids)
      if (other !== this.id) {
        if (this.#world.links.reaches(this.id, other) && !this.#world.links.loses())
          this.#world.agenda.at(this.#world.agenda.nowMs + this.#world.links.delayMs(), () =>
            this.#world.reach(this.id, other)?.submit(transaction),
          );
      }
    this.give({ kind: 'tick' });
  }

  give(event: ConsensusEvent): void {
    if (!this.up || this.#world.observer.violation !== undefined) return;
    if (this.#asleep)
      return this.#later(this.#asleepUntilMs - this.#world.agenda.nowMs, () => this.give(event));
    this.#carryOut(this.consensus.step(event, this.clock.nowMs));
    if (this.consensus.openViews > SLOTS_MAX) this.#world.observer.violate('open views without bound');
    const work = this.#ledger.includable(this.consensus.tipId).length > 0;
    if (work !== this.#workReported) {
      this.#workReported = work;
      return this.give({ kind: 'work', work });
    }
    const wake = this.consensus.nextWakeMs();
    const wakeMs = wake === undefined ? undefined : this.clock.worldMs(wake);
    if (wakeMs === undefined || wakeMs >= this.#wakeMs) return;
    this.#wakeMs = wakeMs;
    const { life } = this;
    this.#world.agenda.at(wakeMs, () => {
      if (this.life !== life || this.#wakeMs !== wakeMs) return;
      this.#wakeMs = Number.POSITIVE_INFINITY;
      this.give({ kind: 'tick' });
    });
  }

  #carryOut(effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'append':
          this.disk.append(effect.record);
          if (effect.record.kind === 'vote') this.#world.observer.count(`votes ${effect.record.vote.type}`);
          break;
        case 'sync':
          this.#sync(effect.sequence);
          break;
        case 'send':
          this.#send(effect.to, effect.message);
          break;
        case 'send-boundary': {
          const boundary = this.#world.boundaries.get(effect.epoch);
          if (boundary === undefined || this.#world.mutation.noBoundaryReply === true) break;
          this.#world.observer.count('boundary replies');
          this.#world.links.post(this.id, effect.to, boundary);
          break;
        }
        case 'build':
          this.#later(this.#world.dice.disk.whole(0, 3), () => this.#build(effect.view, effect.parentId));
          break;
        case 'execute':
          this.#fetch(effect.blockId, effect.from);
          break;
        case 'commit':
          this.#ledger.commit(effect.position.blockId, effect.certificate);
          break;
        case 'release':
          this.#world.observer.count('blocks let go');
          break;
        case 'epoch':
          this.#world.observer.count('epochs begun');
          break;
        case 'evidence':
          this.#accuse(effect.first.signer);
          break;
        case 'blame':
          this.#world.observer.count('blame');
          if (!this.#world.byzantine.has(effect.peer))
            this.#world.observer.violate(`an honest peer is blamed: ${effect.reason}`);
          break;
        case 'abstain':
          this.disk.abstain(effect.epoch);
          this.#world.observer.count('abstentions');
          break;
        case 'halt':
          this.#world.observer.violate(`a node halted: ${effect.reason}`);
          break;
        default:
          effect satisfies never;
      }
    }
  }

  get blocks(): Set<BlockId> {
    return this.#ledger.blocks;
  }

  get serves(): boolean {
    return this.up && !this.#asleep;
  }

  #later(ms: number, run: () => void): void {
    const { life } = this;
    this.#world.agenda.at(this.#world.agenda.nowMs + ms, () => this.life === life && run());
  }

  #sync(sequence: number): void {
    const store = this.disk.sync();
    const syncMs =
      this.#world.dice.disk.whole(1, this.#world.shape.syncMaxMs) *
      (!this.#world.links.healed && this.#world.dice.disk.chance(this.#world.shape.slowSyncs) ? 40 : 1);
    // A node that cannot write ends itself, and says nothing of what waited for the disk.
    const fails = this.#world.dice.disk.chance(this.#world.shape.failedSyncs);
    if (fails && !this.#world.links.healed) this.#world.observer.count('failed syncs');
    // The worst moment to die: between saying a thing and having it on disk.
    if (
      !this.#world.links.healed &&
      this.#world.dice.disk.chance(this.#world.shape.crashes * (syncMs > SLOW_SYNC_MS ? 2 : 0.05))
    )
      this.#later(
        this.#world.dice.disk.whole(0, syncMs),
        () => this.up && !this.#world.links.healed && this.crash(),
      );
    const tell = (): void => this.give({ kind: 'synced', sequence });
    if (this.#world.mutation.sendBeforeSync === true) this.#later(0, tell);
    this.#later(syncMs, () => {
      if (!this.#world.links.healed && this.#full) this.#world.observer.count('syncs without room');
      if (!this.#world.links.healed && (fails || this.#full)) return this.crash();
      store();
      if (this.#world.mutation.sendBeforeSync !== true) tell();
    });
  }

  #accuse(culprit: NodeId): void {
    this.#world.observer.count('evidence');
    if (!this.#world.byzantine.has(culprit) && !this.#world.observer.setBack.has(culprit))
      this.#world.observer.violate('evidence against an honest node');
    this.submit(CONVICTION + this.#world.ids.indexOf(culprit));
  }

  #send(to: 'members' | 'all' | NodeId, message: ConsensusMessage): void {
    this.#world.observer.said(this.id, message, !this.#world.byzantine.has(this.id));
    const members = this.consensus.committee.seats.map((seat) => seat.nodeId);
    const targets = to === 'all' ? this.#world.ids : to === 'members' ? members : [to];
    for (const target of targets)
      if (target !== this.id && this.hears(target)) this.#world.links.post(this.id, target, message);
  }

  #build(view: number, parentId: BlockId): void {
    const { epoch } = this.consensus.committee;
    const at = { proposer: this.id, epoch, view, nowMs: this.clock.nowMs };
    const id = this.#ledger.build(parentId, at);
    if (id === undefined) return this.give({ kind: 'built', view, built: undefined });
    const { block, nextSeats } = this.#world.chain.get(id);
    this.give({ kind: 'built', view, built: { block, transactionIds: [], nextSeats } });
  }

  /** Gets a block and its ancestors from peers that have them, then executes: known transactions may not come again. */
  #fetch(id: BlockId, from: readonly NodeId[]): void {
    const missing = this.#ledger.missing(id);
    const sources = [...from, ...this.#world.ids].filter(
      (peer) =>
        peer !== this.id &&
        this.#world.nodes.get(peer)?.serves === true &&
        this.#world.links.reaches(peer, this.id) &&
        this.#world.links.reaches(this.id, peer) &&
        missing.every((one) => this.#world.nodes.get(peer)?.blocks.has(one)),
    );
    if (missing.length > 0 && (sources.length === 0 || this.#world.links.loses())) {
      this.#later(300, () => this.consensus.awaits(id) && this.#fetch(id, from));
      return;
    }
    this.#later(missing.length > 0 ? 2 * this.#world.links.delayMs() : 1, () => {
      for (const one of missing) this.#ledger.blocks.add(one);
      const valid = this.#ledger.isValid(id);
      if (!valid) this.#world.observer.count('invalid blocks refused');
      const { block, nextSeats } = this.#world.chain.get(id);
      const executed = valid ? { header: block.header, nextSeats } : undefined;
      this.give({ kind: 'verdict', blockId: id, executed });
    });
  }
}
