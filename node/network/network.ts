import { setMaxListeners } from 'node:events';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ChainId, NodeId } from '../../ledger/ids.ts';
import { BackOff } from './back-off.ts';
import { Budget } from './budget.ts';
import { BulkPool, CONNECTIONS_MAX } from './bulk-pool.ts';
import { selfSignedCertificate } from './certificate.ts';
import type { Channel } from './channel.ts';
import { within } from './deadline.ts';
import { dial } from './dial.ts';
import { Directory, type RecordStore } from './directory.ts';
import { type Door, openDoor } from './door.ts';
import { placeFor } from './fair-share.ts';
import { answerHello, type Identity, identityOf, type Purpose } from './hello.ts';
import { KIND } from './kinds.ts';
import { BODY_BYTES_MAX, type Gate, type Handler, Link } from './link.ts';
import { NetworkError } from './network-error.ts';
import { encodeRecords, RECORD_BYTES_MAX, RECORDS_MAX } from './node-record.ts';

/** Links to other nodes: one connection a peer for small requests and gossip, a small pool a peer for bulk. */

const PEERS_MAX = 64;
/** Of these, places that strangers cannot take. */
const PREFERRED_PLACES = 16;
const BULK_INBOUND_MAX = 128;
const BULK_PREFERRED_PLACES = 32;
const BULK_POOLS_MAX = 256;
/** Answers that were not yet sent, of all connections; beyond, strangers are asked to come back. */
const UNSENT_BYTES_MAX = 256 * 1_048_576;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;
/** A link that lasted so long was no failure. */
const STEADY_MS = 5_000;
/** How often it is looked whether the link to a seed is still there. */
const LOOK_AGAIN_MS = 500;
const REQUEST_MS = 10_000;
/** Two links to one peer that are younger than this have crossed; an older one was left behind by a restart. */
const CROSSING_MS = 2_000;
/** How long the link that gave way still carries what was under way on it. */
const RETIRED_MS = 2_000;

/** Messages with node records that a link brings: at first all that the other end knows, then what is new. */
const RECORDS_PER_SECOND = 4;
const RECORDS_BURST = 64;

/** A node that misbehaved is not spoken to for this long. */
const SHUN_MS = 60_000;
const SHUNNED_MAX = 1_024;

export interface NetworkOptions {
  readonly chainId: ChainId;
  readonly nodeSecret: Uint8Array;
  readonly host: string;
  readonly port: number;
  /** Addresses that others are told; by default the listening port on every host that was dialled is not guessed. */
  readonly advertise: readonly string[];
  /** Addresses to keep connected to. */
  readonly seeds: readonly string[];
  /** Keeps node records over restarts. */
  readonly records: RecordStore;
  readonly logger: Logger;
}

export interface PeerInfo {
  readonly nodeId: NodeId;
  readonly address: string;
  readonly direction: 'inbound' | 'outbound';
  readonly connectedMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly roundTripMs: number | undefined;
}

export interface RequestOptions {
  readonly deadlineMs?: number;
  /** Over a connection of its own from the pool: for large bodies either way. */
  readonly bulk?: boolean;
}

