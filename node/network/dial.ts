import { connect, type TLSSocket } from 'node:tls';
import type { NodeId } from '../../ledger/ids.ts';
import { ALPN } from './door.ts';
import { type Identity, type Purpose, sayHello } from './hello.ts';
import { NetworkError } from './network-error.ts';
import { splitAddress } from './node-record.ts';

const DIAL_MS = 5_000;

/** A connection to whoever answers at `address` (host:port) and proves its key. Throws NetworkError. */
export async function dial(
  address: string,
  self: Identity,
  purpose: Purpose,
  signal: AbortSignal,
): Promise<{ readonly socket: TLSSocket; readonly peer: NodeId }> {
  const where = splitAddress(address);
  if (where === undefined) throw new NetworkError('unreachable', `expected host:port, got "${address}"`);
  const stopping = new NetworkError('closed', 'this node is stopping');
  if (signal.aborted) throw stopping;
  // Any certificate will do: the hello says who it is, over this very TLS session.
  const socket = connect({
    ...where,
    ALPNProtocols: [ALPN],
    minVersion: 'TLSv1.3',
    rejectUnauthorized: false,
  });
  const stop = (): void => void socket.destroy(stopping);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await secured(socket, address);
    return { socket, peer: await sayHello(socket, self, purpose) };
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? stopping : error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function secured(socket: TLSSocket, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => socket.destroy(new NetworkError('unreachable', `no connection within ${DIAL_MS} ms`)),
      DIAL_MS,
    );
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(
        error instanceof NetworkError
          ? error
          : new NetworkError('unreachable', `${address}: ${error.message}`),
      );
      socket.destroy();
    });
    socket.once('close', () => {
      clearTimeout(timer);
      reject(new NetworkError('unreachable', `${address}: the connection closed`));
    });
  });
}
