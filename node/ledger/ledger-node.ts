import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import { type Block, blockIdOf, encodeBlock } from '../../ledger/block.ts';
import type { Consensus } from '../../ledger/consensus/consensus.ts';
import type { ConsensusEvent, Effect } from '../../ledger/consensus/events.ts';
import type { ConsensusMessage } from '../../ledger/consensus/messages.ts';
import type { Vote } from '../../ledger/consensus/votes.ts';
import type { BlockId, NodeId } from '../../ledger/ids.ts';
import { Mempool } from '../../ledger/mempool.ts';
import type { Transaction } from '../../ledger/transaction.ts';
import { Listeners } from '../listeners.ts';
import type { Network } from '../network/network.ts';
import { diskError } from '../storage/disk-error.ts';
import { BlockMaker } from './block-maker.ts';
import type { Chain, FinalBlock } from './chain/chain.ts';
import { commitUpTo, type FinalizedBy } from './chain/commit-up-to.ts';
import { CommitteeLinks } from './committee-links.ts';
import { FinalityTimes } from './finality-times.ts';
import { Conduct } from './gossip/conduct.ts';
import { TransactionGossip } from './gossip/transaction-gossip.ts';
import { Participation } from './participation.ts';
import { FarBehind } from './snapshots/far-behind.ts';
import { serveBlocks } from './sync/block-fetch.ts';
import { Turns } from './turns.ts';
import { watchOwnKey } from './votes/own-key.ts';
import { VoteLog } from './votes/vote-log.ts';

/**
 * What a node does with its ledger: it tells consensus what happens and carries out what consensus decides. What waits for
 * the disk or for execution is awaited in order; what waits for peers runs aside and comes back as an event.
 */

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

export class LedgerNode {
  readonly chain: Chain;
  readonly mempool = new Mempool();
  readonly #options: LedgerNodeOptions;
  readonly #network: Network;
  readonly #abort = new AbortController();
  readonly #turns: Turns<ConsensusEvent>;
  readonly #gossip: TransactionGossip;
  readonly #committeeLinks: CommitteeLinks;
  readonly #blockMaker: BlockMaker;
  readonly #farBehind: FarBehind;
  readonly #finalityTimes = new FinalityTimes();
  readonly #final = new Listeners<[blocks: readonly FinalBlock[]]>();
  readonly #evidence = new Listeners<[first: Vote, second: Vote]>();
  readonly #blocks = new Listeners();
  readonly #leaps = new Listeners();
  #part: Participation;
  /** Consensus rests while a snapshot up to this height takes the place of the state. */
  #leapHeight: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What could be included may have changed since consensus was told whether there is something. */
  #workDirty = true;
  #haltReason: string | undefined;