export class Network {
  readonly #self: Identity;
  readonly #directory: Directory;
  readonly #handlers = new Map<number, Handler>();
  readonly #links = new Map<NodeId, Link>();
  readonly #retired = new Map<NodeId, Link>();
  readonly #pools = new Map<NodeId, BulkPool>();
  readonly #inboundBulk = new Set<Link>();
  readonly #seeds = new Set<NodeId>();
  readonly #listeners = new Set<(nodeId: NodeId, state: 'connected' | 'disconnected') => void>();
  /** Until when, by the monotonic clock. */
  readonly #shunned = new Map<NodeId, number>();
  readonly #dialing = new Map<NodeId, Promise<Link>>();
  readonly #recordBudgets = new WeakMap<Link, Budget>();
  /** One message of records a turn of the event loop. */
  #recordsTurn = Promise.resolve();
  /** By address. */
  readonly #backOff = new BackOff(RETRY_MIN_MS, RETRY_MAX_MS);
  readonly #seedBackOff = new BackOff(RETRY_MIN_MS, RETRY_MAX_MS);
  readonly #abort = new AbortController();
  readonly #logger: Logger;
  #door: Door | undefined;
  #gate: Gate = () => undefined;
  #prefers: (peer: NodeId) => boolean = () => false;
  readonly #roomFor = (link: Link): boolean =>
    this.#prefers(link.peer) ||
    [...this.#links.values(), ...this.#inboundBulk].reduce((sum, { unsentBytes }) => sum + unsentBytes, 0) <
      UNSENT_BYTES_MAX;
  readonly #gated: Gate = (link, kind, body) => this.#gate(link, kind, body);

  private constructor(options: NetworkOptions) {
    // Every dial and every wait for a peer hears of the end; the bounds on peers and pools are theirs, too.
    setMaxListeners(0, this.#abort.signal);
    this.#self = identityOf(options.chainId, options.nodeSecret);
    this.#logger = options.logger;
    this.#directory = new Directory({
      chainId: options.chainId,
      nodeId: this.nodeId,
      nodeSecret: options.nodeSecret,
      advertise: options.advertise,
      store: options.records,
      keep: (nodeId) => this.#links.has(nodeId),
      onSaveFailed: (error) =>
        options.logger.warn({ reason: (error as Error).message }, 'the node records could not be saved'),
    });
    this.handle(KIND.records, RECORD_BYTES_MAX * RECORDS_MAX, (peer, body, link) =>
      this.#receiveRecords(peer, body, link),
    );
  }

