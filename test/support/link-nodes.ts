import { connect, type TLSSocket } from 'node:tls';
import { pino } from 'pino';
import { utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { ChainId } from '../../ledger/ids.ts';
import { identityOf, type Purpose, sayHello } from '../../node/network/hello.ts';
import { Network } from '../../node/network/network.ts';
import { type Identity, SESSION_BYTES } from '../../node/network/session.ts';
import { TlsChannel } from '../../node/network/tls-channel.ts';
import { tlsTransport } from '../../node/network/tls-transport.ts';
import type { Transport } from '../../node/network/transport.ts';
import { until } from './until.ts';

/** Bare networks and bare clients, for tests of the links themselves. */

export const CHAIN = 'ab'.repeat(32) as ChainId;

export function identity(name: string, chainId = CHAIN): Identity {
  return identityOf(
    chainId,
    sha256(utf8(name)),
    sha256(utf8(`session of ${name}`)).subarray(0, SESSION_BYTES),
  );
}

/** What tests have to say in the log: nothing, unless TEST_LOG names a level. */
export const silent = pino({ level: process.env.TEST_LOG ?? 'silent' });

/** `known`: messages with node records that it begins with. */
export function openNetwork(
  name: string,
  seeds: readonly string[] = [],
  chainId: ChainId = CHAIN,
  known: readonly Uint8Array[] = [],
  transport: Transport = tlsTransport,
): Promise<Network> {
  return Network.open({
    chainId,
    nodeSecret: sha256(utf8(name)),
    host: '127.0.0.1',
    port: 0,
    advertise: [],
    seeds,
    records: { load: () => known, save: () => undefined },
    logger: silent,
    transport,
  });
}

/** A TLS connection to a node that has said nothing yet. */
export function rawConnection(address: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const [host, port] = address.split(':');
    const socket = connect(
      { host: host as string, port: Number(port), ALPNProtocols: ['blocktree/1'], rejectUnauthorized: false },
      () => resolve(socket),
    );
    socket.on('error', reject);
  });
}

/** A connection that has said a proper hello, and from then on does what the test wants. */
export async function authenticated(
  name: string,
  address: string,
  purpose: Purpose = 'link',
): Promise<TLSSocket> {
  const socket = await rawConnection(address);
  await sayHello(TlsChannel.accepted(socket), identity(name), purpose);
  return socket;
}

/** Settles when the other end has closed; fails when it has not in time, long before silence alone would end it. */
export function closed(socket: TLSSocket, deadlineMs = 2_000): Promise<void> {
  socket.resume();
  return until(() => socket.closed, deadlineMs, 'the other end to close the connection');
}
