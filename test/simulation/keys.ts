import { concat, equalBytes, toHex, utf8 } from '../../ledger/bytes.ts';
import type { Verifier } from '../../ledger/consensus/committee.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { idBytes, type NodeId } from '../../ledger/ids.ts';

/** Who signs what in a simulation. */
export interface Keys {
  nodeId(n: number): NodeId;
  sign(nodeId: NodeId, digest: Uint8Array): Uint8Array;
  readonly verifier: Verifier;
}

const prefixes = new Map<NodeId, Uint8Array>();

function mockSign(nodeId: NodeId, digest: Uint8Array): Uint8Array {
  let prefix = prefixes.get(nodeId);
  if (prefix === undefined) {
    prefix = concat(utf8('mock'), idBytes(nodeId));
    prefixes.set(nodeId, prefix);
  }
  const half = sha256(prefix, digest);
  return concat(half, half);
}

/** Signatures that are hashes: only the owner of a key is asked for one. */
export const MOCK_KEYS: Keys = {
  nodeId: (n) => `02${toHex(sha256(utf8(`node ${n}`)))}` as NodeId,
  sign: mockSign,
  verifier: (signature, digest, signer) => equalBytes(signature, mockSign(signer, digest)),
};
