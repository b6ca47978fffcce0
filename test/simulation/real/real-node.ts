import { EventEmitter } from 'node:events';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import type { Vote } from '../../../ledger/consensus/votes.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import type { Genesis } from '../../../ledger/genesis.ts';
import type { NodeId } from '../../../ledger/ids.ts';
import { NodeError } from '../../../node/errors.ts';
import { Chain, type FinalBlock } from '../../../node/ledger/chain/chain.ts';
import { LedgerNode } from '../../../node/ledger/ledger-node.ts';
import { verifyLedger } from '../../../node/ledger/maintenance/verify-ledger.ts';
import { verifyPacked } from '../../../node/ledger/signatures/signature-batch.ts';
import { VerifyPool } from '../../../node/ledger/signatures/verify-pool.ts';
import { SnapshotServer } from '../../../node/ledger/snapshots/snapshot-serve.ts';
import { ledgerLocation } from '../../../node/ledger/store/ledger-database.ts';
import type { Person } from '../../support/ledger-world.ts';
import type { Agenda } from '../agenda.ts';
import { NodeClock } from '../clock.ts';
import type { Mortal } from '../harm.ts';
import type { Observer } from '../observer.ts';
import type { Dice, Shape } from '../shape.ts';
import { FaultyDatabase } from './faulty-database.ts';
import { FaultyLog } from './faulty-log.ts';
import { MemoryNetwork, type Switchboard } from './memory-network.ts';
import { Told } from './told.ts';
import type { Life, VirtualTime } from './virtual-time.ts';

/** A whole real node, LevelDB and vote log included, that can be killed at any moment and started again on what is left. */

const SLOW_SYNC_MS = 1_000;
/** Starts before which the whole ledger is looked through. */
const VERIFIED_CHANCE = 0.2;
/** Bodies that a pruning node keeps, and those that it cuts off at a time. */
const BODIES_KEPT = 3;
const PRUNED_MIN = 2;
/** Chances of dying in a sync, in parts of that of a second: commits are rarer than votes. */
const DYING = { vote: 0.05, commit: 0.5 };

export interface RealSurroundings {
  readonly time: VirtualTime;
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly shape: Shape;
  readonly observer: Observer;
  readonly switchboard: Switchboard;
  readonly genesis: Genesis;
  readonly seeds: readonly NodeId[];
  readonly healed: () => boolean;
  isHonest(id: NodeId): boolean;
  /** Blocks became final at a node. */
  final(node: RealNode, blocks: readonly FinalBlock[]): void;
  accuse(first: Vote, second: Vote): void;
}

/** Verifies at once what a thread would verify. */
class InlineWorker extends EventEmitter {
  ref(): void {}
  unref(): void {}
  postMessage(packed: Uint8Array): void {
    queueMicrotask(() => this.emit('message', verifyPacked(packed)));
  }
  async terminate(): Promise<number> {
    return 0;
  }
}

export class RealNode implements Mortal {
  readonly id: NodeId;
  readonly clock: NodeClock;
  readonly folder: string;
  up = false;
  #chain: Chain | undefined;
  #ledger: LedgerNode | undefined;
  readonly #person: Person;
  readonly #world: RealSurroundings;
  readonly #log: FaultyLog;
  readonly #database: FaultyDatabase;
  #life: Life | undefined;
  #fullUntilMs = 0;
  /** A disk of this life failed: its node must end itself. */
  #diskFailed = false;
  #hasBackup = false;
  /** A bit of a file turned over, and the node has not started since. */
  #isRotten = false;
  readonly #told = new Told();
  /** The epoch in which it said that it may not vote. */
  #abstainEpoch: number | undefined;

