import { setTimeout as pause } from 'node:timers/promises';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import { LedgerError } from '../../ledger/errors.ts';
import type { ChainId, NodeId } from '../../ledger/ids.ts';
import { selfSignedCertificate } from './certificate.ts';
import { answerHello, type Identity, identityOf, type Purpose, sayHello } from './hello.ts';
import { KIND } from './kinds.ts';
import { FRAME_BYTES_MAX, type Gate, type Handler, Link } from './link.ts';
import { NetworkError } from './network-error.ts';
import {
  checkRecord,
  decodeRecords,
  encodeRecords,
  type NodeRecord,
  RECORD_BYTES_MAX,
  RECORDS_MAX,
  signRecord,
  splitAddress,
} from './node-record.ts';

/** Links to other nodes: one connection a peer for small requests and gossip, a small pool a peer for bulk. */

const ALPN = 'blocktree/1';
const PEERS_MAX = 64;
const UNAUTHENTICATED_MAX = 64;
const BULK_PER_PEER_MAX = 4;
const BULK_INBOUND_MAX = 128;
const BULK_IDLE_MS = 30_000;
const RECORDS_KEPT_MAX = 10_000;
const DIAL_MS = 5_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;
const REQUEST_MS = 10_000;

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
  readonly records: { load(): readonly Uint8Array[]; save(records: readonly Uint8Array[]): void };
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

interface PooledBulk {
  /** Absent while it is dialled. */
  link: Link | undefined;
  busy: boolean;
  idleTimer: NodeJS.Timeout | undefined;
}

export class Network {
  readonly #options: NetworkOptions;
  readonly #self: Identity;
  readonly #certificate = selfSignedCertificate();
  readonly #handlers = new Map<number, Handler>();
  readonly #links = new Map<NodeId, Link>();
  readonly #bulk = new Map<NodeId, PooledBulk[]>();
  readonly #bulkWaiting = new Map<NodeId, (() => void)[]>();
  readonly #inboundBulk = new Set<Link>();
  readonly #records = new Map<NodeId, NodeRecord>();
  readonly #listeners = new Set<(nodeId: NodeId, state: 'connected' | 'disconnected') => void>();
  readonly #dialing = new Map<string, Promise<Link>>();
  readonly #abort = new AbortController();
  readonly #logger: Logger;
  #server: Server | undefined;
  #unauthenticated = 0;
  #gate: Gate = () => undefined;
  readonly #gated: Gate = (link, kind, body) => this.#gate(link, kind, body);
  #address = '';

  private constructor(options: NetworkOptions) {
    this.#options = options;
    this.#self = identityOf(options.chainId, options.nodeSecret);
    this.#logger = options.logger;
    this.handle(KIND.records, RECORD_BYTES_MAX * RECORDS_MAX, (peer, body) =>
      this.#receiveRecords(peer, body),
    );
  }

  /** Listens and begins to connect. Throws NetworkError `address-in-use`. */
  static async open(options: NetworkOptions): Promise<Network> {
    const network = new Network(options);
    await network.#listen();
    network.#loadRecords();
    for (const seed of options.seeds) void network.#keepConnected(seed);
    return network;
  }

  get nodeId(): NodeId {
    return this.#self.nodeId;
  }

  /** host:port on which it listens. */
  get address(): string {
    return this.#address;
  }

