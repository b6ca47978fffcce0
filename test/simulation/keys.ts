import { concat, toHex, utf8 } from '../../ledger/bytes.ts';
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

function mockSign(nodeId: NodeId, digest: Uint8Array): Uint8Array {
  const half = sha256(utf8('mock'), idBytes(nodeId), digest);
  return concat(half, half);
}

export const MOCK_KEYS: Keys = {
  nodeId: (n) => `02${toHex(sha256(utf8(`node ${n}`)))}` as NodeId,
  sign: mockSign,
  verifier: (signature, digest, signer) => toHex(signature) === toHex(mockSign(signer, digest)),
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
