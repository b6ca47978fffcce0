import { concat, toHex } from '../../ledger/bytes.ts';
import { sign, signingDigest, verify } from '../../ledger/crypto/secp256k1.ts';
import { type ChainId, idBytes, type NodeId } from '../../ledger/ids.ts';

/** A node at one start of it. Whoever else runs with its key is another session, and cannot sign as this one. */

export interface Identity {
  readonly chainId: ChainId;
  readonly nodeId: NodeId;
  readonly secret: Uint8Array;
  /** 16 bytes, drawn at every start. */
  readonly session: Uint8Array;
}

export const SESSION_BYTES = 16;
/** session 16 ‖ signature 64 over what was asked. */
export const SIGNED_BYTES = SESSION_BYTES + 64;
export const CHALLENGE_BYTES = 32;
/** A signed session ‖ what its node wants signed by the other. */
export const TESTIMONY_BYTES = SIGNED_BYTES + CHALLENGE_BYTES;
/** host:port, or a host, as text. */
export const ADDRESS_BYTES_MAX = 80;

function digest(chainId: ChainId, session: Uint8Array, challenge: Uint8Array): Uint8Array {
  return signingDigest('session', idBytes(chainId), session, challenge);
}

/** This session, and that it is asked now. */
export function signSession({ chainId, session, secret }: Identity, challenge: Uint8Array): Uint8Array {
  return concat(session, sign(digest(chainId, session, challenge), secret));
}

/** Whether the node has signed `challenge` in the session that is named. */
export function isSignedBy(
  chainId: ChainId,
  nodeId: NodeId,
  challenge: Uint8Array,
  signed: Uint8Array,
): boolean {
  const session = signed.subarray(0, SESSION_BYTES);
  return verify(
    signed.subarray(SESSION_BYTES, SIGNED_BYTES),
    digest(chainId, session, challenge),
    idBytes(nodeId),
  );
}

/** Whether another session than this one has signed `challenge` with this node's key. */
export function provesTwin(
  { chainId, nodeId, session }: Identity,
  challenge: Uint8Array,
  signed: Uint8Array,
): boolean {
  return (
    toHex(signed.subarray(0, SESSION_BYTES)) !== toHex(session) &&
    isSignedBy(chainId, nodeId, challenge, signed)
  );
}

/** The session that is linked already and lives: what it says, where it is, and a way to tell it of the other. */
export interface Rival {
  readonly testimony: Uint8Array;
  readonly address: string;
  /** `signed`: by the other, over what this one drew. `address`: where the other is. */
  tell(signed: Uint8Array, address: string): void;
}

/** Where a connection comes from that was dialled by the other end: its port says nothing. */
export function hostOf(address: string): string {
  return address.replace(/:\d+$/, '');
}

/** An address that a peer names, when it looks like one. */
export function addressIn(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes).toString('latin1');
  return /^[\w.:[\]-]{3,80}$/.test(text) ? text : undefined;
}