  peers(): readonly PeerInfo[] {
    return [...this.#links.values()].map((link) => ({
      nodeId: link.peer,
      address: link.address,
      direction: link.outbound ? 'outbound' : 'inbound',
      connectedMs: link.connectedMs,
      bytesIn: link.bytesIn + this.#bulkBytes(link.peer, 'bytesIn'),
      bytesOut: link.bytesOut + this.#bulkBytes(link.peer, 'bytesOut'),
      roundTripMs: link.roundTripMs,
    }));
  }

  #bulkBytes(peer: NodeId, direction: 'bytesIn' | 'bytesOut'): number {
    return (this.#bulk.get(peer) ?? []).reduce((sum, pooled) => sum + (pooled.link?.[direction] ?? 0), 0);
  }

  connected(nodeId: NodeId): boolean {
    return this.#links.has(nodeId);
  }

  /** Addresses that a node has signed for. */
  addressesOf(nodeId: NodeId): readonly string[] {
    return this.#records.get(nodeId)?.addresses ?? [];
  }

  onPeer(listener: (nodeId: NodeId, state: 'connected' | 'disconnected') => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Registers what answers a kind of message. Must be done before peers send it. */
  handle(kind: number, bodyBytesMax: number, handle: Handler['handle']): void {
    this.#handlers.set(kind, { bodyBytesMax: Math.min(bodyBytesMax, FRAME_BYTES_MAX), handle });
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

  /** Asks a node, dialling it when need be. Throws NetworkError. */
  async request(
    peer: NodeId,
    kind: number,
    body: Uint8Array,
    options: RequestOptions = {},
  ): Promise<Uint8Array> {
    const deadlineMs = options.deadlineMs ?? REQUEST_MS;
    if (options.bulk !== true) return (await this.#linkTo(peer)).request(kind, body, deadlineMs);
    const pooled = await this.#takeBulk(peer);
    try {
      return await pooled.link.request(kind, body, deadlineMs);
    } finally {
      this.#returnBulk(peer, pooled);
    }
  }

  async close(): Promise<void> {
    this.#abort.abort();
    const server = this.#server;
    for (const link of [...this.#links.values(), ...this.#inboundBulk]) link.close();
    for (const pool of this.#bulk.values()) for (const { link } of pool) link?.close();
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  // ---- listening

  #listen(): Promise<void> {
    const { host, port } = this.#options;
    const server = createServer({
      ...this.#certificate,
      minVersion: 'TLSv1.3',
      ALPNProtocols: [ALPN],
      handshakeTimeout: 5_000,
    });
    this.#server = server;
    server.maxConnections = PEERS_MAX + BULK_INBOUND_MAX + UNAUTHENTICATED_MAX;
    server.on('secureConnection', (socket) => void this.#welcome(socket));
    server.on('tlsClientError', (_, socket) => socket.destroy());
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EADDRINUSE') return reject(error);
        reject(
          new NetworkError(
            'address-in-use',
            `port ${port} on ${host} is busy: stop what uses it or set another with --link-port`,
          ),
        );
      });
      server.listen(port, host, () => {
        const bound = server.address();
        this.#address = `${host}:${typeof bound === 'object' && bound !== null ? bound.port : port}`;
        resolve();
      });
    });
  }

  async #welcome(socket: TLSSocket): Promise<void> {
    socket.on('error', () => socket.destroy());
    if (this.#unauthenticated >= UNAUTHENTICATED_MAX || socket.alpnProtocol !== ALPN)
      return void socket.destroy();
    this.#unauthenticated++;
    try {
      const { peer, purpose } = await answerHello(
        socket,
        this.#self,
        (id) => this.#links.size < PEERS_MAX || this.#links.has(id),
      );
      if (purpose === 'link') this.#adopt(socket, peer, false);
      else if (this.#inboundBulk.size < BULK_INBOUND_MAX) {
        this.#inboundBulk.add(
          new Link(socket, {
            peer,
            outbound: false,
            handlers: this.#handlers,
            gate: this.#gated,
            onClose: (link) => this.#inboundBulk.delete(link),
          }),
        );
      } else socket.destroy();
    } catch (error) {
      this.#logger.debug(
        { address: socket.remoteAddress, reason: (error as Error).message },
        'a connection was refused',
      );
      socket.destroySoon();
    } finally {
      this.#unauthenticated--;
    }
  }

  // ---- dialling

  async #dial(address: string, purpose: Purpose): Promise<{ socket: TLSSocket; peer: NodeId }> {
    const where = splitAddress(address);
    if (where === undefined) throw new NetworkError('unreachable', `expected host:port, got "${address}"`);
    const socket = await new Promise<TLSSocket>((resolve, reject) => {
      // Any certificate will do: the hello says who it is, over this very TLS session.
      const attempt = connect({
        ...where,
        ALPNProtocols: [ALPN],
        minVersion: 'TLSv1.3',
        rejectUnauthorized: false,
      });
      const timer = setTimeout(
        () => attempt.destroy(new NetworkError('unreachable', `no connection within ${DIAL_MS} ms`)),
        DIAL_MS,
      );
      attempt.once('secureConnect', () => {
        clearTimeout(timer);
        attempt.removeAllListeners('error');
        resolve(attempt);
      });
      attempt.once('error', (error) => {
        clearTimeout(timer);
        reject(
          error instanceof NetworkError
            ? error
            : new NetworkError('unreachable', `${address}: ${error.message}`),
        );
      });
    });
    socket.on('error', () => socket.destroy());
    try {
      return { socket, peer: await sayHello(socket, this.#self, purpose) };
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** Makes a connection the link to its peer. Of two that crossed, both ends keep the one the smaller node id dialled. */
  #adopt(socket: TLSSocket, peer: NodeId, outbound: boolean): Link {
    const existing = this.#links.get(peer);
    const preferred = this.nodeId < peer;
    if (
      existing !== undefined &&
      !existing.closed &&
      existing.outbound !== outbound &&
      existing.outbound === preferred &&
      Date.now() - existing.connectedMs < 2_000
    ) {
      socket.destroy();
      return existing;
    }
    const link = new Link(socket, {
      peer,
      outbound,
      handlers: this.#handlers,
      gate: this.#gated,
      onClose: (closed) => this.#lost(closed),
    });
    this.#links.set(peer, link);
    existing?.close();
    if (existing === undefined) this.#emit(peer, 'connected');
    this.#sendRecords(link);
    return link;
  }

  #lost(link: Link): void {
    if (this.#links.get(link.peer) !== link) return;
    this.#links.delete(link.peer);
    this.#emit(link.peer, 'disconnected');
  }

  #emit(nodeId: NodeId, state: 'connected' | 'disconnected'): void {
    for (const listener of this.#listeners) listener(nodeId, state);
  }

  /** Stays connected to an address for as long as the network is open. */
  async #keepConnected(address: string): Promise<void> {
    const { signal } = this.#abort;
    let waitMs = RETRY_MIN_MS;
    let known: NodeId | undefined;
    while (!signal.aborted) {
      if (known === undefined || !this.#links.has(known)) {
        try {
          const { socket, peer } = await this.#dial(address, 'link');
          if (signal.aborted) return void socket.destroy();
          known = peer;
          this.#adopt(socket, peer, true);
          waitMs = RETRY_MIN_MS;
        } catch (error) {
          // Its own address among the seeds is no seed.
          if (
            error instanceof NetworkError &&
            error.code === 'bad-hello' &&
            error.message === 'this is the node itself'
          )
            return;
          this.#logger.debug({ address, reason: (error as Error).message }, 'a node was not reached');
          waitMs = Math.min(waitMs * 1.6, RETRY_MAX_MS);
        }
      }
      const restMs =
        known !== undefined && this.#links.has(known) ? 500 : waitMs * (0.8 + 0.4 * Math.random());
      await pause(restMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #linkTo(peer: NodeId): Promise<Link> {
    const existing = this.#links.get(peer);
    if (existing !== undefined && !existing.closed) return existing;
    const open = this.#dialing.get(peer);
    if (open !== undefined) return open;
    const attempt = this.#dialPeer(peer, 'link').then((socket) => this.#adopt(socket, peer, true));
    this.#dialing.set(peer, attempt);
    try {
      return await attempt;
    } finally {
      this.#dialing.delete(peer);
    }
  }

  async #dialPeer(peer: NodeId, purpose: Purpose): Promise<TLSSocket> {
    if (this.#abort.signal.aborted) throw new NetworkError('closed', 'this node is stopping');
    let last: unknown = new NetworkError('unreachable', 'no address of this node is known');
    for (const address of this.addressesOf(peer)) {
      try {
        const dialled = await this.#dial(address, purpose);
        if (dialled.peer === peer) return dialled.socket;
        dialled.socket.destroy();
        last = new NetworkError('unreachable', `another node answers at ${address}`);
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  // ---- bulk connections: one exchange at a time on each

  async #takeBulk(peer: NodeId): Promise<PooledBulk & { link: Link }> {
    const pool = this.#bulk.get(peer) ?? [];
    this.#bulk.set(peer, pool);
    for (;;) {
      const free = pool.find((pooled) => !pooled.busy && pooled.link?.closed === false);
      if (free?.link !== undefined) {
        free.busy = true;
        clearTimeout(free.idleTimer);
        return free as PooledBulk & { link: Link };
      }
      if (pool.length < BULK_PER_PEER_MAX) break;
      await new Promise<void>((resolve) => {
        this.#bulkWaiting.set(peer, [...(this.#bulkWaiting.get(peer) ?? []), resolve]);
      });
    }
    // The place in the pool is taken before the dialling, so that the bound holds.
    const place: PooledBulk = { link: undefined, busy: true, idleTimer: undefined };
    pool.push(place);
    try {
      const socket = await this.#dialPeer(peer, 'bulk');
      const onClose = (): void => this.#dropBulk(peer, place);
      const link = new Link(socket, {
        peer,
        outbound: true,
        handlers: this.#handlers,
        gate: this.#gated,
        onClose,
      });
      return Object.assign(place, { link });
    } catch (error) {
      this.#dropBulk(peer, place);
      throw error;
    }
  }

  #dropBulk(peer: NodeId, pooled: PooledBulk): void {
    const pool = this.#bulk.get(peer);
    const at = pool?.indexOf(pooled) ?? -1;
    if (at >= 0) pool?.splice(at, 1);
    clearTimeout(pooled.idleTimer);
    this.#wakeBulk(peer);
  }

  #returnBulk(peer: NodeId, pooled: PooledBulk): void {
    pooled.busy = false;
    pooled.idleTimer = setTimeout(() => pooled.link?.close(), BULK_IDLE_MS);
    pooled.idleTimer.unref();
    this.#wakeBulk(peer);
  }

  #wakeBulk(peer: NodeId): void {
    const [first, ...rest] = this.#bulkWaiting.get(peer) ?? [];
    if (first === undefined) return;
    this.#bulkWaiting.set(peer, rest);
    first();
  }

  // ---- node records

  #loadRecords(): void {
    const { chainId, advertise, records, nodeSecret } = this.#options;
    for (const bytes of records.load()) {
      for (const record of decodeRecords(bytes)) this.#records.set(record.nodeId, record);
    }
    const before = this.#records.get(this.nodeId);
    const sequence = Math.max(Date.now(), (before?.sequence ?? 0) + 1);
    const own = signRecord(chainId, { nodeId: this.nodeId, addresses: advertise, sequence }, nodeSecret);
    this.#records.set(this.nodeId, own);
    this.#saveRecords();
  }

  #saveRecords(): void {
    this.#options.records.save(inGroups([...this.#records.values()]).map(encodeRecords));
  }

  #sendRecords(link: Link): void {
    for (const group of inGroups([...this.#records.values()].slice(-1_000)))
      link.notify(KIND.records, encodeRecords(group));
  }

  #receiveRecords(peer: NodeId, body: Uint8Array): undefined {
    const fresh: NodeRecord[] = [];
    try {
      for (const record of decodeRecords(body)) {
        const known = this.#records.get(record.nodeId);
        if (record.nodeId === this.nodeId || (known !== undefined && known.sequence >= record.sequence))
          continue;
        if (known === undefined && this.#records.size >= RECORDS_KEPT_MAX) continue;
        checkRecord(this.#options.chainId, record);
        this.#records.set(record.nodeId, record);
        fresh.push(record);
      }
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      this.#logger.debug({ peer, reason: error.message }, 'a node record was refused');
    }
    if (fresh.length === 0) return;
    this.#saveRecords();
    this.broadcast(KIND.records, encodeRecords(fresh), peer);
  }
}

function inGroups(records: readonly NodeRecord[]): readonly (readonly NodeRecord[])[] {
  return Array.from({ length: Math.ceil(records.length / RECORDS_MAX) }, (_, i) =>
    records.slice(i * RECORDS_MAX, (i + 1) * RECORDS_MAX),
  );
}
