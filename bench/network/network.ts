import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { NodeId } from '../../ledger/ids.ts';
import { identityOf } from '../../node/network/hello.ts';
import type { Network } from '../../node/network/network.ts';
import { atLeast, type BenchOptions, type Measurement, quantile } from '../measure.ts';
import {
  BENCH_CHAIN,
  BODY_BYTES,
  BULK_KIND,
  openNetwork,
  type PeerReady,
  SMALL_KIND,
  STORE_KIND,
} from './peer.ts';

/** Links between two processes on loopback, beside bare TLS between the same two. */

const built = !import.meta.url.endsWith('.ts');
const MIB = 1_048_576;
/** Exchanges under way at a time. */
const BULK_AT_ONCE = 4;
const SMALL_AT_ONCE = 64;
const ROUNDS = 5;

export async function* benchNetwork({ progress, quick }: BenchOptions): AsyncGenerator<Measurement> {
  const main = fileURLToPath(new URL(`./peer.${built ? 'js' : 'ts'}`, import.meta.url));
  const server = fork(main, [], {
    execArgv: built ? [] : ['--import', 'tsx'],
  });
  const [{ linkAddress, tlsPort }] = (await once(server, 'message')) as [PeerReady];
  const network = await openNetwork('bench client', [linkAddress]);
  try {
    const { nodeId } = identityOf(BENCH_CHAIN, sha256(utf8('bench server')));
    await connected(network, nodeId);
    const mib = quick ? 8 : 512;
    const bare: Flow[] = [];
    const fetched: Flow[] = [];
    const stored: Flow[] = [];
    // One after the other in turn, so that what else the machine does touches all alike.
    for (let round = 0; round < ROUNDS; round++) {
      progress(`bulk, round ${round + 1} of ${ROUNDS}`);
      bare.push(await flow(server, mib, () => bareTls(tlsPort, mib)));
      fetched.push(await flow(server, mib, () => bulk(network, nodeId, mib, BULK_KIND, 0)));
      stored.push(await flow(server, mib, () => bulk(network, nodeId, mib, STORE_KIND, BODY_BYTES)));
    }
    const middle = (of: (round: number) => number): number =>
      quantile(
        Array.from({ length: ROUNDS }, (_, round) => of(round)),
        0.5,
      );
    for (const [name, flows] of [
      ['bare node:tls', bare],
      [`links, ${BULK_AT_ONCE} fragments fetched at a time`, fetched],
      [`links, ${BULK_AT_ONCE} fragments stored at a time`, stored],
    ] as const) {
      yield { name, value: middle((round) => (flows[round] as Flow).rate), unit: 'MiB/s' };
      const cpu = middle((round) => (flows[round] as Flow).cpu);
      yield { name: `${name}, CPU of both ends`, value: cpu, unit: 's/GiB' };
    }
    const ratio = middle((round) => (fetched[round] as Flow).rate / (bare[round] as Flow).rate);
    yield { name: 'links, fetched, to bare TLS', value: ratio, unit: '', aim: atLeast(ratio, 0.8) };
    const storing = middle((round) => (stored[round] as Flow).rate / (bare[round] as Flow).rate);
    yield { name: 'links, stored, to bare TLS', value: storing, unit: '', aim: atLeast(storing, 0.8) };
    progress('small requests');
    yield {
      name: `small requests, ${SMALL_AT_ONCE} at a time`,
      value: await small(network, nodeId, quick ? 200 : 50_000),
      unit: '/s',
    };
    progress('connecting');
    yield {
      name: 'connect and authenticate',
      value: await connecting(linkAddress, nodeId, quick ? 2 : 30),
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

interface Flow {
  /** MiB/s */
  readonly rate: number;
  /** Seconds that both processes together worked for one GiB. */
  readonly cpu: number;
}

/** What it takes that `run` moves `mib`. */
async function flow(server: ChildProcess, mib: number, run: () => Promise<void>): Promise<Flow> {
  const workedUs = async (): Promise<number> => {
    server.send('worked?');
    const [far] = (await once(server, 'message')) as [NodeJS.CpuUsage];
    const near = process.cpuUsage();
    return far.user + far.system + near.user + near.system;
  };
  const beforeUs = await workedUs();
  const startMs = performance.now();
  await run();
  const seconds = (performance.now() - startMs) / 1_000;
  const workedSeconds = ((await workedUs()) - beforeUs) / 1e6;
  return { rate: mib / seconds, cpu: (1_024 * workedSeconds) / mib };
}

/** Reads so much of what a bare TLS connection brings. */
async function bareTls(port: number, mib: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  let bytes = 0;
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes >= mib * MIB) resolve();
    });
  });
  socket.destroy();
}

/** Exchanges over the bulk connections of a link that move so much, one way or the other. */
async function bulk(
  network: Network,
  nodeId: NodeId,
  mib: number,
  kind: number,
  bodyBytes: number,
): Promise<void> {
  const body = new Uint8Array(bodyBytes);
  let left = (mib * MIB) / BODY_BYTES;
  await atOnce(BULK_AT_ONCE, async () => {
    while (left-- > 0) await network.request(nodeId, kind, body, { bulk: true });
  });
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
    const network = await openNetwork(`bench client ${n}`, [address]);
    await connected(network, nodeId);
    tookMs.push(performance.now() - startMs);
    await network.close();
  }
  return quantile(tookMs, 0.5);
}

async function atOnce(count: number, run: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, run));
}