  /** Listens and begins to connect. Throws NetworkError `address-in-use`. */
  static async open(options: NetworkOptions): Promise<Network> {
    const network = new Network(options);
    network.#door = await openDoor({
      host: options.host,
      port: options.port,
      certificate: selfSignedCertificate(),
      connectionsMax: PEERS_MAX + BULK_INBOUND_MAX,
      welcome: (channel) => network.#welcome(channel),
    });
    for (const seed of options.seeds) void network.#keepConnected(seed);
    return network;
  }

  get nodeId(): NodeId {
    return this.#self.nodeId;
  }

  /** host:port on which it listens. */
  get address(): string {
    return this.#door?.address ?? '';
  }

  peers(): readonly PeerInfo[] {
    return [...this.#links.values()].map((link) => ({
      nodeId: link.peer,
      address: link.address,
      direction: link.outbound ? 'outbound' : 'inbound',
      connectedMs: link.connectedMs,
      bytesIn: link.bytesIn + (this.#pools.get(link.peer)?.bytesIn ?? 0),
      bytesOut: link.bytesOut + (this.#pools.get(link.peer)?.bytesOut ?? 0),
      roundTripMs: link.roundTripMs,
    }));
  }

  connected(nodeId: NodeId): boolean {
    return this.#links.has(nodeId);
  }

  /** Addresses that a node has signed for. */
  addressesOf(nodeId: NodeId): readonly string[] {
    return this.#directory.addressesOf(nodeId);
  }

  onPeer(listener: (nodeId: NodeId, state: 'connected' | 'disconnected') => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Registers what answers a kind of message. Must be done before peers send it. */
  handle(kind: number, bodyBytesMax: number, handle: Handler['handle']): void {
    this.#handlers.set(kind, { bodyBytesMax: Math.min(bodyBytesMax, BODY_BYTES_MAX), handle });
  }

  /** Sets whom to keep a place for: members of the committee, nodes with a claimed TPM. */
  preferBy(prefers: (peer: NodeId) => boolean): void {
    this.#prefers = prefers;
  }

  /** Sets who may use which kind of message; everybody may use all without. Holds for open links too. */
  admitBy(gate: Gate): void {
    this.#gate = gate;
  }

  notify(peer: NodeId, kind: number, body: Uint8Array): void {
    this.#links.get(peer)?.notify(kind, body);
  }

  broadcast(kind: number, body: Uint8Array, except?: NodeId): void {
    for (const link of this.#links.values()) if (link.peer !== except) link.notify(kind, body);
  }

  /** Links to a node whose address is known, when there is no link; whether it works is heard by `onPeer`. */
  reach(peer: NodeId): void {
    if (this.#openLink(peer) === undefined && this.#dialable(peer).length > 0)
      this.#linkTo(peer).catch((error: unknown) => {
        if (!(error instanceof NetworkError)) throw error;
      });
  }

  /** Asks a node, dialling it when need be. Throws NetworkError. */
  async request(
    peer: NodeId,
    kind: number,
    body: Uint8Array,
    options: RequestOptions = {},
  ): Promise<Uint8Array> {
    const deadlineMs = options.deadlineMs ?? REQUEST_MS;
    // A node that says no address of its own cannot be dialled: the link that it opened carries its transfers too.
    if (options.bulk === true && this.#dialable(peer).length > 0)
      return this.#poolOf(peer).request(kind, body, deadlineMs);
    const endMs = performance.now() + deadlineMs;
    const link = this.#openLink(peer) ?? (await within(deadlineMs, this.#linkTo(peer)));
    return link.request(kind, body, Math.max(1, endMs - performance.now()));
  }

  /** Ends the connections of a peer that misbehaves, and takes and makes none for a while. */
  shun(peer: NodeId, reason: string): void {
    this.#shunned.delete(peer);
    for (const [oldest] of this.#shunned) {
      if (this.#shunned.size < SHUNNED_MAX) break;
      this.#shunned.delete(oldest);
    }
    this.#shunned.set(peer, performance.now() + SHUN_MS);
    this.#logger.warn({ peer, reason }, 'a node misbehaves and is shunned for a while');
    this.#links.get(peer)?.close();
    this.#retired.get(peer)?.close();
    this.#pools.get(peer)?.close();
    this.#pools.delete(peer);
    for (const link of this.#inboundBulk) if (link.peer === peer) link.close();
  }

  /** Whether nothing is heard of a peer for a while because it misbehaved. */
  isShunned(peer: NodeId): boolean {
    const untilMs = this.#shunned.get(peer);
    if (untilMs === undefined) return false;
    if (performance.now() < untilMs) return true;
    this.#shunned.delete(peer);
    return false;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    for (const link of [...this.#links.values(), ...this.#retired.values(), ...this.#inboundBulk])
      link.close();
    for (const pool of this.#pools.values()) pool.close();
    this.#directory.close();
    await this.#door?.close();
  }

  // ---- connections that come in

  async #welcome(channel: Channel): Promise<void> {
    try {
      const { address } = channel;
      const { peer, purpose } = await answerHello(
        channel,
        this.#self,
        (id, wanted) => this.#placeFor(id, wanted, address) !== undefined,
      );
      const place = this.#abort.signal.aborted ? undefined : this.#placeFor(peer, purpose, address);
      if (place === undefined) return void channel.stream.destroy();
      if (place !== 'free') place.close();
      if (purpose === 'link') return void this.#adopt(channel, peer, false);
      const link = this.#link(channel, peer, false, 'bulk', (closed) => this.#inboundBulk.delete(closed));
      this.#inboundBulk.add(link);
    } catch (error) {
      this.#logger.debug(
        { address: channel.address, reason: (error as Error).message },
        'a connection was refused',
      );
      channel.closeSoon();
    }
  }

  /** Whether a peer may come in: to a free place, or to that of a connection which gives way. */
  #placeFor(peer: NodeId, purpose: Purpose, address: string): 'free' | Link | undefined {
    if (this.isShunned(peer)) return undefined;
    const newcomer = { address, preferred: this.#prefers(peer) };
    if (purpose === 'link') {
      if (this.#links.has(peer)) return 'free';
      const held = [...this.#links.values()];
      const strangers = held.filter(
        (link) => !link.outbound && !this.#seeds.has(link.peer) && !this.#prefers(link.peer),
      );
      return placeFor(newcomer, PEERS_MAX - held.length, PREFERRED_PLACES, strangers);
    }
    const held = [...this.#inboundBulk];
    // An honest peer has no more but when it restarted, and then it has left the first behind.
    const own = held.filter((link) => link.peer === peer);
    if (own.length >= CONNECTIONS_MAX) return own[0];
    const strangers = held.filter((link) => !link.busy && !this.#prefers(link.peer));
    return placeFor(newcomer, BULK_INBOUND_MAX - held.length, BULK_PREFERRED_PLACES, strangers);
  }

  #link(
    channel: Channel,
    peer: NodeId,
    outbound: boolean,
    purpose: Purpose,
    onClose: (link: Link) => void,
  ): Link {
    return new Link(channel, {
      peer,
      outbound,
      purpose,
      handlers: this.#handlers,
      gate: this.#gated,
      roomFor: this.#roomFor,
      onClose,
    });
  }

  /** Makes a connection the link to its peer. Of two that crossed, both ends keep the one the smaller node id dialled. */
  #adopt(channel: Channel, peer: NodeId, outbound: boolean): Link {
    const existing = this.#openLink(peer);
    const link = this.#link(channel, peer, outbound, 'link', (closed) => this.#lost(closed));
    if (
      existing !== undefined &&
      existing.outbound !== outbound &&
      existing.outbound === this.nodeId < peer &&
      performance.now() - existing.openedMs < CROSSING_MS
    ) {
      this.#retire(link);
      return existing;
    }
    const known = this.#links.has(peer);
    this.#links.set(peer, link);
    if (existing !== undefined) this.#retire(existing);
    if (!known) this.#emit(peer, 'connected');
    for (const address of this.addressesOf(peer)) this.#backOff.worked(address);
    for (const message of this.#directory.greeting()) link.notify(KIND.records, message);
    return link;
  }

  /** The other end may have asked something over the link that gives way; one such link a peer. */
  #retire(link: Link): void {
    this.#retired.get(link.peer)?.close();
    this.#retired.set(link.peer, link);
    setTimeout(() => link.close(), RETIRED_MS).unref();
  }

  #lost(link: Link): void {
    if (this.#retired.get(link.peer) === link) this.#retired.delete(link.peer);
    if (this.#links.get(link.peer) !== link) return;
    this.#links.delete(link.peer);
    this.#emit(link.peer, 'disconnected');
  }

  #emit(nodeId: NodeId, state: 'connected' | 'disconnected'): void {
    for (const listener of this.#listeners) listener(nodeId, state);
  }

  // ---- connections that go out

  /** Stays connected to an address for as long as the network is open. */
  async #keepConnected(address: string): Promise<void> {
    const { signal } = this.#abort;
    let known: NodeId | undefined;
    const linkOpen = (): Link | undefined => (known === undefined ? undefined : this.#openLink(known));
    while (!signal.aborted) {
      const link = linkOpen();
      if (link !== undefined) {
        if (performance.now() - link.openedMs > STEADY_MS) this.#seedBackOff.worked(address);
      } else {
        // Also when it works, until the link has lasted: some seeds take a link and drop it at once.
        this.#seedBackOff.failed(address, performance.now());
        try {
          const { channel, peer } = await dial(address, this.#self, 'link', signal);
          if (known !== undefined) this.#seeds.delete(known);
          known = peer;
          this.#seeds.add(peer);
          if (this.isShunned(peer)) channel.stream.destroy();
          else this.#adopt(channel, peer, true);
        } catch (error) {
          if (!(error instanceof NetworkError)) throw error;
          // Its own address among the seeds is no seed.
          if (error.code === 'self') return;
          this.#logger.debug({ address, reason: error.message }, 'a node was not reached');
        }
      }
      const restMs =
        linkOpen() === undefined ? this.#seedBackOff.restMs(address, performance.now()) : LOOK_AGAIN_MS;
      await pause(restMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #openLink(peer: NodeId): Link | undefined {
    const link = this.#links.get(peer);
    return link === undefined || link.closed ? undefined : link;
  }

  #linkTo(peer: NodeId): Promise<Link> {
    const open = this.#dialing.get(peer);
    if (open !== undefined) return open;
    const attempt = this.#dialPeer(peer, 'link')
      .then((channel) => {
        const places = PEERS_MAX - (this.#prefers(peer) ? 0 : PREFERRED_PLACES);
        if (this.#links.size >= places && !this.#links.has(peer)) this.#makeRoom();
        return this.#adopt(channel, peer, true);
      })
      .finally(() => this.#dialing.delete(peer));
    this.#dialing.set(peer, attempt);
    return attempt;
  }

  /** Gives up the link that was idle longest, but none to a seed. */
  #makeRoom(): void {
    const idle = [...this.#links.values()]
      .filter((link) => !link.busy && !this.#seeds.has(link.peer))
      .reduce<Link | undefined>((a, b) => (a === undefined || b.usedMs < a.usedMs ? b : a), undefined);
    idle?.close();
  }

  /** Addresses of a peer: those that it signed for, and the one where it was reached. */
  #dialable(peer: NodeId): readonly string[] {
    const link = this.#openLink(peer);
    const signed = this.addressesOf(peer);
    return link?.outbound === true && !signed.includes(link.address) ? [...signed, link.address] : signed;
  }

  async #dialPeer(peer: NodeId, purpose: Purpose): Promise<Channel> {
    if (this.isShunned(peer)) throw new NetworkError('unreachable', 'the node misbehaved and is shunned');
    let last: unknown = new NetworkError('unreachable', 'no address of this node is known');
    for (const address of this.#dialable(peer)) {
      if (this.#backOff.restMs(address, performance.now()) > 0) {
        last = new NetworkError('unreachable', `${address} did not answer a moment ago`);
        continue;
      }
      try {
        const dialled = await dial(address, this.#self, purpose, this.#abort.signal);
        if (dialled.peer === peer) {
          this.#backOff.worked(address);
          return dialled.channel;
        }
        dialled.channel.stream.destroy();
        last = new NetworkError('unreachable', `another node answers at ${address}`);
      } catch (error) {
        last = error;
      }
      this.#backOff.failed(address, performance.now());
    }
    throw last;
  }

  #poolOf(peer: NodeId): BulkPool {
    const existing = this.#pools.get(peer);
    if (existing !== undefined) return existing;
    if (this.#pools.size >= BULK_POOLS_MAX)
      for (const [nodeId, { unused }] of this.#pools) if (unused) this.#pools.delete(nodeId);
    if (this.#pools.size >= BULK_POOLS_MAX)
      throw new NetworkError('overloaded', 'transfers with too many nodes are under way');
    const pool = new BulkPool(async (onClose) =>
      this.#link(await this.#dialPeer(peer, 'bulk'), peer, true, 'bulk', onClose),
    );
    this.#pools.set(peer, pool);
    return pool;
  }

  async #receiveRecords(peer: NodeId, body: Uint8Array, link: Link): Promise<undefined> {
    const nowMs = performance.now();
    const budget = this.#recordBudgets.get(link) ?? new Budget(RECORDS_PER_SECOND, RECORDS_BURST, nowMs);
    this.#recordBudgets.set(link, budget);
    // Each may take ten milliseconds of signatures here, and as much at everybody who is told.
    if (budget.spend(0, nowMs) > 0) return;
    budget.spend(1, nowMs);
    const turn = this.#recordsTurn.then(() => nextTurn());
    this.#recordsTurn = turn;
    await turn;
    if (this.#abort.signal.aborted) return;
    const { fresh, refused } = this.#directory.receive(body);
    if (refused !== undefined)
      this.#logger.debug({ peer, reason: refused.message }, 'a node record was refused');
    if (fresh.length > 0) this.broadcast(KIND.records, encodeRecords(fresh), peer);
  }
}