  constructor(person: Person, folder: string, world: RealSurroundings) {
    this.#person = person;
    this.id = person.nodeId;
    this.folder = folder;
    this.#world = world;
    this.clock = new NodeClock(world.agenda);
    const { observer, dice } = world;
    const disk = {
      dice: dice.disk,
      observer,
      isFull: () => this.#isFull,
      failed: () => {
        this.#diskFailed = true;
      },
    };
    this.#log = new FaultyLog({
      ...disk,
      path: join(folder, 'consensus.log'),
      sync: () => this.#syncFate(DYING.vote),
    });
    this.#database = new FaultyDatabase({
      ...disk,
      location: ledgerLocation(folder),
      sync: () => this.#syncFate(DYING.commit),
    });
  }

  get chain(): Chain | undefined {
    return this.#ledger === undefined ? undefined : this.#chain;
  }

  get #isFull(): boolean {
    return !this.#world.healed() && this.#world.agenda.nowMs < this.#fullUntilMs;
  }

  #syncFate(dying: number): { ms: number; fails: boolean } {
    const { dice, shape, healed, agenda } = this.#world;
    const ms =
      dice.disk.whole(1, shape.syncMaxMs) * (dice.disk.chance(shape.slowSyncs) && !healed() ? 40 : 1);
    const fails = dice.disk.chance(shape.failedSyncs) && !healed();
    // The worst moment to die: between saying a thing and having it on disk.
    const life = this.#life;
    if (dice.disk.chance(shape.crashes * (ms > SLOW_SYNC_MS ? 2 : dying)))
      agenda.at(agenda.nowMs + dice.disk.whole(0, ms), () => {
        if (this.#life === life && this.up && !healed()) this.crash();
      });
    return { ms, fails };
  }

  /** Begins, or begins again with what is left. */
  restart(): void {
    const { dice, healed, shape } = this.#world;
    // Who alone decides and forgets everything has nobody to ask.
    if (!healed() && shape.members > 1 && dice.faults.chance(shape.rottenLedgers)) this.#rotLedger();
    this.#begin();
  }

  #begin(): void {
    const { agenda, observer, time } = this.#world;
    const life: Life = { clock: this.clock, ended: false, asleepUntilMs: 0 };
    this.#life = life;
    this.#diskFailed = false;
    this.up = true;
    observer.count('starts');
    const start = (): void => {
      this.#start(life).catch((error: unknown) => this.#failed(life, error));
    };
    // Never while it is being killed, as in a power cut.
    agenda.at(agenda.nowMs, () => time.enter(life, start));
  }

  async #start(life: Life): Promise<void> {
    const { time, agenda, dice, observer, switchboard, genesis, seeds, isHonest } = this.#world;
    if (!this.#isRotten && dice.disk.chance(VERIFIED_CHANCE)) await this.#verify();
    const pool = new VerifyPool({ start: () => new InlineWorker() as unknown as Worker });
    const chain = await Chain.open(this.folder, genesis, pool);
    this.#chain = chain;
    this.#countInvalid(chain);
    const missing = this.#told.missingFrom(chain);
    if (missing !== undefined) observer.violate(missing);
    this.#world.final(this, this.#told.newIn(chain));
    const { id, folder } = this;
    const network = new MemoryNetwork({ id, life, time, agenda, switchboard, observer, seeds, isHonest });
    const { nodeSecret } = this.#person;
    const { snapshotBehind } = this.#world.shape;
    const snapshots = new SnapshotServer(network.asNetwork, chain);
    const logger = pino({ level: process.env.TEST_LOG ?? 'silent' });
    const options = {
      chain,
      network: network.asNetwork,
      folder,
      nodeId: id,
      nodeSecret,
      logger,
      snapshotBehind,
    };
    const ledger = await LedgerNode.open(options);
    this.#ledger = ledger;
    this.#isRotten = false;
    if (this.#abstainEpoch === chain.epoch && ledger.franchise !== 'abstaining')
      observer.violate('a node that may not vote forgot it');
    ledger.onFinal((blocks) => {
      this.#told.add(blocks);
      snapshots.committed();
      this.#prune(chain);
      this.#world.final(this, blocks);
    });
    ledger.onLeap(() => {
      const { height } = chain.final;
      if (chain.store.prunedHeight === height) observer.count('states taken over');
      this.#told.reached(height);
    });
    ledger.onEvidence((first, second) => this.#world.accuse(first, second));
  }

  /** Cuts old bodies off, where a state can be had in their stead. */
  #prune({ store }: Chain): void {
    const { shape, observer } = this.#world;
    const to = store.final.height - BODIES_KEPT;
    if (!shape.prunes || shape.snapshotBehind === 0 || to - store.prunedHeight < PRUNED_MIN) return;
    observer.count('bodies cut off');
    store.cutBodies(store.prunedHeight + 1, to).catch((error: Error) => {
      if (!this.#diskFailed) observer.violate(`bodies cannot be cut off: ${error.stack}`);
    });
  }

  /** What is left on disk is whole. */
  async #verify(): Promise<void> {
    const { observer, genesis } = this.#world;
    if (this.#told.height === 0) return;
    const { findings } = await verifyLedger({ dataFolder: this.folder, genesis });
    for (const { where, what } of findings) observer.violate(`after a crash ${where} is damaged: ${what}`);
    observer.count('ledgers verified');
  }

  /** Counts what execution refuses. */
  #countInvalid(chain: Chain): void {
    const execute = chain.execute.bind(chain);
    chain.execute = (block) =>
      execute(block).catch((error: unknown) => {
        if (error instanceof LedgerError) this.#world.observer.count(`invalid blocks: ${error.code}`);
        throw error;
      });
  }

  #failed(life: Life, error: unknown): void {
    if (this.#life !== life || life.ended) return;
    this.crash();
    if (this.#diskFailed) return;
    if (!(error instanceof NodeError) || error.code !== 'data-damaged' || !this.#isRotten)
      return this.#world.observer.violate(`a node does not start: ${(error as Error).stack}`);
    // What the message says: away with what is damaged.
    const isLog = error.message.includes('consensus.log');
    this.#world.observer.count(isLog ? 'damaged logs refused' : 'damaged ledgers refused');
    if (isLog) rmSync(join(this.folder, 'consensus.log'));
    else {
      rmSync(ledgerLocation(this.folder), { recursive: true });
      this.#told.forget();
      this.#abstainEpoch = undefined;
    }
  }

  /** After everything it was told: whether it stopped, and may. */
  look(): void {
    const ledger = this.#ledger;
    if (ledger?.franchise === 'abstaining') this.#abstainEpoch = ledger.epoch;
    const reason = ledger?.haltReason;
    if (reason === undefined) return;
    if (this.#diskFailed) this.crash();
    else this.#world.observer.violate(`a node halted: ${reason}`);
  }

  submit(bytes: Uint8Array): void {
    const [life, ledger] = [this.#life, this.#ledger];
    if (!this.up || life === undefined || ledger === undefined) return;
    this.#world.time.enter(life, () => {
      try {
        ledger.submit(bytes);
      } catch (error) {
        if (!(error instanceof LedgerError)) throw error;
        this.#world.observer.count(`refused: ${error.code}`);
      }
    });
  }

  crash(): void {
    const { time, switchboard, observer } = this.#world;
    const chain = this.#chain;
    if (this.#life !== undefined) this.#life.ended = true;
    this.up = false;
    this.#chain = undefined;
    this.#ledger = undefined;
    switchboard.remove(this.id);
    observer.count('crashes');
    time.outside(() => {
      this.#log.crash();
      void this.#database.crash().then(() => chain?.close());
    });
  }

  backUp(): void {
    rmSync(`${this.folder}.backup`, { recursive: true, force: true });
    cpSync(this.folder, `${this.folder}.backup`, { recursive: true });
    this.#hasBackup = true;
  }

  suffer(misfortune: Shape['misfortune']): void {
    const { observer } = this.#world;
    if (misfortune === 'lost log') {
      rmSync(join(this.folder, 'consensus.log'), { force: true });
      observer.count('logs lost');
    } else if (misfortune === 'bit rot') {
      if (this.#rot(join(this.folder, 'consensus.log'))) {
        observer.setBack.add(this.id);
        observer.count('rotten logs');
      }
    } else if (this.#hasBackup) {
      rmSync(this.folder, { recursive: true });
      cpSync(`${this.folder}.backup`, this.folder, { recursive: true });
      this.#told.forget();
      this.#abstainEpoch = undefined;
      observer.setBack.add(this.id);
      observer.count('backups restored');
    }
  }

  /** A bit of the stored ledger turns over while the node is down. */
  #rotLedger(): void {
    const location = ledgerLocation(this.folder);
    if (!existsSync(location) || this.#database.lostMark) return;
    const files = readdirSync(location)
      .filter((name) => /^(MANIFEST-|\d+\.)/.test(name))
      .sort();
    if (files.length > 0 && this.#rot(join(location, this.#world.dice.faults.pick(files))))
      this.#world.observer.count('rotten ledgers');
  }

  /** False for a file that is not there or without content. */
  #rot(path: string): boolean {
    const { faults } = this.#world.dice;
    const bytes = existsSync(path) ? readFileSync(path) : new Uint8Array(0);
    if (bytes.length === 0) return false;
    const at = faults.whole(0, bytes.length - 1);
    this.#isRotten = true;
    bytes[at] = (bytes[at] as number) ^ (1 << faults.whole(0, 7));
    writeFileSync(path, bytes);
    return true;
  }

  suspend(forMs: number): void {
    if (this.#life !== undefined) this.#life.asleepUntilMs = this.#world.agenda.nowMs + forMs;
    this.#world.observer.count('suspends');
  }

  fillDisk(forMs: number): void {
    this.#fullUntilMs = this.#world.agenda.nowMs + forMs;
    this.#world.observer.count('full disks');
  }
}
