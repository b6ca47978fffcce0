import type { TLSSocket } from 'node:tls';
import type { NodeId } from '../../ledger/ids.ts';
import type { Channel } from './channel.ts';
import { type Identity, type Purpose, sayHello } from './hello.ts';
import { NetworkError } from './network-error.ts';
import { splitAddress } from './node-record.ts';
import { TlsChannel } from './tls-channel.ts';

const DIAL_MS = 5_000;

/** A connection to whoever answers at `address` (host:port) and proves its key. Throws NetworkError. */
export async function dial(
  address: string,
  self: Identity,
  purpose: Purpose,
  signal: AbortSignal,
): Promise<{ readonly channel: Channel; readonly peer: NodeId }> {
  const where = splitAddress(address);
  if (where === undefined) throw new NetworkError('unreachable', `expected host:port, got "${address}"`);
  const stopping = new NetworkError('closed', 'this node is stopping');
  if (signal.aborted) throw stopping;
  const channel = TlsChannel.connect(where);
  const stop = (): void => void channel.stream.destroy(stopping);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await secured(channel.stream, address);
    return { channel, peer: await sayHello(channel, self, purpose) };
  } catch (error) {
    channel.stream.destroy();
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
