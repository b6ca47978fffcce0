import { concat, equalBytes, toHex, utf8 } from '../../ledger/bytes.ts';
import { ecdsaVerifier, type Verifier } from '../../ledger/consensus/committee.ts';
import { publicKeyOf, sign } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { idBytes, keyId, type NodeId } from '../../ledger/ids.ts';

/** Who signs what in a simulation: with real keys, or with hashes that only the owner of a key is asked for. */
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

export const MOCK_KEYS: Keys = {
  nodeId: (n) => `02${toHex(sha256(utf8(`node ${n}`)))}` as NodeId,
  sign: mockSign,
  verifier: (signature, digest, signer) => equalBytes(signature, mockSign(signer, digest)),
};

export function realKeys(): Keys {
  const secrets = new Map<NodeId, Uint8Array>();
  return {
    nodeId(n) {
      const secret = sha256(utf8(`key of node ${n}`));
      const nodeId = keyId<NodeId>(publicKeyOf(secret));
      secrets.set(nodeId, secret);
      return nodeId;
    },
    sign: (nodeId, digest) => sign(digest, secrets.get(nodeId) as Uint8Array),
    verifier: ecdsaVerifier,
  };
}
