import { parentPort } from 'node:worker_threads';
import { u32 } from '../../ledger/bytes.ts';
import { publicKeyOf, sign, verify } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { perSecond } from '../measure.ts';

/** Verifies signatures as fast as it can for as many ms as it is told, and answers with how many a second. */

const signed = Array.from({ length: 256 }, (_, i) => {
  const secret = sha256(u32(i));
  const digest = sha256(secret);
  return { digest, publicKey: publicKeyOf(secret), signature: sign(digest, secret) };
});
let next = 0;
const verifyOne = (): void => {
  const { signature, digest, publicKey } = signed[next++ % signed.length] as (typeof signed)[number];
  verify(signature, digest, publicKey);
};
perSecond(verifyOne, 50);
parentPort?.on('message', (ms: number) => parentPort?.postMessage(perSecond(verifyOne, ms)));
parentPort?.postMessage('ready');
