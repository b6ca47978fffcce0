import type { Socket } from 'node:net';
import { createServer } from 'node:tls';
import { Budget } from './budget.ts';
import { addressGroup, largestShare } from './fair-share.ts';
import { NetworkError } from './network-error.ts';
import { ALPN, TlsChannel } from './tls-channel.ts';
import type { Door, DoorOptions } from './transport.ts';

/** The listening end: TLS 1.3, and bounds on those who have not yet said who they are. */

/** Connections that have not said hello: in all, and from one group of addresses (several nodes may share one). */
const UNAUTHENTICATED_MAX = 128;
const UNAUTHENTICATED_PER_GROUP_MAX = 48;
/** Connections that one group of addresses may begin in the long run, and at once: each costs a millisecond or two. */
const CONNECTS_PER_SECOND = 20;
const CONNECTS_BURST = 256;
/** Groups of addresses whose connections are counted. */
const GROUPS_MAX = 4_096;
const HANDSHAKE_MS = 5_000;

export interface TlsDoorOptions extends DoorOptions {
  readonly certificate: { readonly key: string; readonly cert: string };
}

/** Throws NetworkError `address-in-use`. */
export function openDoor({
  host,
  port,
  certificate,
  connectionsMax,
  welcome,
}: TlsDoorOptions): Promise<Door> {
  const waiting = new Map<string, { readonly socket: Socket; readonly group: string }>();
  const rate = new ConnectRate();
  const server = createServer({
    ...certificate,
    minVersion: 'TLSv1.3',
    ALPNProtocols: [ALPN],
    handshakeTimeout: HANDSHAKE_MS,
  });
  server.maxConnections = connectionsMax + UNAUTHENTICATED_MAX;
  server.on('connection', (socket: Socket) => {
    if (socket.remoteAddress === undefined) return void socket.destroy();
    const group = addressGroup(socket.remoteAddress);
    let same = 0;
    for (const other of waiting.values()) if (other.group === group) same++;
    if (same >= UNAUTHENTICATED_PER_GROUP_MAX || rate.exceeded(group)) return void socket.destroy();
    // Whoever means well has said hello long before: who has waited longest among those from one place gives way.
    if (waiting.size >= UNAUTHENTICATED_MAX) {
      const [late, { socket: lateSocket }] = largestShare(waiting, ([, other]) => other.group).first;
      waiting.delete(late);
      lateSocket.destroy();
    }
    const key = endpoint(socket);
    waiting.set(key, { socket, group });
    socket.once('close', () => waiting.delete(key));
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', () => socket.destroy());
    const key = endpoint(socket);
    if (socket.alpnProtocol !== ALPN) return void socket.destroy();
    void welcome(TlsChannel.accepted(socket)).finally(() => waiting.delete(key));
  });
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
      resolve({
        address: `${host.includes(':') ? `[${host}]` : host}:${typeof bound === 'object' && bound !== null ? bound.port : port}`,
        get waiting() {
          return waiting.size;
        },
        close() {
          for (const { socket } of waiting.values()) socket.destroy();
          return new Promise((done) => server.close(() => done()));
        },
      });
    });
  });
}

/** How many connections each group of addresses begins. */
class ConnectRate {
  readonly #budgets = new Map<string, Budget>();

  /** Counts one more. */
  exceeded(group: string): boolean {
    const nowMs = performance.now();
    const budget = this.#budgets.get(group) ?? new Budget(CONNECTS_PER_SECOND, CONNECTS_BURST, nowMs);
    this.#budgets.delete(group);
    this.#budgets.set(group, budget);
    for (const [oldest] of this.#budgets) {
      if (this.#budgets.size <= GROUPS_MAX) break;
      this.#budgets.delete(oldest);
    }
    return !budget.affords(1, nowMs);
  }
}

function endpoint(socket: Socket): string {
  return `${socket.remoteAddress}|${socket.remotePort}`;
}
