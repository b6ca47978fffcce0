import { execFile } from 'node:child_process';
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { FRAGMENT_BYTES, fragmentRoot } from '../../ledger/merkle.ts';
import type { Scheme } from '../../market/files/scheme.ts';
import { decryptSlab, encryptSlab, slabCapacity } from '../../market/files/slab-cipher.ts';
import { SlabPool } from '../../market/files/slab-pool.ts';
import { nodeFolder } from '../../node/devnet/create.ts';
import { commandLine, runNetwork } from '../ledger/whole-node.ts';
import { type BenchOptions, below, type Measurement, perSecond } from '../measure.ts';

/** Files: the work on their bytes beside what the machine can do at best, and the way of a large one through real nodes. */

const MIB = 1_048_576;
const SCHEME: Scheme = { data: 4, parity: 8 };

export async function* benchFiles(options: BenchOptions): AsyncGenerator<Measurement> {
  yield* onBytes(options);
  yield* throughNodes(options);
}

async function* onBytes({ progress, quick }: BenchOptions): AsyncGenerator<Measurement> {
  const ms = quick ? 40 : 2_000;
  const capacity = slabCapacity(SCHEME);
  const plain = randomBytes(capacity);
  const key = randomBytes(32);
  const into = new Uint8Array(SCHEME.data * FRAGMENT_BYTES);
  const mibPerSecond = (bytes: number, run: () => void): number => (perSecond(run, ms, 1) * bytes) / MIB;

  progress('cipher');
  const limit = mibPerSecond(capacity, () => {
    const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12));
    cipher.update(plain);
    cipher.final();
  });
  const encrypt = mibPerSecond(capacity, () => encryptSlab(plain, key, into));
  const decrypt = mibPerSecond(capacity, () => decryptSlab(into, key, capacity));
  yield { name: 'AES-256-GCM over a slab at once (the limit)', value: limit, unit: 'MiB/s' };
  yield { name: 'slab encrypted, in frames', value: encrypt, unit: 'MiB/s' };
  yield { name: 'slab decrypted, in frames', value: decrypt, unit: 'MiB/s' };
  yield { name: 'encryption to its limit', value: encrypt / limit, unit: '' };

  progress('hashes');
  const fragment = randomBytes(FRAGMENT_BYTES);
  const sha = mibPerSecond(FRAGMENT_BYTES, () => createHash('sha256').update(fragment).digest());
  const root = mibPerSecond(FRAGMENT_BYTES, () => fragmentRoot(fragment));
  yield { name: 'SHA-256 over a fragment at once (the limit)', value: sha, unit: 'MiB/s' };
  yield { name: 'Merkle root of a fragment, 1,024 leaves', value: root, unit: 'MiB/s' };

  progress('slabs in worker threads');
  const threads = availableParallelism();
  const pool = new SlabPool(threads);
  try {
    const slabs = quick ? 2 : 48;
    const given = () => new Uint8Array(plain);
    await pool.encode(given(), key, SCHEME);
    let startMs = performance.now();
    const coded = await Promise.all(Array.from({ length: slabs }, () => pool.encode(given(), key, SCHEME)));
    const code = `${SCHEME.data} + ${SCHEME.parity}`;
    yield {
      name: `encrypt, code ${code}, hash, ${threads} threads (plaintext)`,
      value: (slabs * capacity) / MIB / ((performance.now() - startMs) / 1_000),
      unit: 'MiB/s',
    };
    const fragments = coded[0]?.fragments ?? [];
    // Only parity is left: the most work there can be.
    const worst = fragments.map((bytes, i) => (i < SCHEME.data ? undefined : bytes));
    startMs = performance.now();
    for (let n = 0; n < slabs; n += threads)
      await Promise.all(Array.from({ length: threads }, () => pool.decode(worst, key, SCHEME, capacity)));
    yield {
      name: `decode ${code} from parity alone, decrypt, ${threads} threads`,
      value: (slabs * capacity) / MIB / ((performance.now() - startMs) / 1_000),
      unit: 'MiB/s',
    };
  } finally {
    await pool.close();
  }
}

async function* throughNodes({ folder, progress, quick }: BenchOptions): AsyncGenerator<Measurement> {
  const mib = quick ? 3 : 300;
  const source = join(folder, 'source');
  const target = join(folder, 'target');
  const piece = randomBytes(MIB);
  // Pieces that differ, so that nothing can be stored once only.
  writeFileSync(source, '');
  for (let n = 0; n < mib; n++) {
    piece.writeUInt32BE(n);
    writeFileSync(source, piece, { flag: 'a' });
  }
  progress('six nodes are started');
  const network = await runNetwork(join(folder, 'network'), 6);
  try {
    const cli = async (...words: string[]): Promise<number> => {
      const startMs = performance.now();
      const [program = '', ...first] = commandLine;
      const data = ['--data', nodeFolder(join(folder, 'network'), 1), '--json'];
      await promisify(execFile)(program, [...first, ...data, ...words], { maxBuffer: 64 * MIB });
      return (performance.now() - startMs) / 1_000;
    };
    progress(`put of ${mib} MiB`);
    const put = await cli('put', source, 'file');
    progress(`get of ${mib} MiB`);
    const get = await cli('get', 'file', target);
    const [before, after] = await Promise.all([digest(source), digest(target)]);
    if (before !== after) throw new Error('the file came back changed');
    const resident = Math.max(...network.peakResidentMiB());
    yield {
      name: `put of ${mib} MiB on six nodes, durable and under contract`,
      value: mib / put,
      unit: 'MiB/s',
    };
    yield { name: `get of ${mib} MiB`, value: mib / get, unit: 'MiB/s' };
    yield {
      name: 'largest process meanwhile, resident at its peak',
      value: resident,
      unit: 'MiB',
      aim: below(resident, 400),
    };
  } finally {
    await network.stop();
  }
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
