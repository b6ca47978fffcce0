import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { pino } from 'pino';
import { utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { ChainId } from '../../ledger/ids.ts';
import { selfSignedCertificate } from '../../node/network/certificate.ts';
import { Network } from '../../node/network/network.ts';

/** The far end, in a process of its own: a node that serves bytes, and a bare TLS server that pours them out. */

/** A network that nothing but this bench is on. */
export const BENCH_CHAIN = 'be'.repeat(32) as ChainId;
/** Kinds of messages that no node knows: an answer of one MiB, an answer of nothing, and a body of one MiB. */
export const BULK_KIND = 200;
export const SMALL_KIND = 201;
export const STORE_KIND = 202;
export const BODY_BYTES = 1_048_576;

export interface PeerReady {
  readonly linkAddress: string;
  readonly tlsPort: number;
}

export function openNetwork(name: string, seeds: readonly string[]): Promise<Network> {
  return Network.open({
    chainId: BENCH_CHAIN,
    nodeSecret: sha256(utf8(name)),
    host: '127.0.0.1',
    port: 0,
    advertise: [],
    seeds,
    records: { load: () => [], save: () => undefined },
    logger: pino({ level: 'silent' }),
  });
}

if (process.send !== undefined) {
  const body = randomBytes(BODY_BYTES);
  const network = await openNetwork('bench server', []);
  network.handle(BULK_KIND, 64, () => body);
  network.handle(SMALL_KIND, 64, () => new Uint8Array(0));
  network.handle(STORE_KIND, BODY_BYTES, () => new Uint8Array(0));
  const server = createServer({ ...selfSignedCertificate(), minVersion: 'TLSv1.3' }, (socket) => {
    const pour = (): void => {
      while (!socket.destroyed && socket.write(body)) {
        // Until the socket has enough.
      }
    };
    socket.on('drain', pour);
    socket.on('error', () => socket.destroy());
    pour();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const ready: PeerReady = {
    linkAddress: network.address,
    tlsPort: (server.address() as AddressInfo).port,
  };
  process.on('disconnect', () => process.exit(1));
  // Whatever is said: it is asked how much it has worked.
  process.on('message', () => process.send?.(process.cpuUsage()));
  process.send(ready);
}
