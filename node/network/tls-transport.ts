import type { TLSSocket } from 'node:tls';
import { selfSignedCertificate } from './certificate.ts';
import { openDoor } from './door.ts';
import { NetworkError } from './network-error.ts';
import { splitAddress } from './node-record.ts';
import { TlsChannel } from './tls-channel.ts';
import type { Channel, Transport } from './transport.ts';

const DIAL_MS = 5_000;

/** TLS 1.3 over TCP, with a certificate that is new at every start. */
export const tlsTransport: Transport = {
  dial,
  listen: (options) => openDoor({ ...options, certificate: selfSignedCertificate() }),
};

async function dial(address: string, signal: AbortSignal): Promise<Channel> {
  const where = splitAddress(address);
  if (where === undefined) throw new NetworkError('unreachable', `expected host:port, got "${address}"`);
  const stopping = new NetworkError('closed', 'this node is stopping');
  if (signal.aborted) throw stopping;
  const channel = TlsChannel.connect(where);
  const stop = (): void => void channel.stream.destroy(stopping);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await secured(channel.stream, address);
    return channel;
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