  private constructor(options: LedgerNodeOptions, log: VoteLog) {
    const { signal } = this.#abort;
    const { chain, network, nodeId, logger } = options;
    const { mempool } = this;
    // Everything that waits in this node hears of its end; the bounds on what waits are theirs.
    setMaxListeners(0, signal);
    this.#options = options;
    this.chain = chain;
    this.#network = network;
    this.#turns = new Turns({
      signal,
      mayLose: (event) => event.kind === 'message',
      take: (event) => this.#take(event),
      rest: () => this.#rest(),
      failed: (error) => this.#fail(error),
    });
    this.#part = this.#takePart(log);
    const conduct = new Conduct((peer, reason) => network.shun(peer, reason));
    this.#committeeLinks = new CommitteeLinks({
      chain,
      network,
      nodeId,
      conduct,
      signal,
      consensus: () => this.#part.consensus,
      heard: (from, message) => this.receive(from, message),
    });
    this.#farBehind = new FarBehind({
      chain,
      network,
      logger,
      signal,
      behindMin: options.snapshotBehind,
      atRest: (height, take) => this.#atRest(height, take),
    });
    this.#gossip = new TransactionGossip({
      chain,
      network,
      mempool,
      conduct,
      logger,
      signal,
      added: () => this.#lookForWork(),
      failed: (error) => {
        if (!signal.aborted) this.#halt('gossiped transactions cannot be verified', error);
      },
    });
    const refused = this.#gossip.refused.bind(this.#gossip);
    this.#blockMaker = new BlockMaker({ chain, mempool, nodeId, refused });
    serveBlocks(network, chain, (id) => {
      const block = this.#part.intake.waiting(id);
      return block === undefined ? undefined : encodeBlock(block);
    });
    watchOwnKey({
      network,
      nodeId,
      signal,
      state: () => this.#part.consensus,
      doubt: (restMs) => this.#turns.post({ kind: 'doubt', restMs }),
    });
    const off = network.onPeer((peer, state) => {
      if (state !== 'connected') return;
      this.#turns.post({ kind: 'peer', nodeId: peer });
      this.#gossip.greet(peer);
    });
    signal.addEventListener('abort', off, { once: true });
  }

  /** Takes up the log and goes on from it. Throws NodeError `data-damaged`. */
  static async open(options: LedgerNodeOptions): Promise<LedgerNode> {
    const { folder, chain, nodeId, logger } = options;
    const node = new LedgerNode(options, await VoteLog.open(folder, chain, nodeId, logger));
    node.#turns.post({ kind: 'tick' });
    return node;
  }

  get view(): number {
    return this.#part.consensus.view;
  }

  get isMember(): boolean {
    return this.#part.consensus.isMember;
  }

  /** Whether this member votes, still asks what it signed before, or may not vote in this epoch. */
  get franchise(): Consensus['franchise'] {
    return this.#part.consensus.franchise;
  }

  get epoch(): number {
    return this.#part.consensus.committee.epoch;
  }

  get quorum(): number {
    return this.#part.consensus.committee.quorum;
  }

  /** Why this node stopped taking part, when it did. */
  get haltReason(): string | undefined {
    return this.#haltReason;
  }

  /** The height it is catching up to, while it does. */
  get catchUpHeight(): number | undefined {
    return this.#leapHeight ?? this.#part.intake.catchUpHeight;
  }

  /** Median time from a block's timestamp to its finality here, of late blocks, in ms. */
  get finalityMs(): number | undefined {
    return this.#finalityTimes.medianMs;
  }

  /** Wall time at which the newest block became final here. */
  get lastFinalMs(): number | undefined {
    return this.#finalityTimes.lastMs;
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
    return this.#part.consensus.notarized();
  }

  /** Called with the blocks of every commit, after it is durable. */
  onFinal(listener: (blocks: readonly FinalBlock[]) => void): () => void {
    return this.#final.add(listener);
  }

  /** Called with two votes of one member that contradict. */
  onEvidence(listener: (first: Vote, second: Vote) => void): () => void {
    return this.#evidence.add(listener);
  }

  /** Called when a block was executed, final or not. */
  onBlock(listener: () => void): () => void {
    return this.#blocks.add(listener);
  }

  /** Called after a snapshot took the place of the state, or was to: nobody hears of the blocks that were left out. */
  onLeap(listener: () => void): () => void {
    return this.#leaps.add(listener);
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
    if (message.kind === 'proposal') this.#part.intake.assemble(message, this.mempool);
    if (message.kind === 'status') this.#farBehind.heard(message.finalization?.position?.height ?? 0);
    this.#turns.post({ kind: 'message', from, message });
  }

  /** Stops cleanly: what is under way is finished first. */
  async close(): Promise<void> {
    this.#abort.abort();
    clearTimeout(this.#timer);
    await this.#farBehind.closed();
    await this.#turns.ended();
    await this.#part.log.close();
  }

  // ---- what happens, and what is to be done

  async #take(event: ConsensusEvent): Promise<void> {
    if (this.#leapHeight !== undefined) return;
    if (event.kind === 'message' && this.#network.isShunned(event.from)) return;
    for (const effect of this.#part.consensus.step(event, Date.now())) await this.#carryOut(effect);
  }

  async #carryOut(effect: Effect): Promise<void> {
    const { logger } = this.#options;
    const { log, intake, consensus } = this.#part;
    switch (effect.kind) {
      case 'append':
        log.addRecord(effect.record);
        break;
      case 'sync':
        await log.sync();
        this.#turns.postNext({ kind: 'synced', sequence: effect.sequence });
        break;
      case 'send':
        this.#committeeLinks.send(effect.to, effect.message);
        break;
      case 'build': {
        const { view, parentId } = effect;
        const built = await this.#blockMaker.build({ parentId, epoch: consensus.committee.epoch, view });
        if (built !== undefined) this.#executed(blockIdOf(built.block.header), built.block);
        this.#turns.postNext({ kind: 'built', view, built });
        break;
      }
      case 'execute':
        void intake.obtain(effect.blockId, effect.from, effect.final);
        break;
      case 'commit': {
        const { certificate, position } = effect;
        const { epoch, view } = certificate;
        await this.#commit(position.blockId, { epoch, view, certificate });
        intake.giveUp((id) => consensus.awaits(id));
        await log.compact(
          () => this.chain.pending(),
          () => [{ kind: 'certificate', certificate }, ...consensus.liveRecords()],
        );
        break;
      }
      case 'release':
        await this.chain.release(effect.blockId);
        break;
      case 'send-boundary': {
        const boundary = this.chain.store.boundary(effect.epoch);
        if (boundary === undefined) break;
        const { certificate } = boundary;
        this.#committeeLinks.send(effect.to, { kind: 'certificate', certificate });
        break;
      }
      case 'epoch': {
        const { epoch, seats } = effect;
        logger.info({ epoch, seats: seats.length }, 'another committee votes from here on');
        break;
      }
      case 'evidence':
        logger.warn({ node: effect.first.signer }, 'a member signed contradicting votes');
        this.#evidence.tell(effect.first, effect.second);
        break;
      case 'blame':
        this.#network.shun(effect.peer, effect.reason);
        break;
      case 'abstain':
        logger.error({ reason: effect.reason }, 'this node votes no more in this epoch');
        await this.chain.store.setVoting({ ...this.chain.store.voting, abstainEpoch: effect.epoch });
        break;
      case 'halt':
        this.#halt(effect.reason);
        break;
      default:
        effect satisfies never;
    }
  }

  /** A block whose state is kept: it goes into the log, so that a vote for it never outlives it. */
  #executed(id: BlockId, block: Block): void {
    this.#part.log.addBlock(id, block);
    this.#workDirty = true;
    this.#blocks.tell();
  }

  async #commit(id: BlockId, by: FinalizedBy): Promise<void> {
    const blocks = await commitUpTo(this.chain, id, by);
    if (blocks.length === 0) return;
    for (const { id: blockId } of blocks) this.#part.log.forgetBlock(blockId);
    this.#finalityTimes.note(blocks);
    const senders = new Set(blocks.flatMap(({ block }) => block.transactions.map(({ sender }) => sender)));
    this.mempool.prune(this.chain.state, Date.now(), senders);
    this.#workDirty = true;
    this.#final.tell(blocks);
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

  // ---- when nothing happens

  /** Tells consensus whether there is something to include on the tip, when that may have changed; else waits. */
  #rest(): ConsensusEvent | undefined {
    if (this.#leapHeight !== undefined) {
      clearTimeout(this.#timer);
      return undefined;
    }
    if (this.#workDirty) {
      this.#workDirty = false;
      const { tipId } = this.#part.consensus;
      const parentId = this.chain.hasState(tipId) ? tipId : this.chain.final.id;
      return { kind: 'work', work: this.#blockMaker.hasWork(parentId) };
    }
    this.#setTimer();
    return undefined;
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const wakes = [this.#part.consensus.nextWakeMs(), this.#blockMaker.periodTurnMs()];
    const wakeMs = Math.min(...wakes.filter((wake) => wake !== undefined));
    if (!Number.isFinite(wakeMs) || this.#abort.signal.aborted) return;
    this.#timer = setTimeout(() => this.#lookForWork(), Math.max(5, wakeMs - Date.now()));
  }

  #lookForWork(): void {
    this.#workDirty = true;
    this.#turns.post({ kind: 'tick' });
  }

  // ---- taking part, and beginning anew where a snapshot takes the place of what would have to be executed

  #takePart(log: VoteLog): Participation {
    const { chain, network, logger, nodeId, nodeSecret } = this.#options;
    return new Participation(
      {
        chain,
        network,
        logger,
        nodeId,
        nodeSecret,
        signal: this.#abort.signal,
        inTurn: (run) => this.#turns.inTurn(run),
        executed: (id, block) => this.#executed(id, block),
        commit: async (id) => {
          const header = chain.header(id);
          if (header === undefined) return;
          const { epoch, view } = header;
          await this.#commit(id, { epoch, view, certificate: undefined });
        },
        verdict: (blockId, executed) => this.#turns.post({ kind: 'verdict', blockId, executed }),
        starved: () => this.#farBehind.starved(),
        failed: (error) => this.#fail(error),
      },
      log,
    );
  }

  async #atRest(height: number, take: () => Promise<void>): Promise<void> {
    await this.#turns.inTurn(async () => {
      this.#leapHeight = height;
      this.#part.giveUp();
    });
    try {
      await take();
    } finally {
      await this.#turns.inTurn(() => this.#beginAnew().catch((error: unknown) => this.#fail(error)));
    }
  }

  /** As after a restart: from the ledger and the log as they are now. */
  async #beginAnew(): Promise<void> {
    const { folder, nodeId, logger } = this.#options;
    await this.#part.log.close();
    this.#part = this.#takePart(await VoteLog.open(folder, this.chain, nodeId, logger));
    const waiting = [...this.mempool.all()];
    this.mempool.prune(this.chain.state, Date.now(), new Set(waiting.map((one) => one.transaction.sender)));
    this.#leapHeight = undefined;
    this.#leaps.tell();
    for (const { nodeId } of this.#network.peers()) this.#turns.post({ kind: 'peer', nodeId });
    this.#lookForWork();
  }
}
