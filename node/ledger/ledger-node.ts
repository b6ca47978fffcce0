import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import { type Block, blockIdOf, encodeBlock } from '../../ledger/block.ts';
import { Consensus } from '../../ledger/consensus/consensus.ts';
import type { ConsensusEvent, Effect } from '../../ledger/consensus/events.ts';
import { type ConsensusMessage, decodeMessage, encodeMessage } from '../../ledger/consensus/messages.ts';
import type { Certificate, Position, Vote } from '../../ledger/consensus/votes.ts';
import { sign } from '../../ledger/crypto/secp256k1.ts';
import { invariant, LedgerError } from '../../ledger/errors.ts';
import type { BlockId, NodeId } from '../../ledger/ids.ts';
import { Mempool } from '../../ledger/mempool.ts';
import { clockOf } from '../../ledger/state/draft.ts';
import { NODES } from '../../ledger/state/entities.ts';
import { type Transaction, transactionId } from '../../ledger/transaction.ts';
import { Breather } from '../breather.ts';
import { KIND } from '../network/kinds.ts';
import type { Network } from '../network/network.ts';
import { diskError } from '../storage/disk-error.ts';
import type { Chain, FinalBlock } from './chain/chain.ts';
import { Conduct } from './gossip/conduct.ts';
import { TransactionGossip } from './gossip/transaction-gossip.ts';
import { FarBehind } from './snapshots/far-behind.ts';
import { serveBlocks } from './sync/block-fetch.ts';
import { BlockIntake } from './sync/block-intake.ts';
import { VoteLog } from './votes/vote-log.ts';

/**
 * Carries out what consensus decides: log, network, execution, commits. One event after another; everything that waits
 * for the disk or for execution is awaited in order, everything that waits for peers runs aside and comes back as an event.
 */

const CONSENSUS_BYTES_MAX = 1_100_000;
const EVENTS_MAX = 50_000;
/** Members that are not linked are dialled this often. */
const REACH_MS = 2_000;
/** Blocks older than this come from catching up and say nothing of finality. */
const CAUGHT_UP_MS = 60_000;

export interface LedgerNodeOptions {
  readonly chain: Chain;
  readonly network: Network;
  readonly folder: string;
  readonly nodeId: NodeId;
  readonly nodeSecret: Uint8Array;
  readonly logger: Logger;
  /** Blocks that it must be behind to fetch a snapshot while it runs; 0: it never does. */
  readonly snapshotBehind: number;
}

type Work =
  | { readonly kind: 'event'; readonly event: ConsensusEvent }
  | { readonly kind: 'run'; readonly run: () => Promise<void> };

export class LedgerNode {
  readonly chain: Chain;
  readonly mempool = new Mempool();
  readonly #options: LedgerNodeOptions;
  readonly #network: Network;
  #log: VoteLog;
  readonly #gossip: TransactionGossip;
  readonly #conduct: Conduct;
  #consensus: Consensus;
  readonly #abort = new AbortController();
  readonly #queue: Work[] = [];
  #intake: BlockIntake;
  /** Ends what the intake has under way. */
  #intakeAbort = new AbortController();
  readonly #farBehind: FarBehind;
  readonly #finalListeners = new Set<(blocks: readonly FinalBlock[]) => void>();
  readonly #evidenceListeners = new Set<(first: Vote, second: Vote) => void>();
  readonly #blockListeners = new Set<() => void>();
  readonly #leapListeners = new Set<() => void>();
  readonly #finalityMs: number[] = [];
  #running: Promise<void> | undefined;
  #busy = false;
  /** Consensus rests while a snapshot up to this height takes the place of the state. */
  #leapHeight: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #workDirty = true;
  #haltReason: string | undefined;
  #lastFinalMs: number | undefined;

