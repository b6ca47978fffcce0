import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { NodeId } from '../../ledger/ids.ts';
import { identityOf } from '../../node/network/hello.ts';
import type { Network } from '../../node/network/network.ts';
import { freePorts } from '../ledger/members.ts';
import { type BenchOptions, type Measurement, quantile } from '../measure.ts';
import { BENCH_CHAIN, BODY_BYTES, BULK_KIND, openNetwork, type PeerReady, SMALL_KIND } from './peer.ts';

/** Links between two processes on loopback, beside bare TLS between the same two. */

const built = !import.meta.url.endsWith('.ts');
const MIB = 1_048_576;
/** Exchanges under way at a time. */
const BULK_AT_ONCE = 4;
const SMALL_AT_ONCE = 64;
const ROUNDS = 3;

export async function* benchNetwork({ progress, quick }: BenchOptions): AsyncGenerator<Measurement> {
  const [port = 0] = await freePorts(1);
  const main = fileURLToPath(new URL(`./peer.${built ? 'js' : 'ts'}`, import.meta.url));
  const server = fork(main, [], {
    execArgv: built ? [] : ['--import', 'tsx'],
    env: { ...process.env, LINK_PORT: String(port) },
  });
  const [{ linkPort, tlsPort }] = (await once(server, 'message')) as [PeerReady];
  const address = `127.0.0.1:${linkPort}`;
  const network = await openNetwork('bench client', 0, [address]);
  try {
    const { nodeId } = identityOf(BENCH_CHAIN, sha256(utf8('bench server')));
    await connected(network, nodeId);
    const mib = quick ? 8 : 512;
    const links: number[] = [];
    const bare: number[] = [];
    // One after the other in turn, so that what else the machine does touches both alike.
    for (let round = 0; round < ROUNDS; round++) {
      progress(`bulk, round ${round + 1} of ${ROUNDS}`);
      bare.push(await bareTls(tlsPort, mib));
      links.push(await bulk(network, nodeId, mib));
    }
    const ratio = quantile(links, 0.5) / quantile(bare, 0.5);
    yield { name: 'bare node:tls', value: quantile(bare, 0.5), unit: 'MiB/s' };
    yield { name: `links, ${BULK_AT_ONCE} fragments at a time`, value: quantile(links, 0.5), unit: 'MiB/s' };
    yield { name: 'links to bare TLS', value: ratio, unit: '' };
    progress('small requests');
    yield {
      name: `small requests, ${SMALL_AT_ONCE} at a time`,
      value: await small(network, nodeId, quick ? 200 : 50_000),
      unit: '/s',
    };
    progress('connecting');
    yield {
      name: 'connect and authenticate',
      value: await connecting(address, nodeId, quick ? 2 : 30),
      unit: 'ms',
    };
  } finally {
    await network.close();
    const gone = once(server, 'exit');
    server.kill('SIGKILL');
    await gone;
  }
}

function connected(network: Network, nodeId: NodeId): Promise<void> {
  return new Promise((resolve) => {
    const off = network.onPeer((peer, state) => {
      if (peer !== nodeId || state !== 'connected') return;
      off();
      resolve();
    });
    if (network.peers().some((peer) => peer.nodeId === nodeId)) {
      off();
      resolve();
    }
  });
}

/** MiB/s that a bare TLS connection brings. */
async function bareTls(port: number, mib: number): Promise<number> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const startMs = performance.now();
  let bytes = 0;
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes >= mib * MIB) resolve();
    });
  });
  const seconds = (performance.now() - startMs) / 1_000;
  socket.destroy();
  return bytes / MIB / seconds;
}

/** MiB/s of answers of one MiB over the bulk connections of a link. */
async function bulk(network: Network, nodeId: NodeId, mib: number): Promise<number> {
  const startMs = performance.now();
  let left = (mib * MIB) / BODY_BYTES;
  await atOnce(BULK_AT_ONCE, async () => {
    while (left-- > 0) await network.request(nodeId, BULK_KIND, new Uint8Array(0), { bulk: true });
  });
  return mib / ((performance.now() - startMs) / 1_000);
}

async function small(network: Network, nodeId: NodeId, requests: number): Promise<number> {
  const startMs = performance.now();
  let left = requests;
  await atOnce(SMALL_AT_ONCE, async () => {
    while (left-- > 0) await network.request(nodeId, SMALL_KIND, new Uint8Array(0));
  });
  return requests / ((performance.now() - startMs) / 1_000);
}

/** The median time until a new node is linked. */
async function connecting(address: string, nodeId: NodeId, times: number): Promise<number> {
  const tookMs: number[] = [];
  for (let n = 0; n < times; n++) {
    const startMs = performance.now();
    const network = await openNetwork(`bench client ${n}`, 0, [address]);
    await connected(network, nodeId);
    tookMs.push(performance.now() - startMs);
    await network.close();
  }
  return quantile(tookMs, 0.5);
}

async function atOnce(count: number, run: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, run));
}
