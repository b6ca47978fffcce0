import type { Socket } from 'node:net';
import { createServer } from 'node:tls';
import type { Channel } from './channel.ts';
import { NetworkError } from './network-error.ts';
import { ALPN, TlsChannel } from './tls-channel.ts';

/** The listening end: TLS 1.3, and bounds on those who have not yet said who they are. */

/** Connections that have not said hello: in all, and from one address (several nodes may share one). */
const UNAUTHENTICATED_MAX = 128;
const UNAUTHENTICATED_PER_ADDRESS_MAX = 48;
const HANDSHAKE_MS = 5_000;

export interface Door {
  /** host:port on which it listens. */
  readonly address: string;
  /** Connections that have not said hello. */
  readonly waiting: number;
  close(): Promise<void>;
}

export interface DoorOptions {
  readonly host: string;
  readonly port: number;
  readonly certificate: { readonly key: string; readonly cert: string };
  /** Connections that have said hello, at most. */
  readonly connectionsMax: number;
  /** Settles when the connection is authenticated or refused. Must not throw. */
  welcome(channel: Channel): Promise<void>;
}

/** Throws NetworkError `address-in-use`. */
export function openDoor({ host, port, certificate, connectionsMax, welcome }: DoorOptions): Promise<Door> {
  const waiting = new Map<string, Socket>();
  const server = createServer({
    ...certificate,
    minVersion: 'TLSv1.3',
    ALPNProtocols: [ALPN],
    handshakeTimeout: HANDSHAKE_MS,
  });
  server.maxConnections = connectionsMax + UNAUTHENTICATED_MAX;
  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket;
    let same = 0;
    for (const other of waiting.values()) if (other.remoteAddress === remoteAddress) same++;
    if (
      remoteAddress === undefined ||
      same >= UNAUTHENTICATED_PER_ADDRESS_MAX ||
      waiting.size >= UNAUTHENTICATED_MAX
    )
      return void socket.destroy();
    const key = endpoint(socket);
    waiting.set(key, socket);
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
          for (const socket of waiting.values()) socket.destroy();
          return new Promise((done) => server.close(() => done()));
        },
      });
    });
  });
}

function endpoint(socket: Socket): string {
  return `${socket.remoteAddress}|${socket.remotePort}`;
}