  private constructor(options: LedgerNodeOptions, log: VoteLog) {
    // Everything that waits in this node hears of its end; the bounds on what waits are theirs.
    setMaxListeners(0, this.#abort.signal);
    this.#options = options;
    this.chain = options.chain;
    this.#network = options.network;
    this.#log = log;
    this.#consensus = this.#newConsensus();
    this.#intake = this.#newIntake();
    this.#conduct = new Conduct((peer, reason) => this.#network.shun(peer, reason));
    this.#farBehind = new FarBehind({
      chain: options.chain,
      network: options.network,
      logger: options.logger,
      signal: this.#abort.signal,
      behindMin: options.snapshotBehind,
      atRest: (height, take) => this.#atRest(height, take),
    });
    this.#gossip = new TransactionGossip({
      chain: options.chain,
      network: options.network,
      mempool: this.mempool,
      conduct: this.#conduct,
      logger: options.logger,
      signal: this.#abort.signal,
      added: () => {
        this.#workDirty = true;
        this.#post({ kind: 'tick' });
      },
      failed: (error) => {
        if (!this.#abort.signal.aborted) this.#halt('gossiped transactions cannot be verified', error);
      },
    });
  }

  #newConsensus(): Consensus {
    const { chain, nodeId, nodeSecret } = this.#options;
    return new Consensus({
      chainId: chain.rules.chainId,
      epoch: chain.epoch,
      seats: chain.seats,
      self: { nodeId, sign: (digest) => sign(digest, nodeSecret) },
      final: chain.final,
      records: this.#log.records,
      abstainEpoch: chain.store.voting.abstainEpoch,
      nowMs: Date.now(),
      salt: Number.parseInt(nodeId.slice(-4), 16),
    });
  }

  #newIntake(): BlockIntake {
    const { chain, network, logger } = this.#options;
    return new BlockIntake(
      {
        chain,
        network,
        logger,
        signal: AbortSignal.any([this.#abort.signal, this.#intakeAbort.signal]),
        inTurn: (run) => this.#inTurn(run),
        executed: (id, block) => this.#executed(id, block),
        commit: async (id) => {
          const header = this.chain.header(id);
          if (header !== undefined)
            await this.#commitUpTo(id, { epoch: header.epoch, view: header.view, certificate: undefined });
        },
        verdict: (blockId, executed) => this.#post({ kind: 'verdict', blockId, executed }),
        starved: () => this.#farBehind.starved(),
        failed: (error) => this.#fail(error),
      },
      this.#log.blocks,
    );
  }

  /** Takes up the log and goes on from it. Throws NodeError `data-damaged`. */
  static async open(options: LedgerNodeOptions): Promise<LedgerNode> {
    const log = await VoteLog.open(options.folder, options.chain, options.nodeId, options.logger);
    const node = new LedgerNode(options, log);
    node.#serve();
    node.#post({ kind: 'tick' });
    return node;
  }

  get view(): number {
    return this.#consensus.view;
  }

  get isMember(): boolean {
    return this.#consensus.isMember;
  }

  /** Whether this member votes, still asks what it signed before, or may not vote in this epoch. */
  get franchise(): Consensus['franchise'] {
    return this.#consensus.franchise;
  }

  get epoch(): number {
    return this.#consensus.committee.epoch;
  }

  get quorum(): number {
    return this.#consensus.committee.quorum;
  }

  /** Why this node stopped taking part, when it did. */
  get haltReason(): string | undefined {
    return this.#haltReason;
  }

  /** The height it is catching up to, while it does. */
  get catchUpHeight(): number | undefined {
    return this.#leapHeight ?? this.#intake.catchUpHeight;
  }

  /** Median time from a block's timestamp to its finality here, of late blocks, in ms. */
  get finalityMs(): number | undefined {
    return [...this.#finalityMs].sort((a, b) => a - b)[Math.floor(this.#finalityMs.length / 2)];
  }

  /** Wall time at which the newest block became final here. */
  get lastFinalMs(): number | undefined {
    return this.#lastFinalMs;
  }

  /** Whether a snapshot is taking the place of the state: what is signed now is signed over an old one. */
  get isLeaping(): boolean {
    return this.#leapHeight !== undefined;
  }

  /** Whether it cannot go on, since no peer has the next body any more and it is told to take no snapshot. */
  get isStuck(): boolean {
    return this.#farBehind.isStuck;
  }

  notarized(): ReadonlySet<BlockId> {
    return this.#consensus.notarized();
  }

  /** Called with the blocks of every commit, after it is durable. */
  onFinal(listener: (blocks: readonly FinalBlock[]) => void): () => void {
    this.#finalListeners.add(listener);
    return () => this.#finalListeners.delete(listener);
  }

  /** Called with two votes of one member that contradict. */
  onEvidence(listener: (first: Vote, second: Vote) => void): () => void {
    this.#evidenceListeners.add(listener);
    return () => this.#evidenceListeners.delete(listener);
  }

  /** Called when a block was executed, final or not. */
  onBlock(listener: () => void): () => void {
    this.#blockListeners.add(listener);
    return () => this.#blockListeners.delete(listener);
  }

  /** Called after a snapshot took the place of the state, or was to: nobody hears of the blocks that were left out. */
  onLeap(listener: () => void): () => void {
    this.#leapListeners.add(listener);
    return () => this.#leapListeners.delete(listener);
  }

  /**
   * Takes a signed transaction into the pool and tells the others. Throws LedgerError with why it cannot be taken.
   * That it is in the pool is no promise: only a final block is.
   */
  submit(bytes: Uint8Array): Transaction {
    return this.#gossip.submit(bytes);
  }

  /** Takes what a peer says about consensus; what does not hold is ignored. */
  receive(from: NodeId, message: ConsensusMessage): void {
    if (message.kind === 'proposal') this.#intake.assemble(message, this.mempool);
    if (message.kind === 'status') this.#farBehind.heard(message.finalization?.position?.height ?? 0);
    this.#post({ kind: 'message', from, message });
  }

  /** Stops cleanly: what is queued is finished first. */
  async close(): Promise<void> {
    this.#abort.abort();
    clearTimeout(this.#timer);
    await this.#farBehind.closed();
    await this.#running;
    await this.#log.close();
  }

  // ---- from the network

  #serve(): void {
    this.#network.handle(KIND.consensus, CONSENSUS_BYTES_MAX, (from, body, link) => {
      const isMember = this.#consensus.committee.indexOf(from) !== undefined;
      if (!this.#conduct.takes(from, link, isMember, body.length, performance.now())) return undefined;
      try {
        this.receive(from, decodeMessage(body));
      } catch (error) {
        if (!(error instanceof LedgerError)) throw error;
        this.#conduct.refused(from, error.code, performance.now());
      }
      return undefined;
    });
    serveBlocks(this.#network, this.chain, (id) => {
      const block = this.#intake.waiting(id);
      return block === undefined ? undefined : encodeBlock(block);
    });
    const off = this.#network.onPeer((nodeId, state) => {
      if (state !== 'connected') return;
      this.#post({ kind: 'peer', nodeId });
      this.#gossip.greet(nodeId);
    });
    this.#abort.signal.addEventListener('abort', off, { once: true });
    this.#network.preferBy(
      (nodeId) =>
        this.#consensus.committee.indexOf(nodeId) !== undefined ||
        this.chain.state.read(NODES, nodeId) !== undefined,
    );
    const timer = setInterval(() => this.#reachMembers(), REACH_MS);
    timer.unref();
    this.#abort.signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  }

  /** Votes go from member to member: each needs a link to every other, whoever its seeds are. */
  #reachMembers(): void {
    if (!this.#consensus.isMember) return;
    for (const { nodeId } of this.#consensus.committee.seats)
      if (nodeId !== this.#options.nodeId) this.#network.reach(nodeId);
  }

  // ---- the loop

  #post(event: ConsensusEvent): void {
    this.#push({ kind: 'event', event });
  }

  #push(work: Work): void {
    if (this.#abort.signal.aborted) return;
    if (this.#queue.length >= EVENTS_MAX && work.kind === 'event' && work.event.kind === 'message') return;
    this.#queue.push(work);
    if (this.#busy) return;
    // Set before the loop starts, since its first step runs at once and may push; one loop at a time, or the log is torn.
    this.#busy = true;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    const breather = new Breather();
    try {
      for (;;) {
        const work = this.#queue.shift();
        if (work === undefined) {
          this.#reportWork();
          if (this.#queue.length > 0) continue;
          break;
        }
        // A flood of messages must leave room for everything else that this process does.
        if (breather.due) await breather.breathe();
        if (work.kind === 'run') await work.run();
        else if (this.#leapHeight !== undefined) continue;
        else if (work.event.kind === 'message' && this.#network.isShunned(work.event.from)) continue;
        else await this.#carryOut(this.#consensus.step(work.event, Date.now()));
      }
      this.#busy = false;
      this.#setTimer();
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      this.#fail(error);
    }
  }

  /** Going on after what nobody foresaw could only make it worse. */
  #fail(error: unknown): void {
    const { folder } = this.#options;
    const { message } =
      diskError(folder, error) ?? (error instanceof Error ? error : new Error(String(error)));
    this.#halt(message, error);
  }

  #halt(reason: string, error?: unknown): void {
    this.#haltReason = reason;
    this.#options.logger.fatal({ err: error, reason }, 'this node stops taking part in consensus');
    this.#abort.abort();
  }

  /** Tells consensus whether there is something to include on the tip, when that may have changed. */
  #reportWork(): void {
    if (!this.#workDirty || this.#leapHeight !== undefined) return;
    this.#workDirty = false;
    const tip = this.chain.hasState(this.#consensus.tipId) ? this.#consensus.tipId : this.chain.final.id;
    const state = this.chain.stateAfter(tip);
    const nowMs = Date.now();
    const work =
      this.chain.periodTurnDue(tip, nowMs) ||
      this.chain.takesOne(
        { parentId: tip, nowMs, proposer: this.#options.nodeId },
        this.mempool.heads(state),
        (pooled, error) => this.#gossip.refused(pooled, error),
      );
    this.#queue.push({ kind: 'event', event: { kind: 'work', work } });
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    if (this.#leapHeight !== undefined) return;
    const wakes = [this.#consensus.nextWakeMs() ?? Number.POSITIVE_INFINITY];
    const clock = clockOf(this.chain.state);
    if (clock.liveContracts > 0) wakes.push(clock.periodStartedMs + this.chain.rules.parameters.periodMs);
    const wakeMs = Math.min(...wakes);
    if (!Number.isFinite(wakeMs) || this.#abort.signal.aborted) return;
    this.#timer = setTimeout(
      () => {
        this.#workDirty = true;
        this.#post({ kind: 'tick' });
      },
      Math.max(5, wakeMs - Date.now()),
    );
  }

  async #carryOut(effects: readonly Effect[]): Promise<void> {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'append':
          this.#log.addRecord(effect.record);
          break;
        case 'sync':
          await this.#log.sync();
          this.#queue.unshift({ kind: 'event', event: { kind: 'synced', sequence: effect.sequence } });
          break;
        case 'send': {
          const body = encodeMessage(effect.message);
          if (effect.to === 'all') this.#network.broadcast(KIND.consensus, body);
          else if (effect.to === 'members') {
            for (const { nodeId } of this.#consensus.committee.seats)
              if (nodeId !== this.#options.nodeId) this.#network.notify(nodeId, KIND.consensus, body);
          } else this.#network.notify(effect.to, KIND.consensus, body);
          break;
        }
        case 'build':
          await this.#build(effect.view, effect.parentId);
          break;
        case 'execute':
          void this.#intake.obtain(effect.blockId, effect.from, effect.final);
          break;
        case 'commit':
          await this.#commit(effect.certificate, effect.position);
          break;
        case 'release':
          await this.chain.release(effect.blockId);
          break;
        case 'send-boundary': {
          const boundary = this.chain.store.boundary(effect.epoch);
          if (boundary === undefined) break;
          const { certificate } = boundary;
          this.#network.notify(
            effect.to,
            KIND.consensus,
            encodeMessage({ kind: 'certificate', certificate }),
          );
          break;
        }
        case 'epoch': {
          const { epoch, seats } = effect;
          this.#options.logger.info({ epoch, seats: seats.length }, 'another committee votes from here on');
          break;
        }
        case 'evidence':
          this.#options.logger.warn({ node: effect.first.signer }, 'a member signed contradicting votes');
          for (const listener of this.#evidenceListeners) listener(effect.first, effect.second);
          break;
        case 'blame':
          this.#network.shun(effect.peer, effect.reason);
          break;
        case 'abstain':
          this.#options.logger.error({ reason: effect.reason }, 'this node votes no more in this epoch');
          await this.chain.store.setVoting({ ...this.chain.store.voting, abstainEpoch: effect.epoch });
          break;
        case 'halt':
          this.#halt(effect.reason);
          break;
        default:
          effect satisfies never;
      }
    }
  }

  // ---- a snapshot in place of what would have to be executed

  async #atRest(height: number, take: () => Promise<void>): Promise<void> {
    await this.#inTurn(async () => {
      this.#leapHeight = height;
      this.#intakeAbort.abort();
    });
    try {
      await take();
    } finally {
      await this.#inTurn(() => this.#beginAnew().catch((error: unknown) => this.#fail(error)));
    }
  }

  /** As after a restart: from the ledger and the log as they are now. */
  async #beginAnew(): Promise<void> {
    const { folder, nodeId, logger } = this.#options;
    await this.#log.close();
    this.#log = await VoteLog.open(folder, this.chain, nodeId, logger);
    this.#intakeAbort = new AbortController();
    this.#intake = this.#newIntake();
    this.#consensus = this.#newConsensus();
    const waiting = [...this.mempool.all()];
    this.mempool.prune(this.chain.state, Date.now(), new Set(waiting.map((one) => one.transaction.sender)));
    this.#leapHeight = undefined;
    this.#workDirty = true;
    for (const listener of this.#leapListeners) listener();
    for (const { nodeId } of this.#network.peers()) this.#post({ kind: 'peer', nodeId });
    this.#post({ kind: 'tick' });
  }

  // ---- building and executing

  async #build(view: number, parentId: BlockId): Promise<void> {
    const block = await this.chain.build(
      {
        parentId,
        epoch: this.#consensus.committee.epoch,
        view,
        proposer: this.#options.nodeId,
        nowMs: Date.now(),
      },
      this.mempool.inOrder(this.chain.stateAfter(parentId)),
      (pooled, error) => this.#gossip.refused(pooled, error),
    );
    if (block !== undefined) this.#executed(blockIdOf(block.header), block);
    const built = block && {
      block,
      transactionIds: block.transactions.map(transactionId),
      nextSeats: this.chain.nextSeats(blockIdOf(block.header)),
    };
    this.#queue.unshift({ kind: 'event', event: { kind: 'built', view, built } });
  }

  /** A block whose state is kept: it goes into the log, so that a vote for it never outlives it. */
  #executed(id: BlockId, block: Block): void {
    this.#log.addBlock(id, block);
    this.#workDirty = true;
    for (const listener of this.#blockListeners) listener();
  }

  /** Runs something in the order of events. */
  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const { signal } = this.#abort;
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(signal.reason);
      if (signal.aborted) return ended();
      signal.addEventListener('abort', ended, { once: true });
      const over = (): void => signal.removeEventListener('abort', ended);
      this.#push({ kind: 'run', run: () => run().then(resolve, reject).finally(over) });
    });
  }

  // ---- finality

  async #commit(certificate: Certificate, position: Position): Promise<void> {
    await this.#commitUpTo(position.blockId, {
      epoch: certificate.epoch,
      view: certificate.view,
      certificate,
    });
    this.#intake.giveUp((id) => this.#consensus.awaits(id));
    await this.#log.compact(
      () => this.chain.pending(),
      () => [{ kind: 'certificate', certificate }, ...this.#consensus.liveRecords()],
    );
  }

  async #commitUpTo(
    id: BlockId,
    at: { epoch: number; view: number; certificate: Certificate | undefined },
  ): Promise<void> {
    const header = this.chain.header(id);
    // A block that was proposed again may be final by more than one view, and a long way may have passed it already.
    if (header !== undefined && header.height <= this.chain.final.height) {
      const known = this.chain.store.idAt(header.height);
      invariant(known === undefined || known === id, `two final blocks at height ${header.height}`);
      const { certificate } = at;
      if (id === this.chain.final.id && certificate !== undefined)
        await this.chain.confirm({ ...at, certificate });
      return;
    }
    const ids: BlockId[] = [];
    for (let next = id; next !== this.chain.final.id; ) {
      ids.unshift(next);
      next = (this.chain.header(next) as Block['header']).parentId;
    }
    const blocks = await this.chain.commit(ids, at);
    for (const { id: blockId, block } of blocks) {
      this.#log.forgetBlock(blockId);
      const ageMs = Date.now() - block.header.timestampMs;
      if (ageMs < CAUGHT_UP_MS) this.#finalityMs.push(Math.max(0, ageMs));
    }
    if (this.#finalityMs.length > 200) this.#finalityMs.splice(0, 100);
    if (blocks.length === 0) return;
    this.#lastFinalMs = Date.now();
    const senders = new Set(blocks.flatMap(({ block }) => block.transactions.map(({ sender }) => sender)));
    this.mempool.prune(this.chain.state, Date.now(), senders);
    this.#workDirty = true;
    for (const listener of this.#finalListeners) listener(blocks);
  }
}
